//! A private `redis-server` for one test, on a free port and in an empty folder. Stopped at the end of the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{KEEPS_ALL, KEEPS_NOTHING, Server, command};

/// The authority's certificate in a secured server's folder.
const CA: &str = "ca.crt";

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct TestRedis {
    server: Server,
}

impl TestRedis {
    /// Starts a server that keeps nothing on disk.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server` or it does not start.
    pub fn start() -> Self {
        Self { server: Server::start(|port, folder| command(port, folder, KEEPS_NOTHING)) }
    }

    /// Starts a server that keeps everything on disk, for tests that restart it.
    ///
    /// # Panics
    ///
    /// As [`TestRedis::start`].
    pub fn start_durable() -> Self {
        Self { server: Server::start(|port, folder| command(port, folder, KEEPS_ALL)) }
    }

    /// Starts a server that speaks only TLS and admits only the users of an ACL file. [`TestRedis::ca`] is the certificate that
    /// signed its own.
    ///
    /// # Panics
    ///
    /// When there is no `openssl` or the server does not start.
    pub fn start_secured(acl: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let secured = |port: u16, folder: &Path| {
            // The later `--port` counts: no port without TLS.
            let mut command = command(port, folder, KEEPS_NOTHING);
            command.args(["--port", "0", "--tls-port", &port.to_string()]);
            command.args(["--tls-auth-clients", "no"]).arg("--aclfile").arg(acl);
            for (option, file) in [
                ("--tls-cert-file", "server.crt"),
                ("--tls-key-file", "server.key"),
                ("--tls-ca-cert-file", CA),
            ] {
                command.arg(option).arg(folder.join(file));
            }
            command
        };
        let ca = folder.path().join(CA);
        let answers = |port, process: &mut Child| answers_tls(port, &ca, process);
        Self { server: Server::start_in(folder, secured, answers) }
    }

    /// Its address for a user of [`TestRedis::start_secured`].
    pub fn secured_url(&self, user: &str, password: &str) -> String {
        format!("rediss://{user}:{password}@127.0.0.1:{}", self.server.port())
    }

    /// The certificate that signed a secured server's own.
    pub fn ca(&self) -> PathBuf {
        self.server.folder().join(CA)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.server.port())
    }

    /// Ends it with SIGKILL. Its port stays free unless another program takes it.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again on the same port and folder.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn revive(&mut self) {
        self.server.revive();
    }

    /// Freezes it with SIGSTOP: its connections stay open, but nothing is answered.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn freeze(&self) {
        self.server.freeze();
    }

    /// Continues a frozen server.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn thaw(&self) {
        self.server.thaw();
    }

    /// What `redis-cli` prints about a command.
    ///
    /// # Panics
    ///
    /// When it is dead or frozen.
    pub fn ask(&self, command: &[&str]) -> String {
        self.server.ask(command)
    }
}

/// Creates an authority, and a certificate of it for this machine.
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

/// Waits until the process answers over TLS. A request for a password counts as an answer.
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
