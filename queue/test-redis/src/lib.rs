//! A private `redis-server` for one test: a free port, an empty folder, gone with the test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper reports failure by panicking"
)]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct TestRedis {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl TestRedis {
    /// Starts a server that keeps nothing on disk.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server` or it does not start.
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// Starts a server that keeps everything on disk, for tests that restart it.
    ///
    /// # Panics
    ///
    /// As [`TestRedis::start`].
    pub fn start_durable() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The port may be taken between our look and the server's start: then look again.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut process = spawn(port, &folder, options);
            if answers(port, &mut process) {
                return Self { process, port, folder };
            }
        }
        panic!(
            "redis-server does not start; install it, for instance with `apt-get install redis-server`"
        );
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it and starts it again on the same port and folder after `pause`.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn restart(&mut self, pause: Duration) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let until = Instant::now() + pause;
        while Instant::now() < until {
            std::thread::park_timeout(until - Instant::now());
        }
        let options = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
        self.process = spawn(self.port, &self.folder, &options);
        assert!(answers(self.port, &mut self.process), "redis-server does not start again");
    }
}

fn spawn(port: u16, folder: &tempfile::TempDir, options: &[&str]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .arg("--dir")
        .arg(folder.path())
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot start redis-server ({error}); install it, for instance with `apt-get install redis-server`")
        })
}

fn answers(port: u16, process: &mut Child) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    false
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
