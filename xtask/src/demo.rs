//! `cargo xtask demo`: the whole product on this machine, with a simulated Telegram.
//!
//! [`script`] has the conversation; [`crate::system`] starts and ends programs.

pub(crate) mod script;

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, ensure};

use crate::build_plugins::BuildPlugins;
use crate::chat::Chat;
use crate::command::run;
use crate::load::Load;
use crate::stop::Stop;
use crate::system::{Place, System};
use crate::toolchain;

const CHAT_ID: i64 = 100;

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
    /// So many people ask the bot without a pause, so that the dashboard shows something.
    #[arg(long, value_name = "PEOPLE", default_value_t = 0, conflicts_with_all = ["once", "real"])]
    load: u16,
}

impl Demo {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let token = self.real_token()?;
        let stop = Stop::on_signals()?;
        build(root)?;
        let mut system = System::start(Place::built(root), token.is_none(), &stop)?;
        system.start_worker()?;
        let dashboard = format!("127.0.0.1:{}", test_kit::free_port());
        system.start_coordinator(token.as_deref(), &[("ADMIN_LISTEN", &dashboard)])?;
        let Some(simulator) = system.simulator().map(str::to_owned) else {
            println!("\nready: write to your bot in Telegram; dashboard: http://{dashboard}");
            println!("Ctrl-C ends the demo");
            return system.stay();
        };
        play(&system, &stop)?;
        if self.once {
            println!("\nevery answer was right");
            return Ok(());
        }
        let _load = Load::start(&simulator, self.load, &stop)?;
        println!("\ngo on in the browser: {simulator}/?chat={CHAT_ID}");
        println!("dashboard: http://{dashboard}\nCtrl-C ends the demo");
        system.stay()
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

/// Builds the plugins and the programs.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    BuildPlugins::default().run(root)?;
    println!("building the programs");
    let mut cargo = toolchain::clean_cargo(root);
    cargo.args(["build", "--locked", "-p", "coordinator", "-p", "simulator", "-p", "host"]);
    run(&mut cargo)
}

/// Plays the conversation with the programs of `place` and a Redis and a Telegram of this machine.
pub(crate) fn play_once(place: Place, stop: &Stop) -> anyhow::Result<()> {
    let mut system = System::start(place, true, stop)?;
    system.start_worker()?;
    system.start_coordinator(None, &[])?;
    play(&system, stop)
}

fn play(system: &System, stop: &Stop) -> anyhow::Result<()> {
    let simulator = system.simulator().context("the simulator was just started")?;
    let played = script::play(&mut Chat::open(simulator, CHAT_ID, stop)?);
    played.inspect_err(|_| println!("\n{}", system.logs()))
}
