//! Long-running programs that a command starts: their logs, their readiness and their end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::last_lines;

/// How often conditions are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How much of a log a failure shows.
const TAIL_LINES: usize = 25;

/// Whether someone asked this command to end, by Ctrl-C or SIGTERM.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on Ctrl-C only sets the flag. May be called once.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        let flag = Arc::clone(&stop.0);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .context("listening for Ctrl-C")?;
        Ok(stop)
    }

    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A program in the background. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts it with both outputs in `NAME.log` in `logs`.
    ///
    /// It gets a process group of its own: Ctrl-C at the terminal then reaches xtask alone, which
    /// ends its services in their order.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let log = logs.join(name).with_extension("log");
        let output = File::create(&log).context("creating a log file")?;
        let errors = output.try_clone().context("creating a log file")?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = child.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Waits for a line of output for which `find` has an answer.
    pub(crate) fn wait_for_line<T>(
        &mut self,
        what: &str,
        bound: Duration,
        stop: &Stop,
        find: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        self.wait_until(what, bound, stop, |service| {
            // The last line may still be half written.
            let text = service.output();
            let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
            complete.lines().find_map(&find)
        })
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
            if deadline < Instant::now() {
                bail!("{}: no {what} within {bound:?}\n{}", self.name, self.tail());
            }
            thread::sleep(TICK);
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The memory it takes at the moment; none when the system does not say.
    pub(crate) fn rss_mib(&self) -> Option<f64> {
        self.memory_mib("VmRSS:")
    }

    /// The most that it took since [`Service::forget_peak`].
    pub(crate) fn peak_mib(&self) -> Option<f64> {
        self.memory_mib("VmHWM:")
    }

    /// Counts the peak from now on.
    pub(crate) fn forget_peak(&self) -> std::io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
    }

    fn memory_mib(&self, field: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
    }

    /// The end of its log, for a failure's text.
    pub(crate) fn tail(&self) -> String {
        let tail = last_lines(&self.output(), TAIL_LINES);
        format!("--- end of {}.log\n{tail}\n---", self.name)
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("(cannot read the log: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Asks it to end; does not wait.
    fn terminate(&mut self) {
        self.signal("TERM");
    }

    /// Sends a signal, for instance `STOP`; nothing happens when it has ended.
    pub(crate) fn signal(&mut self, name: &str) {
        if self.ended().is_some() {
            return;
        }
        // std can only kill, and `unsafe` for one libc call is denied here; every shell has `kill`.
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -\"$1\" \"$2\"", "sh", name, &self.child.id().to_string()]);
        let _ = kill.stderr(Stdio::null()).status(); // When it fails, the caller's kill follows.
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends services together: SIGTERM to all, then kills those that are still there after `bound`.
pub(crate) fn shut_down(mut services: Vec<Service>, bound: Duration) {
    for service in &mut services {
        service.terminate();
    }
    let deadline = Instant::now() + bound;
    while services.iter_mut().any(|service| service.ended().is_none()) {
        if deadline < Instant::now() {
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
