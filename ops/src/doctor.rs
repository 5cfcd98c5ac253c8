//! What `worker doctor` and `coordinator doctor` found, and the checks of the machine that both make.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may cost something later.
    Warning,
    /// The program will not work like this.
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fail => "fail",
        }
    }
}

/// What was found, in the order in which it was looked for.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<(Verdict, &'static str, String, String)>,
}

impl Report {
    /// Adds a finding: what was looked at, what was found, and what mends it.
    pub fn add(&mut self, verdict: Verdict, what: &'static str, found: &str, mend: &str) {
        let one_line = |text: &str| text.replace(char::is_control, " ");
        self.findings.push((verdict, what, one_line(found), one_line(mend)));
    }

    /// Adds what is as it should be.
    pub fn ok(&mut self, what: &'static str, found: &str) {
        self.add(Verdict::Ok, what, found, "");
    }

    /// Adds what is wrong with the settings.
    pub fn settings(&mut self, problems: &[String]) {
        if problems.is_empty() {
            self.ok("settings", "they can be used");
        }
        for problem in problems {
            let mend = "docs/configuration.md explains it; `config show` says where it comes from";
            self.add(Verdict::Fail, "settings", problem, mend);
        }
    }

    /// Adds cores, free memory, file descriptors, the clock, and the address for health and metrics.
    pub fn machine(&mut self, needs_bytes: u64, listen: Option<SocketAddr>) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let verdict = if cores < 2 { Verdict::Warning } else { Verdict::Ok };
        let mend =
            if cores < 2 { "give it two: what waits for one core waits for long" } else { "" };
        self.add(verdict, "cores", &cores.to_string(), mend);
        if let Some(free) = free_memory() {
            let found = format!("{} MiB can be used", free >> 20);
            if free < needs_bytes {
                let mend =
                    format!("leave {} MiB for it, or give its container more", needs_bytes >> 20);
                self.add(Verdict::Warning, "memory", &found, &mend);
            } else {
                self.ok("memory", &found);
            }
        }
        if let Some(files) = open_files() {
            let found = format!("{files} may be open");
            if files < FILES_AT_LEAST {
                let mend = "raise it: `ulimit -n 65536`, in a unit `LimitNOFILE=65536`";
                self.add(Verdict::Warning, "files", &found, mend);
            } else {
                self.ok("files", &found);
            }
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if since < BUILT_AFTER {
            let mend =
                "set it, for instance `timedatectl set-ntp true`: certificates are not valid yet";
            self.add(Verdict::Fail, "clock", "it is years behind", mend);
        }
        if let Some(listen) = listen {
            self.address(listen);
        }
    }

    fn address(&mut self, listen: SocketAddr) {
        match TcpListener::bind(listen) {
            Ok(_) => self.ok("listen", &format!("{listen} is free")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                self.ok("listen", &format!("{listen} is in use; by this program, if it runs here"));
            }
            Err(error) => {
                let found = format!("{listen} cannot be listened on: {error}");
                let mend = "name an address of this machine with --listen (LISTEN)";
                self.add(Verdict::Fail, "listen", &found, mend);
            }
        }
    }

    /// Writes the report to `out`. Returns whether nothing failed.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written to.
    pub fn write(&self, out: &mut impl Write, as_json: bool) -> std::io::Result<bool> {
        if as_json {
            let findings: Vec<Value> = self
                .findings
                .iter()
                .map(|(verdict, what, found, mend)| {
                    json!({"verdict": verdict.word(), "what": what, "found": found, "mend": mend})
                })
                .collect();
            writeln!(out, "{:#}", Value::from(findings))?;
        } else {
            for (verdict, what, found, mend) in &self.findings {
                writeln!(out, "{:8} {what}: {found}", verdict.word())?;
                if !mend.is_empty() {
                    writeln!(out, "{:8}   {mend}", "")?;
                }
            }
        }
        Ok(self.findings.iter().all(|(verdict, ..)| *verdict != Verdict::Fail))
    }
}

/// What a shell gives by default, and enough for the connections of one process.
const FILES_AT_LEAST: u64 = 1_024;
/// 1 January 2026.
const BUILT_AFTER: Duration = Duration::from_secs(1_767_225_600);

/// Free memory of the machine, or what this container may have when that is less.
fn free_memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok()?;
    let free = available(&machine)?;
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|most| most.trim().parse().ok());
    Some(container.map_or(free, |most: u64| most.min(free)))
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn open_files() -> Option<u64> {
    soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        let meminfo = "MemTotal: 8 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(meminfo), Some(2 << 20));
        let limits = "Max cpu time unlimited\nMax open files            1024                 4096     files\n";
        assert_eq!(soft_limit(limits), Some(1_024));
        assert_eq!((available(""), soft_limit("")), (None, None));
    }

    #[test]
    fn only_what_fails_makes_it_fail() {
        let mut report = Report::default();
        report.ok("a", "fine");
        report.add(Verdict::Warning, "b", "so\nso", "do this");
        let mut out = Vec::new();
        assert!(report.write(&mut out, false).unwrap());
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said, "ok       a: fine\nwarning  b: so so\n           do this\n");
        report.settings(&["x".to_owned()]);
        assert!(!report.write(&mut Vec::new(), true).unwrap());
    }
}
