//! A Docker engine: the one that answers, or one of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::command::capture;
use crate::debian::{as_root, find, install};
use crate::service::{Service, shut_down};
use crate::stop::Stop;

const START_BOUND: Duration = Duration::from_secs(60);
const STOP_BOUND: Duration = Duration::from_secs(30);
/// The client of the Debian package, which brings what builds images; another one on `PATH` may lack it.
const DEBIAN_CLIENT: &str = "/usr/bin/docker";

/// Commands for one engine.
#[derive(Debug)]
pub(super) struct Engine {
    client: PathBuf,
    /// The socket of our own engine.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    socket: String,
    daemon: Vec<Service>,
    /// Sockets and process files; removed with the engine.
    _runtime: TempDir,
}

impl Engine {
    /// Takes the engine that answers, or starts one whose data is in `folder`.
    pub(super) fn find_or_start(folder: &Path, stop: &Stop) -> anyhow::Result<Self> {
        if let Some(client) = find("docker")
            && capture(Command::new(&client).args(["info"])).is_ok()
        {
            println!("using the Docker engine that runs");
            return Ok(Self { client, own: None });
        }
        let missing: Vec<&str> = [("dockerd", "docker.io"), ("docker-compose", "docker-compose")]
            .into_iter()
            .filter(|(program, _)| find(program).is_none())
            .map(|(_, package)| package)
            .collect();
        if !missing.is_empty() {
            install(&missing)?;
        }
        let client = Path::new(DEBIAN_CLIENT);
        ensure!(client.is_file(), "there is no {DEBIAN_CLIENT} (Debian's package docker.io)");
        println!("starting a Docker engine of our own");
        let runtime = tempfile::tempdir().context("creating a folder for sockets")?;
        let socket = format!("unix://{}", runtime.path().join("docker.sock").display());
        let data = folder.join("engine");
        fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
        let mut command = as_root("dockerd")?;
        command.args(["--host", &socket, "--data-root"]).arg(data);
        command.arg("--exec-root").arg(runtime.path().join("exec"));
        command.arg("--pidfile").arg(runtime.path().join("pid"));
        let mut daemon = Service::start("dockerd", &mut command, runtime.path())?;
        let docker = |arguments: &[&str]| {
            let mut command = Command::new(client);
            command.env("DOCKER_HOST", &socket).args(arguments);
            command
        };
        daemon
            .wait_until("an answer", START_BOUND, stop, |_| capture(&mut docker(&["info"])).ok())?;
        let own = Own { socket, daemon: vec![daemon], _runtime: runtime };
        Ok(Self { client: client.to_owned(), own: Some(own) })
    }

    /// `docker …`
    pub(super) fn docker(&self) -> Command {
        self.command(&self.client)
    }

    /// `docker compose …`, by the plugin or by the older program.
    pub(super) fn compose(&self) -> Command {
        let mut plugin = self.docker();
        if capture(plugin.args(["compose", "version"])).is_ok() {
            let mut command = self.docker();
            command.arg("compose");
            return command;
        }
        self.command(Path::new("docker-compose"))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("DOCKER_BUILDKIT", "1");
        if let Some(own) = &self.own {
            command.env("DOCKER_HOST", &own.socket);
        }
        command
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        shut_down(std::mem::take(&mut self.daemon), STOP_BOUND);
    }
}
