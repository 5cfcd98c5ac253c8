//! Programs in the background, with their output.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{eventually, within};

/// How long a program may take to be ready. A worker without prepared plugins compiles them first, on threads with low
/// priority, and has 120 s for each, so a long start on a busy machine is not a failure.
const READY_WITHIN: Duration = Duration::from_secs(130);

/// A running program with its output in a file. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    /// The folder of the file, when the caller did not choose one.
    _folder: Option<TempDir>,
}

impl Process {
    /// Starts it, with both outputs in the file `log`.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or the program cannot be started.
    pub fn spawn(command: &mut Command, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        let errors = output.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()?;
        Ok(Self { child, log: log.to_owned(), _folder: None })
    }

    /// Starts it, with both outputs in a file of its own.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spawned = Self::spawn(command, &folder.path().join("log"));
        let mut process = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        process._folder = Some(folder);
        process
    }

    /// Starts it and waits until it writes a line with `ready`.
    ///
    /// # Panics
    ///
    /// When it ends before that, or does not write the line in time.
    pub async fn start_until(command: &mut Command, ready: &str) -> Self {
        let mut process = Self::start(command);
        within(READY_WITHIN, &format!("`{ready}` from {command:?}"), async || {
            let alive = process.alive();
            assert!(alive, "it ended before `{ready}`:\n{}", process.whole_log());
            process.log().lines().any(|line| line.contains(ready)).then_some(())
        })
        .await;
        process
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its output so far, without an unfinished last line.
    pub fn log(&self) -> String {
        let mut text = self.whole_log();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }

    /// Its output so far.
    pub fn whole_log(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("(cannot read {}: {error})\n", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Whether it runs.
    ///
    /// # Panics
    ///
    /// On an error of the operating system.
    pub fn alive(&mut self) -> bool {
        self.ended().unwrap().is_none()
    }

    /// Ends it with SIGKILL, at once.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, for instance `STOP`.
    ///
    /// # Panics
    ///
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Ends it with SIGTERM and returns its exit code.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// Waits until a line of its output has all `parts`.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    pub async fn says(&self, parts: &[&str]) {
        eventually(&format!("a line with {parts:?}"), async || {
            let log = self.log();
            log.lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
        })
        .await;
    }
}

/// Sends a signal, for instance `STOP`.
pub(crate) fn signal(process: &Child, name: &str) {
    // std can only kill, and `unsafe` for one libc call is denied here; every shell has `kill`.
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -\"$1\" \"$2\"", "sh", name, &process.id().to_string()]);
    assert!(shell.status().unwrap().success());
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
