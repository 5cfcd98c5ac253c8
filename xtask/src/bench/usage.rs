//! What a process and its children take: processor time and memory.

use std::fs;

/// Linux counts processor time in hundredths of a second, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of a process, its children and those that have ended, in µs.
pub(super) fn cpu_us(process: u32) -> f64 {
    let ticks: u64 = tree(process).into_iter().filter_map(own_ticks).sum();
    ticks as f64 / TICKS_PER_SECOND * 1e6
}

/// Memory of a process and its children in MiB; what several of them share counts once.
pub(super) fn memory_mib(process: u32) -> f64 {
    let kib: u64 = tree(process).into_iter().filter_map(own_kib).sum();
    kib as f64 / 1024.0
}

/// A process, its children and theirs.
fn tree(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    for thread in threads.filter_map(Result::ok) {
        // It may have ended meanwhile.
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|number| number.parse().ok()) {
            all.extend(tree(child));
        }
    }
    all
}

/// User and system time, with that of children that were waited for.
fn own_ticks(process: u32) -> Option<u64> {
    ticks_in(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

fn ticks_in(stat: &str) -> Option<u64> {
    // The second field is the program's name, which may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    times.map(|number| number.parse::<u64>().ok()).sum()
}

fn own_kib(process: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "17 (a) b) S 1 17 17 0 -1 4194560 100 0 0 0 25 5 3 2 20 0 1 0 100 1000 10";
        assert_eq!(ticks_in(stat), Some(35));
        assert_eq!(ticks_in("nonsense"), None);
    }

    #[test]
    fn this_process_takes_memory() {
        assert!(memory_mib(std::process::id()) > 1.0);
    }
}
