//! `cargo xtask demo`: the whole product on this machine, with a simulated Telegram.
//!
//! [`script`] has the conversation; [`crate::service`] starts and ends programs.

pub(crate) mod script;

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::build_plugins::BuildPlugins;
use crate::chat::{self, Chat};
use crate::command::run;
use crate::paths::target_dir;
use crate::redis::Redis;
use crate::service::{Service, shut_down};
use crate::stop::Stop;
use crate::toolchain;

/// The simulator takes any token of this form; this one cannot be a real bot's.
pub(crate) const SIMULATED_TOKEN: &str = "123456:SIMULATOR";
const CHAT_ID: i64 = 100;
/// A worker compiles its plugins at the first start, in a development build.
const READY_BOUND: Duration = Duration::from_secs(60);
const STOP_BOUND: Duration = Duration::from_secs(10);

/// Starts Redis, a simulated Telegram, the coordinator and a worker, and plays a conversation.
///
/// Uses `REDIS_URL` when it is set. With `TELEGRAM_BOT_TOKEN` set it can serve the real bot.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// End after the conversation; fails when an answer is wrong.
    #[arg(long)]
    once: bool,
    /// Serve the real bot of `TELEGRAM_BOT_TOKEN` instead of the simulator, without asking.
    #[arg(long, conflicts_with = "once")]
    real: bool,
}

impl Demo {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let token = self.real_token()?;
        let stop = Stop::on_signals()?;
        build(root)?;
        let mut system = System::start(&Place::built(root), token.as_deref(), &stop)?;
        let Some(simulator) = system.simulator.clone() else {
            println!("\nready: write to your bot in Telegram; Ctrl-C ends the demo");
            return system.stay(&stop);
        };
        let played = script::play(&mut Chat::open(&simulator, CHAT_ID, &stop)?);
        played.inspect_err(|_| println!("\n{}", system.logs()))?;
        if self.once {
            println!("\nevery answer was right");
            return Ok(());
        }
        println!("\ngo on in the browser: {simulator}/?chat={CHAT_ID}\nCtrl-C ends the demo");
        system.stay(&stop)
    }

    /// The real bot's token, if the user wants it to be used.
    fn real_token(&self) -> anyhow::Result<Option<String>> {
        let token = env::var("TELEGRAM_BOT_TOKEN").ok().filter(|token| !token.is_empty());
        let Some(token) = token else {
            ensure!(!self.real, "--real needs the bot's token in TELEGRAM_BOT_TOKEN");
            return Ok(None);
        };
        if self.once {
            return Ok(None);
        }
        let accepted = self.real || (io::stdin().is_terminal() && ask_for_real()?);
        if !accepted {
            println!("TELEGRAM_BOT_TOKEN is set but not used: this is the simulator (see --real)");
        }
        Ok(accepted.then_some(token))
    }
}

fn ask_for_real() -> anyhow::Result<bool> {
    print!("TELEGRAM_BOT_TOKEN is set. Use the real Telegram instead of the simulator? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn build(root: &Path) -> anyhow::Result<()> {
    BuildPlugins::default().run(root)?;
    println!("building the programs");
    let mut cargo = toolchain::clean_cargo(root);
    cargo.args(["build", "--locked", "-p", "coordinator", "-p", "simulator", "-p", "host"]);
    run(&mut cargo)
}

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
    fn built(root: &Path) -> Self {
        Self { programs: target_dir(root).join("debug"), folder: root.to_owned() }
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(&self.folder);
        command
    }
}

/// Plays the conversation with the programs of `place` and a Redis and a Telegram of this machine.
pub(crate) fn play_once(place: &Place, stop: &Stop) -> anyhow::Result<()> {
    let system = System::start(place, None, stop)?;
    let simulator = system.simulator.as_deref().context("the simulator was just started")?;
    let played = script::play(&mut Chat::open(simulator, CHAT_ID, stop)?);
    played.inspect_err(|_| println!("\n{}", system.logs()))
}

/// Everything that runs; dropping it ends it all, Redis last.
struct System {
    services: Vec<Service>,
    redis: Option<Redis>,
    simulator: Option<String>,
    logs: TempDir,
}

impl System {
    fn start(place: &Place, real_token: Option<&str>, stop: &Stop) -> anyhow::Result<Self> {
        let logs = tempfile::tempdir().context("creating a folder for logs")?;
        let mut system = Self { services: Vec::new(), redis: None, simulator: None, logs };
        let redis_url = match env::var("REDIS_URL") {
            Ok(url) if !url.is_empty() => {
                println!("using the Redis of REDIS_URL");
                url
            }
            _ => {
                let redis = system.redis.insert(Redis::start(stop)?);
                println!("redis ready");
                redis.url()
            }
        };
        if real_token.is_none() {
            system.start_simulator(place, stop)?;
        }
        system.start_worker(place, &redis_url, stop)?;
        system.start_coordinator(place, real_token, &redis_url, stop)?;
        Ok(system)
    }

    fn start_simulator(&mut self, place: &Place, stop: &Stop) -> anyhow::Result<()> {
        let mut command = place.program("telegram-simulator");
        command.args(["--listen", "127.0.0.1:0"]);
        let service = self.add("simulator", &mut command)?;
        let address = service.wait_for_line("its address", READY_BOUND, stop, |line| {
            line.strip_prefix("listening on ").map(|address| address.trim().to_owned())
        })?;
        println!("simulator ready");
        self.simulator = Some(address);
        Ok(())
    }

    fn start_worker(&mut self, place: &Place, redis_url: &str, stop: &Stop) -> anyhow::Result<()> {
        let mut command = place.program("worker");
        command.arg("--plugins").arg(place.folder.join("plugins")).args(["--redis-url", redis_url]);
        let service = self.add("worker", &mut command)?;
        let ready = |line: &str| line.strip_prefix("ready:").map(str::to_owned);
        let plugins = service.wait_for_line("its `ready:` line", READY_BOUND, stop, ready)?;
        println!("worker ready:{plugins}");
        Ok(())
    }

    fn start_coordinator(
        &mut self,
        place: &Place,
        real_token: Option<&str>,
        redis_url: &str,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let mut command = place.program("coordinator");
        command.env("REDIS_URL", redis_url);
        command.env("TELEGRAM_BOT_TOKEN", real_token.unwrap_or(SIMULATED_TOKEN));
        let simulator = self.simulator.clone();
        if let Some(address) = &simulator {
            command.env("TELEGRAM_API_URL", address);
        }
        let service = self.add("coordinator", &mut command)?;
        // The real Telegram does not tell. There the user sees it in the chat.
        if let Some(address) = simulator {
            service.wait_until("call for updates", READY_BOUND, stop, |_| {
                chat::bot_is_there(&address).then_some(())
            })?;
            println!("coordinator ready");
        }
        Ok(())
    }

    fn add(&mut self, name: &'static str, command: &mut Command) -> anyhow::Result<&mut Service> {
        self.services.push(Service::start(name, command, self.logs.path())?);
        self.services.last_mut().context("a service was just added")
    }

    /// Runs until Ctrl-C; fails when one of the programs ends by itself.
    fn stay(&mut self, stop: &Stop) -> anyhow::Result<()> {
        while !stop.requested() {
            let redis = self.redis.as_mut().map(Redis::service);
            for service in self.services.iter_mut().chain(redis) {
                if let Some(status) = service.ended() {
                    bail!("{} ended by itself ({status})\n{}", service.name(), service.tail());
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        println!("\nending");
        Ok(())
    }

    fn logs(&self) -> String {
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
