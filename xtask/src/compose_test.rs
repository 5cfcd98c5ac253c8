//! `cargo xtask compose-test`: what docker-compose.yml starts, run for real.
//!
//! [`engine`] finds or starts Docker, [`images`] builds, [`project`] is the running system.

mod engine;
mod images;
mod project;

use std::path::Path;
use std::time::Instant;

use anyhow::Context;

use self::engine::Engine;
use self::project::Project;
use crate::build_plugins::BuildPlugins;
use crate::chat::Chat;
use crate::command::{elapsed, run};
use crate::demo::script;
use crate::paths::target_dir;
use crate::stop::Stop;
use crate::toolchain;

const CHAT_ID: i64 = 100;
const WORKERS: usize = 3;

/// Builds both images, starts docker-compose.yml with three workers and a simulated Telegram, holds a conversation, kills
/// containers and swaps a plugin. Fails when anything of that does.
///
/// Uses the Docker engine that answers; starts one of its own otherwise. Takes some minutes: the images are built from nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct ComposeTest {
    /// Development programs in the images: quicker to build.
    #[arg(long)]
    development: bool,
}

impl ComposeTest {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let stop = Stop::on_signals()?;
        let steps = Steps { begun: Instant::now() };
        BuildPlugins::default().run(root)?;
        let mut cargo = toolchain::clean_cargo(root);
        run(cargo.args(["build", "--locked", "-p", "simulator"]))?;
        let folder = target_dir(root).join("compose-test");
        let engine = Engine::find_or_start(&folder, &stop)?;
        steps.done("a Docker engine");
        let profile = if self.development { "dev" } else { "release" };
        images::build(&engine, root, profile, &folder)?;
        steps.done("both images");
        let project = Project::start(&engine, root, &folder, WORKERS, &stop)?;
        let played = play(&project, &steps, &stop);
        played.inspect_err(|_| println!("\n{}", project.logs()))
    }
}

fn play(project: &Project<'_>, steps: &Steps, stop: &Stop) -> anyhow::Result<()> {
    steps.done("all containers run");
    let chat = &mut Chat::open(&project.simulator()?, CHAT_ID, stop)?;
    script::play(chat)?;
    steps.done("a conversation");
    for service in ["worker", "coordinator", "redis"] {
        let killed = project.kill(service)?;
        ask(chat).with_context(|| format!("after `kill -9` of the container {service}"))?;
        project.wait_until_back(&killed, stop)?;
        steps.done(&format!("an answer although {service} was killed, and it is back"));
    }
    project.swap_plugin("search", false)?;
    project.wait_for_swap(WORKERS, "plugin published", stop)?;
    ask(chat).context("after the swap")?;
    steps.done("a plugin swapped on every worker");
    project.swap_plugin("search", true)?;
    project.wait_for_swap(WORKERS, "plugin refused", stop)?;
    ask(chat).context("with a broken plugin in the folder")?;
    steps.done("a broken plugin refused on every worker");
    project.wait_until_healthy(stop)?;
    steps.done("every container is healthy");
    Ok(())
}

/// A question, and its answer.
fn ask(chat: &mut Chat) -> anyhow::Result<()> {
    chat.say("luna marlow")?;
    chat.expect("results", |message| message.button("Luna Marlowe").is_some())?;
    Ok(())
}

/// Says what was reached, and when.
struct Steps {
    begun: Instant,
}

impl Steps {
    fn done(&self, what: &str) {
        println!("\nok after {}: {what}", elapsed(self.begun.elapsed()));
    }
}
