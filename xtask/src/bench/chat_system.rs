//! The whole product with the simulator in Telegram's place, for benches that ask as people do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use super::driver::Build;
use crate::command::run;
use crate::paths::target_dir;
use crate::redis::Redis;
use crate::service::Service;
use crate::stop::Stop;
use crate::toolchain::clean_cargo;

const TOKEN: &str = "123456:SIMULATOR";
const READY_BOUND: Duration = Duration::from_secs(60);
const PLACEHOLDER: &str = "🔎 looking for ";

/// What is started.
pub(super) struct Setup {
    pub(super) build: Build,
    /// Whether the simulator and the coordinators keep Telegram's limits.
    pub(super) limits: bool,
    pub(super) coordinators: usize,
}

/// Everything that runs; dropping it ends it all.
pub(super) struct System {
    agent: Agent,
    simulator: String,
    services: Vec<Service>,
    redis: Redis,
    _logs: TempDir,
}

/// One question, and when its messages appeared.
#[derive(Default)]
pub(super) struct Question {
    pub(super) text: String,
    pub(super) asked_ms: u64,
    pub(super) placed_ms: Option<u64>,
    pub(super) answered_ms: Option<u64>,
}

impl System {
    pub(super) fn start(root: &Path, setup: &Setup, stop: &Stop) -> anyhow::Result<Self> {
        let programs = programs(root, setup.build)?;
        let logs = tempfile::tempdir().context("creating a folder for logs")?;
        let redis = Redis::start(stop)?;
        let mut command = Command::new(programs.join("telegram-simulator"));
        command.args(["--listen", "127.0.0.1:0"]);
        if setup.limits {
            command.arg("--limits");
        }
        let mut telegram = Service::start("simulator", &mut command, logs.path())?;
        let simulator = telegram.wait_for_line("its address", READY_BOUND, stop, |line| {
            line.strip_prefix("listening on ").map(|address| address.trim().to_owned())
        })?;
        let mut command = Command::new(programs.join("worker"));
        command.current_dir(root).args(["--plugins", "plugins", "--redis-url", &redis.url()]);
        let mut worker = Service::start("worker", &mut command, logs.path())?;
        let ready = |line: &str| line.starts_with("ready:").then_some(());
        worker.wait_for_line("its `ready:` line", READY_BOUND, stop, ready)?;
        let mut services = vec![telegram, worker];
        for number in 0..setup.coordinators {
            let folder = logs.path().join(number.to_string());
            std::fs::create_dir(&folder).context("creating a folder for a log")?;
            let mut command = Command::new(programs.join("coordinator"));
            command
                .current_dir(&folder)
                .env("REDIS_URL", redis.url())
                .env("TELEGRAM_BOT_TOKEN", TOKEN)
                .env("TELEGRAM_API_URL", &simulator);
            if !setup.limits {
                let limits = ["LIMIT_OVERALL", "LIMIT_CHAT", "LIMIT_GROUP"];
                command.envs(limits.map(|limit| (limit, "0")));
            }
            let mut service = Service::start("coordinator", &mut command, &folder)?;
            let ready = |line: &str| line.contains("coordinator ready").then_some(());
            service.wait_for_line("readiness", READY_BOUND, stop, ready)?;
            services.push(service);
        }
        let timeout = Some(Duration::from_secs(10));
        let agent = Agent::config_builder().timeout_global(timeout).build().new_agent();
        Ok(Self { agent, simulator, services, redis, _logs: logs })
    }

    /// Writes to the bot as a person.
    pub(super) fn write(&self, chat: i64, text: &str) -> anyhow::Result<()> {
        let address = format!("{}/sim/messages", self.simulator);
        let body = json!({"chat_id": chat, "text": text});
        self.agent.post(&address).send_json(body).context("writing to the bot")?;
        Ok(())
    }

    /// What the simulator says.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let address = format!("{}{path}", self.simulator);
        let mut response = self.agent.get(&address).call().context("asking the simulator")?;
        response.body_mut().read_json().context("reading what the simulator says")
    }

    /// Begins the simulator's figures anew.
    pub(super) fn forget_figures(&self) -> anyhow::Result<()> {
        let address = format!("{}/sim/stats", self.simulator);
        let forgot = self.agent.delete(&address).call();
        forgot.map(drop).context("beginning the simulator's figures anew")
    }

    /// The server, for its counters.
    pub(super) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// The running programs of a name.
    pub(super) fn processes(&self, name: &str) -> impl Iterator<Item = u32> {
        let named = self.services.iter().filter(move |service| service.name() == name);
        named.map(Service::id)
    }

    /// A chat's questions in order. A message of the bot belongs to the first question for its name that has no message
    /// yet.
    pub(super) fn questions(&self, chat: i64) -> anyhow::Result<Vec<Question>> {
        let events = self.get(&format!("/sim/transcript?chat_id={chat}"))?;
        let mut questions: Vec<Question> = Vec::new();
        let mut messages: Vec<(i64, usize)> = Vec::new();
        for event in events.as_array().into_iter().flatten() {
            let field = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
            let at = event.get("at_ms").and_then(Value::as_u64).unwrap_or_default();
            let text = field("text").to_lowercase();
            if field("kind") == "user_message" {
                questions.push(Question { text, asked_ms: at, ..Question::default() });
                continue;
            }
            let id = event.get("message_id").and_then(Value::as_i64).unwrap_or_default();
            if field("kind") == "delete" {
                // A duplicate placeholder.
                let gone = messages.iter().position(|(message, _)| *message == id);
                let place = gone.map(|gone| messages.swap_remove(gone).1);
                if let Some(question) = place.and_then(|place| questions.get_mut(place)) {
                    question.placed_ms = question.answered_ms;
                }
                continue;
            }
            if !matches!(field("kind"), "bot_message" | "edit") {
                continue;
            }
            let known =
                messages.iter().find(|(message, _)| *message == id).map(|(_, place)| *place);
            let place = known.or_else(|| {
                questions.iter().position(|question| {
                    question.placed_ms.is_none() && text.contains(&question.text)
                })
            });
            let Some((place, question)) =
                place.and_then(|place| Some((place, questions.get_mut(place)?)))
            else {
                continue;
            };
            if known.is_none() {
                messages.push((id, place));
            }
            question.placed_ms = question.placed_ms.or(Some(at));
            if !text.starts_with(PLACEHOLDER) {
                question.answered_ms = question.answered_ms.or(Some(at));
            }
        }
        Ok(questions)
    }
}

fn programs(root: &Path, build: Build) -> anyhow::Result<PathBuf> {
    let mut cargo = clean_cargo(root);
    cargo.args(["build", "--locked", "--workspace", "--bins"]);
    if build == Build::Release {
        cargo.arg("--release");
    }
    run(&mut cargo)?;
    Ok(target_dir(root).join(if build == Build::Release { "release" } else { "debug" }))
}
