//! `cargo xtask deployment-test`: follows docs/deployment.md to the letter, each server in a network namespace of its own.

mod document;
mod network;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use self::document::{Block, blocks};
use self::network::Network;
use crate::build_plugins::BuildPlugins;
use crate::chat::{Chat, bot_is_there};
use crate::command::{elapsed, run};
use crate::debian;
use crate::demo::script;
use crate::paths::target_dir;
use crate::redis;
use crate::service::Service;
use crate::stop::Stop;
use crate::toolchain::clean_cargo;

const DOCUMENT: &str = "docs/deployment.md";
const CHAT_ID: i64 = 100;
const BOUND: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A section of the document.
struct Scenario {
    heading: &'static str,
    servers: &'static [&'static str],
    /// The server that dies at the end, and must not be missed.
    dies: Option<&'static str>,
}

const SCENARIOS: [Scenario; 2] = [
    Scenario { heading: "Two servers", servers: &["a", "b"], dies: None },
    Scenario { heading: "Many servers", servers: &["a", "b", "c"], dies: Some("a") },
];

/// Runs the commands of docs/deployment.md, holds a conversation, and lets a server die. Needs root and Linux.
#[derive(Debug, clap::Args)]
pub(crate) struct DeploymentTest;

impl DeploymentTest {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let stop = Stop::on_signals()?;
        redis::ensure_installed()?;
        for (program, package) in [("ip", "iproute2"), ("openssl", "openssl")] {
            if debian::find(program).is_none() {
                debian::install(&[package])?;
            }
        }
        BuildPlugins::default().run(root)?;
        run(clean_cargo(root).args(["build", "--locked", "--workspace", "--bins"]))?;
        let text = std::fs::read_to_string(root.join(DOCUMENT)).context("reading the document")?;
        for scenario in &SCENARIOS {
            println!("\n# {}", scenario.heading);
            let begun = Instant::now();
            let blocks = blocks(&text, scenario.heading);
            ensure!(!blocks.is_empty(), "{DOCUMENT} has no commands under {}", scenario.heading);
            follow(root, scenario, &blocks, &stop)?;
            println!("\n{} works as written, after {}", scenario.heading, elapsed(begun.elapsed()));
        }
        Ok(())
    }
}

fn follow(root: &Path, scenario: &Scenario, blocks: &[Block], stop: &Stop) -> anyhow::Result<()> {
    let network = Network::new(root, scenario.servers)?;
    let logs = tempfile::tempdir().context("creating a folder for logs")?;
    let mut simulator = start_simulator(root, &logs)?;
    let address = simulator.wait_for_line("its address", BOUND, stop, |line| {
        line.strip_prefix("listening on ").map(|address| address.trim().to_owned())
    })?;
    let mut services: Vec<(String, Service)> = Vec::new();
    for block in blocks {
        for server in &block.servers {
            ensure!(!stop.requested(), "interrupted");
            println!("\n[{server}]{}", if block.service { " as a service:" } else { "" });
            block.script.lines().for_each(|line| println!("  {line}"));
            let mut command = network.command(server, &block.script, &address)?;
            if block.service {
                let folder = logs.path().join(services.len().to_string());
                std::fs::create_dir(&folder).context("creating a folder for a log")?;
                services.push((server.clone(), Service::start("service", &mut command, &folder)?));
            } else {
                let done = run(&mut command).with_context(|| {
                    format!("{DOCUMENT}, line {}, on server {server}", block.line)
                });
                done.inspect_err(|_| tell(&services))?;
            }
        }
    }
    let talked = talk(scenario, &address, &mut services, stop);
    talked.inspect_err(|_| tell(&services))
}

/// Holds a conversation, then kills all that runs on one server, and asks again.
fn talk(
    scenario: &Scenario,
    address: &str,
    services: &mut Vec<(String, Service)>,
    stop: &Stop,
) -> anyhow::Result<()> {
    wait("call for updates", stop, || bot_is_there(address))?;
    let chat = &mut Chat::open(address, CHAT_ID, stop)?;
    script::play(chat)?;
    for (server, service) in services.iter_mut() {
        if let Some(status) = service.ended() {
            bail!("a service of {server} ended by itself ({status})");
        }
    }
    let Some(dies) = scenario.dies else { return Ok(()) };
    println!("\nserver {dies} dies");
    services.retain(|(server, _)| server != dies);
    // A master of the Cluster is replaced, and another coordinator polls.
    let deadline = Instant::now() + BOUND;
    loop {
        chat.say("luna marlow")?;
        match chat.expect("results", |message| message.button("Luna Marlowe").is_some()) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context("no answer after a server died"));
            }
            Err(_) => ensure!(!stop.requested(), "interrupted"),
        }
    }
}

fn start_simulator(root: &Path, logs: &TempDir) -> anyhow::Result<Service> {
    let mut command = Command::new(target_dir(root).join("debug/telegram-simulator"));
    command.args(["--listen", &format!("{}:0", network::HOST)]);
    Service::start("simulator", &mut command, logs.path())
}

fn tell(services: &[(String, Service)]) {
    for (server, service) in services {
        println!("\n[{server}] {}", service.tail());
    }
}

fn wait(what: &str, stop: &Stop, is_there: impl Fn() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + BOUND;
    while !is_there() {
        ensure!(!stop.requested(), "interrupted");
        ensure!(Instant::now() < deadline, "no {what} within {BOUND:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
