//! Processes with their logs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{eventually, within};

/// How long a program may take to be ready. A worker that starts without prepared plugins compiles them first, on threads
/// that get about a tenth of a core that others want too, and has 120 s for each: on a busy machine that is no failure.
const READY_WITHIN: Duration = Duration::from_secs(130);

/// A running program; what it writes is collected. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawned.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        Self { child, log }
    }

    /// Starts it and waits until it writes a line with `ready`.
    ///
    /// # Panics
    ///
    /// When it ends before or does not say so in time.
    pub async fn start_until(command: &mut Command, ready: &str) -> Self {
        let mut process = Self::start(command);
        within(READY_WITHIN, &format!("`{ready}` from {command:?}"), async || {
            let log = process.log();
            assert!(process.alive(), "it ended before `{ready}`:\n{log}");
            log.lines().any(|line| line.contains(ready)).then_some(())
        })
        .await;
        process
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    ///
    /// # Panics
    ///
    /// When collecting panicked.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether it runs.
    ///
    /// # Panics
    ///
    /// When the operating system does not say.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
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

    /// Ends it as a supervisor would; gives its exit code.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// Waits until a line has all `parts`.
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
    let arguments = [format!("-{name}"), process.id().to_string()];
    assert!(Command::new("kill").args(arguments).status().unwrap().success());
}

fn collect(lines: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
