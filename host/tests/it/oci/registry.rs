//! A real registry on this machine: Debian's `docker-registry`.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use test_kit::free_port;

pub(crate) const USER: &str = "me";
pub(crate) const PASSWORD: &str = "hunter2 %41";
/// The password as bcrypt, which is all that the registry takes.
const HASHED: &str = "me:$2b$04$AgK.u32M8U7P9RZVJhlO3uXO.cd3W5HI8CfOp426d2911qeK89.RG\n";

/// What a test says that needs one and has none.
pub(crate) const NO_REGISTRY: &str =
    "skipped: there is no docker-registry; `apt-get install docker-registry` brings one";

/// A registry with its own folder. Killed when dropped.
pub(crate) struct TestRegistry {
    process: Child,
    folder: tempfile::TempDir,
    host: String,
}

impl TestRegistry {
    /// None when the program is not on this machine.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    pub(crate) fn start_with_password() -> Option<Self> {
        Self::start_with("auth: {htpasswd: {realm: test, path: htpasswd}}\n")
    }

    fn start_with(auth: &str) -> Option<Self> {
        if !on_path("docker-registry") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("htpasswd"), HASHED).unwrap();
        // Another program may take the port before the registry does.
        for _ in 0..10 {
            let host = format!("127.0.0.1:{}", free_port());
            let settings = format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: \
                 data}}}}\nhttp: {{addr: \"{host}\", secret: x}}\n{auth}"
            );
            std::fs::write(folder.path().join("registry.yml"), settings).unwrap();
            let mut process = Command::new("docker-registry")
                .args(["serve", "registry.yml"])
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if answers(&host, &mut process) {
                return Some(Self { process, folder, host });
            }
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("docker-registry does not start")
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn address(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.host)
    }

    /// The file of a blob or manifest, by its SHA-256 in hex.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(digest.split_at(2).0).join(digest).join("data")
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answers(host: &str, process: &mut Child) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(host).is_ok() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    false
}

pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// `user:password` in base64.
pub(crate) fn encoded(user: &str, password: &str) -> String {
    use std::io::Write;
    let mut base64 =
        Command::new("base64").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = format!("{user}:{password}");
    base64.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = base64.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What `docker login` leaves in a home.
pub(crate) fn login(home: &Path, host: &str, user: &str, password: &str) {
    std::fs::create_dir_all(home.join(".docker")).unwrap();
    let file = json!({"auths": {host: {"auth": encoded(user, password)}}}).to_string();
    std::fs::write(home.join(".docker/config.json"), file).unwrap();
}

/// Writes a program `docker-credential-NAME`.
pub(crate) fn helper(folder: &Path, name: &str, user: &str, password: &str) {
    let path = folder.join(format!("docker-credential-{name}"));
    let answer = json!({"ServerURL": "x", "Username": user, "Secret": password});
    std::fs::write(&path, format!("#!/bin/sh\n[ \"$1\" = get ] && echo '{answer}'\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
