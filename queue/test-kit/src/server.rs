//! One `redis-server` process on a free port and in its own folder. Stopped when it is dropped.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::process::signal;

pub(crate) const KEEPS_NOTHING: &[&str] = &["--save", "", "--appendonly", "no"];
pub(crate) const KEEPS_ALL: &[&str] =
    &["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

/// A server that runs, is frozen or was killed. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
    command: Command,
    dead: bool,
    frozen: AtomicBool,
}

impl Server {
    /// Starts the command that `build` makes for a port and a folder.
    pub(crate) fn start(build: impl Fn(u16, &Path) -> Command) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), build, answers)
    }

    /// As [`Server::start`], in a prepared folder. `answers` waits for the server and returns whether it came up.
    pub(crate) fn start_in(
        folder: tempfile::TempDir,
        build: impl Fn(u16, &Path) -> Command,
        answers: impl Fn(u16, &mut Child) -> bool,
    ) -> Self {
        // Another program may take the port before the server starts: then try another port.
        for _ in 0..10 {
            let port = free_port();
            let mut command = build(port, folder.path());
            let mut process = spawn(&mut command);
            if answers(port, &mut process) {
                let frozen = AtomicBool::new(false);
                return Self { process, port, folder, command, dead: false, frozen };
            }
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("redis-server does not start: {:?}", build(0, folder.path()));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it runs: neither killed nor frozen.
    pub(crate) fn living(&self) -> bool {
        !self.dead && !self.frozen.load(Ordering::SeqCst)
    }

    /// Ends it with SIGKILL, frozen or not.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.dead = true;
    }

    /// Starts it again on the same port and folder.
    pub(crate) fn revive(&mut self) {
        assert!(self.dead, "the server on port {} was not killed", self.port);
        self.process = spawn(&mut self.command);
        assert!(answers(self.port, &mut self.process), "redis-server does not start again");
        self.dead = false;
        self.frozen.store(false, Ordering::SeqCst);
    }

    /// Freezes it with SIGSTOP: its connections stay open, but nothing is answered.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
        signal(&self.process, "STOP");
    }

    /// Continues a frozen server.
    pub(crate) fn thaw(&self) {
        signal(&self.process, "CONT");
        self.frozen.store(false, Ordering::SeqCst);
    }

    /// What `redis-cli` prints about a command.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        assert!(self.living(), "the server on port {} is dead or frozen: {command:?}", self.port);
        let port = self.port.to_string();
        let asked = Command::new("redis-cli").args(["-p", &port]).args(command).output();
        let asked = asked.unwrap_or_else(|error| panic!("cannot start redis-cli: {error}"));
        let complaint = String::from_utf8_lossy(&asked.stderr);
        assert!(asked.status.success(), "redis-cli -p {port} {command:?}: {complaint}");
        String::from_utf8_lossy(&asked.stdout).trim_end().to_owned()
    }

    /// As [`Server::ask`], for a command that must be answered with OK.
    pub(crate) fn order(&self, command: &[&str]) {
        let answer = self.ask(command);
        assert_eq!(answer, "OK", "{command:?} on port {}", self.port);
    }

    /// Its replication offset.
    pub(crate) fn offset(&self) -> Result<u64, String> {
        let info = self.talk(&["INFO replication"])?;
        // A replica reports both; neither includes writes that it received and did not apply yet.
        let lines = ["slave_repl_offset:", "master_repl_offset:"].into_iter();
        let mut offsets =
            lines.filter_map(|name| info.lines().find_map(|line| line.strip_prefix(name)));
        let offset = offsets.next().and_then(|offset| offset.parse().ok());
        offset.ok_or_else(|| format!("the server on port {} has no offset", self.port))
    }

    /// Whether it has its master's writes up to `offset`.
    pub(crate) fn has(&self, offset: u64) -> Result<(), String> {
        let mine = self.offset()?;
        if mine < offset {
            return Err(format!("the server on port {} has {mine} of {offset} bytes", self.port));
        }
        Ok(())
    }

    /// The raw replies to several commands. Arguments must not need quoting.
    pub(crate) fn talk(&self, commands: &[&str]) -> Result<String, String> {
        talk(self.port, commands)
            .map_err(|error| format!("the server on port {} does not answer: {error}", self.port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server that tests start: `redis-server`, or the one that this variable names, for instance a `valkey-server`.
pub fn program() -> Command {
    Command::new(std::env::var_os("TEST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into()))
}

/// A `redis-server` for this machine only.
pub(crate) fn command(port: u16, folder: &Path, options: &[&str]) -> Command {
    let mut command = program();
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.arg("--dir").arg(folder).args(options);
    command
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap_or_else(|error| {
        panic!("cannot start redis-server ({error}); install it, for instance with `apt-get install redis-server`")
    })
}

/// A free port below the range of outgoing connections: one of those could take the port of a killed server, and a client
/// that keeps connecting to such a port may connect to itself. The bus port of a Cluster node, 10000 higher, is below that
/// range too.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    // Random, so that parallel tests seldom try the same one.
    let any = || u16::try_from(11_000 + RandomState::new().hash_one(0) % 10_000).unwrap();
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(any).take(1000).find(free).unwrap()
}

/// Waits until this process answers and has loaded its data. Another test's server may have taken the port first.
fn answers(port: u16, process: &mut Child) -> bool {
    let mine = format!("process_id:{}\r\n", process.id());
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        let ready = |info: String| info.contains(&mine) && !info.contains("loading:1");
        if talk(port, &["INFO server", "INFO persistence"]).is_ok_and(ready) {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    false
}

fn talk(port: u16, commands: &[&str]) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    let lines: String = commands.iter().map(|line| format!("{line}\r\n")).collect();
    connection.write_all(lines.as_bytes())?;
    // A server closes when it finds no more input, which ends the reading. Sentinels have no QUIT.
    connection.shutdown(Shutdown::Write)?;
    let mut replies = String::new();
    connection.read_to_string(&mut replies)?;
    Ok(replies)
}
