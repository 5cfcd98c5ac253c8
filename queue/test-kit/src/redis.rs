//! A private `redis-server` for one test: a free port, an empty folder, gone with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The authority's certificate in a secured server's folder.
const CA: &str = "ca.crt";
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

    /// Starts a server that speaks TLS only and lets in only the users of an ACL file. The certificate that its own is
    /// signed by lies at [`TestRedis::ca`].
    ///
    /// # Panics
    ///
    /// When there is no `openssl` or the server does not start.
    pub fn start_secured(acl: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new("redis-server");
            command.args(["--port", "0", "--bind", "127.0.0.1", "--tls-auth-clients", "no"]);
            command.args(["--tls-port", &port.to_string(), "--save", "", "--appendonly", "no"]);
            for (option, file) in [
                ("--tls-cert-file", "server.crt"),
                ("--tls-key-file", "server.key"),
                ("--tls-ca-cert-file", CA),
            ] {
                command.arg(option).arg(folder.path().join(file));
            }
            command.arg("--aclfile").arg(acl).arg("--dir").arg(folder.path());
            let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            if answers_tls(port, &folder.path().join(CA), &mut process) {
                return Self { process, port, folder, options: KEEPS_NOTHING };
            }
        }
        panic!("redis-server does not start with TLS and {}", acl.display());
    }

    /// Where it is for a user of [`TestRedis::start_secured`].
    pub fn secured_url(&self, user: &str, password: &str) -> String {
        format!("rediss://{user}:{password}@127.0.0.1:{}", self.port)
    }

    /// The certificate that a secured server's own is signed by.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join(CA)
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

/// An authority, and a certificate of it for this machine.
fn certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let made = Command::new("openssl").args(arguments).current_dir(folder).output();
        let made = made.unwrap_or_else(|error| panic!("cannot start openssl: {error}"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority =
        ["req", "-x509", "-days", "2", "-subj", "/CN=test", "-keyout", "ca.key", "-out", CA];
    openssl(&[&authority[..], &key].concat());
    let request = ["req", "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr"];
    openssl(&[&request[..], &key].concat());
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        "server.csr",
        "-CA",
        CA,
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-extfile",
        "names",
        "-out",
        "server.crt",
    ]);
}

/// Waits until the process answers over TLS; that it asks for a password is an answer too.
fn answers_tls(port: u16, ca: &Path, process: &mut Child) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until && process.try_wait().unwrap().is_none() {
        let mut ping = Command::new("redis-cli");
        ping.args(["--tls", "-p", &port.to_string(), "--cacert"]).arg(ca).arg("PING");
        if ping.stderr(Stdio::null()).output().is_ok_and(|asked| !asked.stdout.is_empty()) {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    false
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
