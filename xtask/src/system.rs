//! The programs of the product on this machine, with a Redis and a simulated Telegram.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::chat;
use crate::paths::target_dir;
use crate::redis::Redis;
use crate::service::{Service, shut_down};
use crate::stop::Stop;

/// The simulator takes any token of this form; this one cannot be a real bot's.
pub(crate) const SIMULATED_TOKEN: &str = "123456:SIMULATOR";
/// A worker compiles its plugins at the first start, in a development build, and has 120 s for each.
const READY_BOUND: Duration = Duration::from_secs(150);
/// Parts of lines of a log that say that something is wrong.
const TROUBLE: [&str; 2] = [" WARN ", " ERROR "];
const STOP_BOUND: Duration = Duration::from_secs(10);

/// Where the programs and the plugins are.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder with the programs.
    pub(crate) programs: PathBuf,
    /// The folder in which they run; `plugins` is in it.
    pub(crate) folder: PathBuf,
}

impl Place {
    /// What this workspace built.
    pub(crate) fn built(root: &Path) -> Self {
        Self { programs: target_dir(root).join("debug"), folder: root.to_owned() }
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(&self.folder);
        command
    }
}

/// Everything that runs; dropping it ends it all, Redis last.
#[derive(Debug)]
pub(crate) struct System {
    place: Place,
    stop: Stop,
    services: Vec<Service>,
    redis: Option<Redis>,
    redis_url: String,
    simulator: Option<String>,
    logs: TempDir,
}

impl System {
    /// Starts what the programs need: Redis, unless `REDIS_URL` names one, and a simulated Telegram if it is wanted.
    pub(crate) fn start(place: Place, is_simulated: bool, stop: &Stop) -> anyhow::Result<Self> {
        let logs = tempfile::tempdir().context("creating a folder for logs")?;
        let (redis, redis_url) = match env::var("REDIS_URL") {
            Ok(url) if !url.is_empty() => {
                println!("using the Redis of REDIS_URL");
                (None, url)
            }
            _ => {
                let redis = Redis::start(stop)?;
                println!("redis ready");
                let url = redis.url();
                (Some(redis), url)
            }
        };
        let stop = stop.clone();
        let services = Vec::new();
        let mut system = Self { place, stop, services, redis, redis_url, simulator: None, logs };
        if is_simulated {
            system.start_simulator()?;
        }
        Ok(system)
    }

    /// The address of the simulated Telegram.
    pub(crate) fn simulator(&self) -> Option<&str> {
        self.simulator.as_deref()
    }

    /// The server that was started for this system.
    pub(crate) fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    fn start_simulator(&mut self) -> anyhow::Result<()> {
        let mut command = self.place.program("telegram-simulator");
        command.args(["--listen", "127.0.0.1:0"]);
        let stop = self.stop.clone();
        let service = self.add("simulator", &mut command)?;
        let address = service.wait_for_line("its address", READY_BOUND, &stop, |line| {
            line.strip_prefix("listening on ").map(|address| address.trim().to_owned())
        })?;
        println!("simulator ready");
        self.simulator = Some(address);
        Ok(())
    }

    /// Starts a worker with the plugins of its place.
    pub(crate) fn start_worker(&mut self) -> anyhow::Result<()> {
        let plugins = self.place.folder.join("plugins");
        self.start_worker_with("worker", &plugins, &[])
    }

    /// Starts a worker with a name, a plugin folder and settings of its own.
    pub(crate) fn start_worker_with(
        &mut self,
        name: &'static str,
        plugins: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut command = self.place.program("worker");
        command.arg("--plugins").arg(plugins).args(["--redis-url", &self.redis_url]);
        command.envs(settings.iter().copied());
        let stop = self.stop.clone();
        let service = self.add(name, &mut command)?;
        let ready = |line: &str| line.strip_prefix("ready:").map(str::to_owned);
        let plugins = service.wait_for_line("its `ready:` line", READY_BOUND, &stop, ready)?;
        println!("{name} ready:{plugins}");
        // A file that was refused is no plugin of that line.
        service.tell_new_lines(&TROUBLE)
    }

    /// Starts the coordinator, for the real bot of a token or for the simulated Telegram.
    pub(crate) fn start_coordinator(
        &mut self,
        real_token: Option<&str>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut command = self.place.program("coordinator");
        command.env("REDIS_URL", &self.redis_url);
        command.env("TELEGRAM_BOT_TOKEN", real_token.unwrap_or(SIMULATED_TOKEN));
        command.envs(settings.iter().copied());
        let simulator = self.simulator.clone();
        if let Some(address) = &simulator {
            command.env("TELEGRAM_API_URL", address);
        }
        let stop = self.stop.clone();
        let service = self.add("coordinator", &mut command)?;
        // The real Telegram does not tell. There the user sees it in the chat.
        if let Some(address) = simulator {
            service.wait_until("call for updates", READY_BOUND, &stop, |_| {
                chat::bot_is_there(&address).then_some(())
            })?;
            println!("coordinator ready");
        }
        Ok(())
    }

    /// Ends a program with SIGKILL, as if its server had died.
    pub(crate) fn kill(&mut self, name: &str) {
        self.services.retain(|service| service.name() != name);
    }

    fn add(&mut self, name: &'static str, command: &mut Command) -> anyhow::Result<&mut Service> {
        self.services.push(Service::start(name, command, self.logs.path())?);
        self.services.last_mut().context("a service was just added")
    }

    /// Runs until Ctrl-C, and prints trouble and each plugin that comes into force; fails when one of the programs ends by itself.
    pub(crate) fn stay(&mut self) -> anyhow::Result<()> {
        let news = [&TROUBLE[..], &["plugin published"]].concat();
        while !self.stop.requested() {
            let redis = self.redis.as_mut().map(Redis::service);
            for service in self.services.iter_mut().chain(redis) {
                if let Some(status) = service.ended() {
                    bail!("{} ended by itself ({status})\n{}", service.name(), service.tail());
                }
                service.tell_new_lines(&news)?;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        println!("\nending");
        Ok(())
    }

    /// The end of each program's log, for a failure's text.
    pub(crate) fn logs(&self) -> String {
        let tails: Vec<_> = self.services.iter().map(Service::tail).collect();
        tails.join("\n")
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Redis is dropped afterwards with its own field: a worker needs it to return its tasks while it ends.
        shut_down(std::mem::take(&mut self.services), STOP_BOUND);
    }
}
