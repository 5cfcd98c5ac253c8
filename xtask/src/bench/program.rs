//! Programs that a bench runs: to their end for a figure, or in the background with all their children.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::command::{describe, last_lines};

const TICK: Duration = Duration::from_millis(5);
/// How long a worker may take to end by itself.
const END_BOUND: Duration = Duration::from_secs(6);

/// Runs a program that prints `RESULT` and its figures, and returns them.
pub(super) fn figures(command: &mut Command, bound: Duration) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir().context("creating a folder for output")?;
    let mut background = Background::start(command, &folder.path().join("log"))?;
    let deadline = Instant::now() + bound;
    loop {
        if let Some(well) = background.ended_well()? {
            let said = background.output();
            let line = said.lines().find_map(|line| line.strip_prefix("RESULT "));
            match line.filter(|_| well) {
                Some(line) => return serde_json::from_str(line).context("reading the figures"),
                None => bail!("`{}`: {}", describe(command), last_lines(&said, 6)),
            }
        }
        if Instant::now() > deadline {
            bail!("`{}` took longer than {} s", describe(command), bound.as_secs());
        }
        std::thread::sleep(TICK);
    }
}

/// A program and its children; all are ended when it is dropped.
pub(super) struct Background {
    child: Child,
    log: std::path::PathBuf,
}

impl Background {
    /// Starts it with both outputs in `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::create(log).context("creating a log")?;
        let errors = output.try_clone().context("creating a log")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("starting `{}`", describe(command)))?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn output(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Fails when it has ended, with the end of what it said.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.ended_well()? {
            None => Ok(()),
            Some(_) => bail!("it ended early: {}", last_lines(&self.output(), 6)),
        }
    }

    /// Whether it ended well; none while it runs.
    fn ended_well(&mut self) -> anyhow::Result<Option<bool>> {
        let status = self.child.try_wait().context("looking after a program")?;
        Ok(status.map(|status| status.success()))
    }

    /// Signals the whole group.
    pub(super) fn signal(&self, name: &str) {
        let group = format!("-{}", self.id());
        // Its processes may be gone already.
        let _ = Command::new("sh")
            .args(["-c", "kill -s \"$1\" -- \"$2\" 2>/dev/null", "sh", name, &group])
            .status();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + END_BOUND;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(TICK);
        }
        self.signal("KILL");
        // Whatever became of the group, the program itself must be gone, or the wait would not end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn figures_are_read_from_their_line() {
        let read = figures(&mut shell("echo noise; echo 'RESULT {\"per_s\": 7}'"), BOUND).unwrap();
        assert_eq!(read.get("per_s").and_then(Value::as_u64), Some(7));
    }

    #[test]
    fn a_failure_shows_what_was_said() {
        let error = figures(&mut shell("echo 'RESULT {}'; echo why >&2; exit 3"), BOUND);
        assert!(error.unwrap_err().to_string().ends_with("why"));
        assert!(figures(&mut shell("sleep 30"), Duration::from_millis(50)).is_err());
    }

    #[test]
    fn children_end_with_their_parent() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let background = Background::start(&mut shell("sleep 60 & echo $!; wait"), &log).unwrap();
        let child = loop {
            if let Ok(child) = background.output().trim().parse::<u32>() {
                break child;
            }
            std::thread::sleep(TICK);
        };
        drop(background);
        let deadline = Instant::now() + BOUND;
        // The system may keep its entry until it has been waited for.
        let runs = || {
            std::fs::read_to_string(format!("/proc/{child}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        while runs() {
            assert!(Instant::now() < deadline, "the child still runs");
            std::thread::sleep(TICK);
        }
    }
}
