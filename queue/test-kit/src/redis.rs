//! A private `redis-server` for one test: a free port, an empty folder, gone with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KEEPS_NOTHING: &[&str] = &["--save", "", "--appendonly", "no"];
const KEEPS_ALL: &[&str] = &["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct TestRedis {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
    options: &'static [&'static str],
}

impl TestRedis {
    /// Starts a server that keeps nothing on disk.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server` or it does not start.
    pub fn start() -> Self {
        Self::start_with(KEEPS_NOTHING)
    }

    /// Starts a server that keeps everything on disk, for tests that restart it.
    ///
    /// # Panics
    ///
    /// As [`TestRedis::start`].
    pub fn start_durable() -> Self {
        Self::start_with(KEEPS_ALL)
    }

    fn start_with(options: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The port may be taken between our look and the server's start: then look again.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut process = spawn(port, &folder, options);
            if answers(port, &mut process) {
                return Self { process, port, folder, options };
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

    /// Ends it with SIGKILL. Its port stays its own as far as nobody else takes it.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port and folder.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn revive(&mut self) {
        self.process = spawn(self.port, &self.folder, self.options);
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

/// Waits until this very process answers: another test's server may have taken the port first.
fn answers(port: u16, process: &mut Child) -> bool {
    let mine = format!("process_id:{}\r\n", process.id());
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if info(port).is_ok_and(|info| info.contains(&mine)) {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    false
}

fn info(port: u16) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    // QUIT closes the connection, so that reading to the end ends.
    connection.write_all(b"INFO server\r\nQUIT\r\n")?;
    let mut info = String::new();
    connection.read_to_string(&mut info)?;
    Ok(info)
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
