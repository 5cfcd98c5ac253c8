//! docker-compose.yml, running: a copy of it with plugins of its own, so that a swap changes nothing in the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::engine::Engine;
use crate::chat::bot_is_there;
use crate::command::{capture, last_lines};
use crate::debian::as_root;
use crate::paths::target_dir;
use crate::stop::Stop;
use crate::system::SIMULATED_TOKEN;

/// A worker compiles its plugins at the first start.
const BOUND: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const LOG_LINES: usize = 40;
const NAME: &str = "freefans-compose-test";

/// The running system; ended when dropped, with its volumes.
pub(super) struct Project<'a> {
    engine: &'a Engine,
    folder: PathBuf,
}

/// A container that was killed.
pub(super) struct Killed {
    container: String,
    process: String,
}

impl<'a> Project<'a> {
    /// Starts everything, with `workers` workers, and waits until the bot fetches updates and each worker is ready.
    pub(super) fn start(
        engine: &'a Engine,
        root: &Path,
        folder: &Path,
        workers: usize,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let folder = folder.join("project");
        let _ = fs::remove_dir_all(&folder); // Left by a run that was killed; else there is none.
        copy_plugins(&root.join("plugins"), &folder.join("plugins"))?;
        let file = "docker-compose.yml";
        fs::copy(root.join(file), folder.join(file)).with_context(|| format!("copying {file}"))?;
        let simulator = target_dir(root).join("debug/telegram-simulator");
        let write = |name: &str, text: String| {
            fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))
        };
        write("docker-compose.override.yml", with_simulator(&simulator))?;
        let settings = format!(
            "TELEGRAM_BOT_TOKEN={SIMULATED_TOKEN}\nTELEGRAM_API_URL=http://telegram:8081\nLOG_FORMAT=text\n"
        );
        write(".env", settings)?;
        let project = Self { engine, folder };
        project.compose(&["down", "--volumes", "--remove-orphans"])?;
        let scale = format!("worker={workers}");
        project.compose(&["up", "--detach", "--no-build", "--scale", &scale])?;
        let started = project.wait("the first call for updates", stop, |project| {
            Ok(bot_is_there(&project.simulator()?).then_some(()))
        });
        let started = started.and_then(|()| project.wait_for_swap(workers, "ready:", stop));
        started.inspect_err(|_| println!("\n{}", project.logs()))?;
        Ok(project)
    }

    /// The address of the simulated Telegram.
    pub(super) fn simulator(&self) -> anyhow::Result<String> {
        let container = self.containers("telegram")?.into_iter().next();
        let container = container.context("there is no container for Telegram")?;
        let port = capture(self.engine.docker().args(["port", &container, "8081/tcp"]))?;
        let address = port.lines().next().context("Telegram's container has no port")?;
        Ok(format!("http://{address}"))
    }

    /// Kills the main process of a service's first container, as a crash would.
    pub(super) fn kill(&self, service: &str) -> anyhow::Result<Killed> {
        let container = self.containers(service)?.into_iter().next();
        let container = container.with_context(|| format!("no container of {service} runs"))?;
        let process = self.process(&container)?;
        ensure!(process != "0", "the container of {service} does not run");
        println!("\n  kill -9 {process} ({service})");
        capture(as_root("kill")?.args(["-9", &process]))?;
        Ok(Killed { container, process })
    }

    /// Waits until Docker has started the container again.
    pub(super) fn wait_until_back(&self, killed: &Killed, stop: &Stop) -> anyhow::Result<()> {
        self.wait("the container's restart", stop, |project| {
            let process = project.process(&killed.container)?;
            Ok((process != "0" && process != killed.process).then_some(()))
        })
    }

    /// Replaces a plugin by one that does the same, or by half of it.
    pub(super) fn swap_plugin(&self, name: &str, broken: bool) -> anyhow::Result<()> {
        let path = self.folder.join("plugins").join(name).with_extension("wasm");
        let mut component = fs::read(&path).context("reading a plugin")?;
        if broken {
            component.truncate(component.len() / 2);
        } else {
            // A custom section without a purpose: another digest, the same behaviour.
            component.extend([0, 5, 4, b's', b'w', b'a', b'p']);
        }
        let next = path.with_extension("next");
        fs::write(&next, component).context("writing a plugin")?;
        fs::rename(next, path).context("replacing a plugin")
    }

    /// Waits until each worker's log has `line` once more than before the last change.
    pub(super) fn wait_for_swap(
        &self,
        workers: usize,
        line: &str,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        self.wait(&format!("`{line}` from {workers} workers"), stop, |project| {
            let mut said = 0;
            for container in project.containers("worker")? {
                let log = project.log(&container)?;
                // What came after its last start, and after what it loaded then.
                let since = log.rfind("ready:").unwrap_or(0);
                said += usize::from(log.get(since..).unwrap_or_default().contains(line));
            }
            Ok((said >= workers).then_some(()))
        })
    }

    /// Waits until every container that has a health check passes it.
    pub(super) fn wait_until_healthy(&self, stop: &Stop) -> anyhow::Result<()> {
        let format = "{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}";
        self.wait("health", stop, |project| {
            for service in ["redis", "coordinator", "worker"] {
                for container in project.containers(service)? {
                    let mut docker = project.engine.docker();
                    let health = capture(docker.args(["inspect", "--format", format, &container]))?;
                    if health.trim() != "healthy" {
                        return Ok(None);
                    }
                }
            }
            Ok(Some(()))
        })
    }

    /// The end of all logs, for a failure's text.
    pub(super) fn logs(&self) -> String {
        match self.compose(&["logs", "--no-color"]) {
            Ok(logs) => last_lines(&logs, LOG_LINES),
            Err(error) => format!("no logs: {error:#}"),
        }
    }

    fn containers(&self, service: &str) -> anyhow::Result<Vec<String>> {
        let ids = self.compose(&["ps", "--quiet", service])?;
        Ok(ids.lines().map(str::to_owned).collect())
    }

    fn process(&self, container: &str) -> anyhow::Result<String> {
        let mut docker = self.engine.docker();
        let id = capture(docker.args(["inspect", "--format", "{{.State.Pid}}", container]))?;
        Ok(id.trim().to_owned())
    }

    fn log(&self, container: &str) -> anyhow::Result<String> {
        let mut docker = self.engine.docker();
        let output = docker.args(["logs", container]).output().context("reading a log")?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    fn compose(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut compose = self.engine.compose();
        compose.current_dir(&self.folder).env("COMPOSE_PROJECT_NAME", NAME).args(arguments);
        // This machine's own settings are not the test's.
        compose.env_remove("TELEGRAM_BOT_TOKEN").env_remove("TELEGRAM_API_URL");
        capture(&mut compose)
    }

    fn wait(
        &self,
        what: &str,
        stop: &Stop,
        is_there: impl Fn(&Self) -> anyhow::Result<Option<()>>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + BOUND;
        loop {
            ensure!(!stop.requested(), "interrupted");
            let looked = is_there(self);
            match looked {
                Ok(Some(())) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Ok(None) if Instant::now() > deadline => bail!("no {what} within {BOUND:?}"),
                // A container that is being started answers nothing yet.
                Ok(None) | Err(_) => thread::sleep(LOOK_AGAIN),
            }
        }
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.compose(&["down", "--volumes", "--remove-orphans"]) {
            println!("the containers were not removed: {error:#}");
        }
    }
}

/// Telegram as one more container, from the worker's image because that has all that the program needs.
fn with_simulator(program: &Path) -> String {
    format!(
        "services:
  telegram:
    image: freefans-worker
    entrypoint: [\"/telegram-simulator\", \"--listen\", \"0.0.0.0:8081\"]
    ports: [\"127.0.0.1::8081\"]
    volumes:
      - {}:/telegram-simulator:ro
",
        program.display()
    )
}

/// The plugins with their settings and data, without their source code.
fn copy_plugins(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to).with_context(|| format!("copying {}", from.display())).map(drop)
    };
    for folder in [to.to_owned(), to.join("data")] {
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    for (from, to) in [(from.to_owned(), to.to_owned()), (from.join("data"), to.join("data"))] {
        let entries = fs::read_dir(&from).with_context(|| format!("reading {}", from.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {}", from.display()))?;
            if entry.path().is_file() {
                copy(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}
