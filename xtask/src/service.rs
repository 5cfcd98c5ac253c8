//! Programs in the background: their logs, readiness and end.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use test_kit::Process;

use crate::command::{capture, last_lines};
use crate::stop::Stop;

/// How often conditions are checked.
const TICK: Duration = Duration::from_millis(50);
/// How much of a log a failure shows.
const TAIL_LINES: usize = 25;

/// A program in the background, with a name for messages. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    process: Process,
    log: PathBuf,
    /// Bytes of the log that [`Service::new_lines`] has returned.
    read: u64,
}

impl Service {
    /// Starts it with both outputs in `NAME.log` in `logs`.
    ///
    /// It gets a process group of its own: Ctrl-C at the terminal then reaches xtask alone, which
    /// ends its services in their order.
    pub(crate) fn start(name: &str, command: &mut Command, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(name).with_extension("log");
        let process = Process::spawn(command.process_group(0), &log);
        let process = process.with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), process, log, read: 0 })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line of output for which `find` has an answer.
    pub(crate) fn wait_for_line<T>(
        &mut self,
        what: &str,
        bound: Duration,
        stop: &Stop,
        find: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        self.wait_until(what, bound, stop, |service| service.output().lines().find_map(&find))
    }

    /// Waits until `ready` has an answer; fails when the program ends first, or on Ctrl-C.
    pub(crate) fn wait_until<T>(
        &mut self,
        what: &str,
        bound: Duration,
        stop: &Stop,
        ready: impl Fn(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + bound;
        loop {
            if let Some(answer) = ready(self) {
                return Ok(answer);
            }
            if let Some(status) = self.ended() {
                bail!("{} ended before {what} ({status})\n{}", self.name, self.tail());
            }
            if stop.requested() {
                bail!("interrupted");
            }
            if Instant::now() > deadline {
                bail!("{}: no {what} within {bound:?}\n{}", self.name, self.tail());
            }
            thread::sleep(TICK);
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended().ok().flatten()
    }

    /// The memory that it uses now; none when the system does not tell.
    pub(crate) fn rss_mib(&self) -> Option<f64> {
        self.memory_mib("VmRSS:")
    }

    /// The most memory that it used since [`Service::forget_peak`].
    pub(crate) fn peak_mib(&self) -> Option<f64> {
        self.memory_mib("VmHWM:")
    }

    /// Resets the peak of [`Service::peak_mib`].
    pub(crate) fn forget_peak(&self) -> std::io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")
    }

    fn memory_mib(&self, field: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
    }

    /// Does what Ctrl-C at its terminal would do: SIGINT to it, and to what it runs in its group. Waits until it has ended.
    pub(crate) fn interrupt(&mut self, bound: Duration) -> anyhow::Result<()> {
        if self.ended().is_none() {
            let id = self.id().to_string();
            // std can only kill; every shell has `kill`.
            capture(Command::new("sh").args(["-c", "kill -INT \"-$1\"", "sh", &id]))?;
        }
        let deadline = Instant::now() + bound;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                bail!("{} did not end within {bound:?} of Ctrl-C\n{}", self.name, self.tail());
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// The end of its log, for a failure's text.
    pub(crate) fn tail(&self) -> String {
        let tail = last_lines(&self.process.whole_log(), TAIL_LINES);
        format!("--- end of {}.log\n{tail}\n---", self.name)
    }

    /// What it has written so far, without an unfinished last line.
    pub(crate) fn output(&self) -> String {
        self.process.log()
    }

    /// The whole lines that it has written since the last call.
    pub(crate) fn new_lines(&mut self) -> anyhow::Result<Vec<String>> {
        let named = || format!("reading {}", self.log.display());
        let mut file = File::open(&self.log).with_context(named)?;
        file.seek(SeekFrom::Start(self.read)).with_context(named)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(named)?;
        // An unfinished line comes with the next call.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        self.read += whole as u64;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// Prints the lines of its log since the last call that have one of `parts`.
    pub(crate) fn tell_new_lines(&mut self, parts: &[&str]) -> anyhow::Result<()> {
        let has = |line: &&String| parts.iter().any(|part| line.contains(part));
        for line in self.new_lines()?.iter().filter(has) {
            println!("{}: {line}", self.name);
        }
        Ok(())
    }

    /// Sends a signal, for instance `STOP`; nothing happens when it has ended.
    pub(crate) fn signal(&mut self, name: &str) {
        if self.ended().is_none() {
            self.process.signal(name);
        }
    }
}

/// Ends services together: SIGTERM to all, then kills those that are still there after `bound`.
pub(crate) fn shut_down(mut services: Vec<Service>, bound: Duration) {
    for service in &mut services {
        service.signal("TERM");
    }
    let deadline = Instant::now() + bound;
    while services.iter_mut().any(|service| service.ended().is_none()) {
        if Instant::now() > deadline {
            break; // Dropping kills the rest.
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn shell(script: &str, logs: &Path) -> Service {
        Service::start("shell", Command::new("sh").args(["-c", script]), logs).unwrap()
    }

    #[test]
    fn readiness_is_read_from_the_output() {
        let logs = tempfile::tempdir().unwrap();
        let mut service = shell("echo noise; echo port 17; sleep 60", logs.path());
        let port = |line: &str| line.strip_prefix("port ").map(str::to_owned);
        let found = service.wait_for_line("port", BOUND, &Stop::default(), port).unwrap();
        assert_eq!(found, "17");
    }

    #[test]
    fn a_program_that_ends_early_shows_its_log() {
        let logs = tempfile::tempdir().unwrap();
        let mut service = shell("echo no such file >&2; exit 7", logs.path());
        let error = service.wait_for_line("port", BOUND, &Stop::default(), |_| None::<()>);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("ended before port"), "{text}");
        assert!(text.contains("no such file"), "{text}");
    }

    #[test]
    fn lines_are_read_once_and_only_when_they_are_whole() {
        let logs = tempfile::tempdir().unwrap();
        let mut service = shell("echo one; echo two; printf thr; read _", logs.path());
        let two = |line: &str| (line == "two").then_some(());
        service.wait_for_line("two", BOUND, &Stop::default(), two).unwrap();
        assert_eq!(service.new_lines().unwrap(), ["one", "two"]);
        assert!(service.new_lines().unwrap().is_empty());
    }

    #[test]
    fn ctrl_c_reaches_the_program_and_what_it_runs() {
        let logs = tempfile::tempdir().unwrap();
        let script = "trap 'echo told; exit 0' INT; echo up; sleep 60";
        let mut service = shell(script, logs.path());
        let up = |line: &str| (line == "up").then_some(());
        service.wait_for_line("up", BOUND, &Stop::default(), up).unwrap();
        // The shell runs its trap only when `sleep` has ended.
        service.interrupt(BOUND).unwrap();
        assert_eq!(service.output(), "up\ntold\n");
    }

    #[test]
    fn services_get_the_chance_to_end_by_themselves() {
        let logs = tempfile::tempdir().unwrap();
        let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
        let mut service = shell(script, logs.path());
        let up = |line: &str| (line == "up").then_some(());
        service.wait_for_line("up", BOUND, &Stop::default(), up).unwrap();
        shut_down(vec![service], BOUND);
        assert!(fs::read_to_string(logs.path().join("shell.log")).unwrap().contains("bye"));
    }
}
