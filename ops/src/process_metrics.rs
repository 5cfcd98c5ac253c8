//! What `/metrics` says of the process itself: whether it is ready and alive, and what it uses.
//!
//! The `process_…` names are those of Prometheus' own client libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{counter, gauge};

crate::metrics! {
    BUILD: Gauge "freefans_build_info" [program, version] "1 for the version that runs.";
    READY: Gauge "freefans_ready" [program] "1 while `/readyz` answers 200. Asked at each scrape.";
    ALIVE: Gauge "freefans_alive" [program] "1 while `/livez` answers 200.";
    MEMORY_LIMIT: Gauge "freefans_memory_limit_bytes" [] "The most memory that the process may use: the limit of its control group, or the machine's memory. Not there where the system does not tell.";
    MEMORY: Gauge "process_resident_memory_bytes" [] "Memory in use.";
    CPU: Counter "process_cpu_seconds_total" [] "CPU time used, in whole seconds.";
    STARTED: Gauge "process_start_time_seconds" [] "When the process began, in seconds since 1970.";
    OPEN_FILES: Gauge "process_open_fds" [] "Open files and connections.";
    REDIS_ERRORS: Counter "freefans_redis_errors_total" [code] "Commands that Redis refused or did not answer: its error code, `unreachable`, or `other`.";
    REDIS_REFUSES: Gauge "freefans_redis_refuses" [code] "1 while Redis refuses commands for this reason or is `unreachable`.";
    HISTORY_DROPPED: Counter "freefans_history_dropped_total" [] "Entries of the history of finished tasks that this process could not write, or left out because Redis was nearly full.";
    SPANS_SENT: Counter "freefans_trace_spans_sent_total" [] "Spans that the collector of traces has taken.";
    SPANS_DROPPED: Counter "freefans_trace_spans_dropped_total" [reason] "Spans that no collector got: `queue_full`, `refused` (it said no), `unreachable`.";
    MAX_FILES: Gauge "process_max_fds" [] "The most open files and connections.";
}

/// The unit of times in `/proc`: 100 to the second on x86-64 and on aarch64 (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;
/// Fields of `/proc/self/stat` after the program's name: the state is the first of them.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// Sets what does not change.
pub(crate) fn begin(program: &'static str, version: &'static str) {
    gauge!(BUILD, "program" => program, "version" => version).set(1.0);
    if let Ok(began) = SystemTime::now().duration_since(UNIX_EPOCH) {
        gauge!(STARTED).set(began.as_secs_f64());
    }
    if let Some(limit) = memory_limit_bytes() {
        gauge!(MEMORY_LIMIT).set(float(limit));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(max) = limits.lines().find_map(|line| number(line.strip_prefix("Max open files")?))
    {
        gauge!(MAX_FILES).set(float(max));
    }
}

/// Sets what changes. What the system does not tell stays as it was.
pub(crate) fn update(program: &'static str, ready: bool, alive: bool) {
    gauge!(READY, "program" => program).set(f64::from(u8::from(ready)));
    gauge!(ALIVE, "program" => program).set(f64::from(u8::from(alive)));
    if let Some(bytes) = resident_bytes() {
        gauge!(MEMORY).set(float(bytes));
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(ticks) = cpu_ticks(&stat) {
        counter!(CPU).absolute(ticks / TICKS_PER_SECOND);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        gauge!(OPEN_FILES).set(float(files.count().saturating_sub(1) as u64));
    }
}

/// What a process knows of its Redis.
#[derive(Debug)]
pub struct RedisFigures<'a> {
    /// Errors so far, by code.
    pub errors: &'a BTreeMap<&'static str, u64>,
    /// The codes of what is wrong now.
    pub current: &'a BTreeSet<&'static str>,
    /// Entries of the history that were not written.
    pub history_dropped: u64,
}

/// Shows what a process knows of its Redis.
pub fn redis(figures: &RedisFigures<'_>) {
    let RedisFigures { errors, current, history_dropped } = figures;
    counter!(HISTORY_DROPPED).absolute(*history_dropped);
    for (code, count) in *errors {
        counter!(REDIS_ERRORS, "code" => *code).absolute(*count);
        // What is over stays, as 0.
        let is_current = current.contains(code);
        gauge!(REDIS_REFUSES, "code" => *code).set(f64::from(u8::from(is_current)));
    }
}

/// Counts spans that the collector of traces has taken.
pub(crate) fn spans_sent(spans: u64) {
    counter!(SPANS_SENT).increment(spans);
}

/// Counts spans that no collector got.
pub(crate) fn spans_dropped(reason: &'static str, spans: u64) {
    counter!(SPANS_DROPPED, "reason" => reason).increment(spans);
}

fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52, or near enough")]
fn float(value: u64) -> f64 {
    value as f64
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name is in parentheses and may contain any character.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    ticks(USER_TIME)?.checked_add(ticks(SYSTEM_TIME)?)
}

/// Memory that the process uses, in bytes; none where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| number(line.strip_prefix("VmRSS:")?))?;
    Some(kib << 10)
}

/// The most memory that the process may use, in bytes: the limit of its control group, or the machine's memory.
pub fn memory_limit_bytes() -> Option<u64> {
    memory_limit(Path::new("/"))
}

/// The lowest limit of the control groups that the process is in, and of the machine. `root` is `/`, except in tests.
fn memory_limit(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let machine = machine.lines().find_map(|line| number(line.strip_prefix("MemTotal:")?));
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let base = root.join("sys/fs/cgroup");
    let group = base.join(group);
    let limits = group.ancestors().take_while(|folder| folder.starts_with(&base)).map(limit_of);
    limits.flatten().chain(machine.map(|kib| kib << 10)).min()
}

/// None for a group without a limit (`max`).
fn limit_of(group: &Path) -> Option<u64> {
    let file: PathBuf = group.join("memory.max");
    number(&fs::read_to_string(file).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_memory_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(memory_limit(root.path()), None);
        write("proc/meminfo", "MemTotal:       1000 kB\nMemFree:  1 kB\n");
        assert_eq!(memory_limit(root.path()), Some(1_024_000));
        write("proc/self/cgroup", "0::/a.slice/b.service\n");
        write("sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
        assert_eq!(memory_limit(root.path()), Some(1_024_000));
        write("sys/fs/cgroup/a.slice/memory.max", "5000\n");
        assert_eq!(memory_limit(root.path()), Some(5_000));
    }

    #[test]
    fn the_time_of_a_program_with_an_odd_name_is_read() {
        let stat = "7 (a) R) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 (a"), None);
    }
}
