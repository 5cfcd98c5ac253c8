//! `cargo xtask bench chats`: hundreds of chats ask at once, with Telegram's limits on, and then at a pace below them.
//!
//! It starts the real programs: Redis, two coordinators, a worker with the shipped plugins, and the simulator with
//! `--limits`. The results are read from the simulator's transcript, which has the times. The bench fails when a
//! question is not answered, when a chat's answers are out of order, or when Telegram asks to wait at a pace below its
//! limits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::build_plugins::BuildPlugins;
use crate::command::run;
use crate::paths::target_dir;
use crate::redis::Redis;
use crate::service::Service;
use crate::stop::Stop;
use crate::toolchain::clean_cargo;

const TOKEN: &str = "123456:SIMULATOR";
const CHATS: i64 = 500;
const FIRST_CHAT: i64 = 10_000;
const COORDINATORS: usize = 2;
/// Below the limits: a question is two messages, and 30 a second may be sent.
const STEADY_EVERY: Duration = Duration::from_millis(100);
const STEADY_QUESTIONS: i64 = 300;
/// A pause before the steady phase, so that the burst has left all windows.
const QUIET: Duration = Duration::from_secs(3);
const READY_BOUND: Duration = Duration::from_secs(60);
/// Two messages for each of two questions of each chat, at about 26 a second, and then as long again.
const ANSWERED_BOUND: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The names that each chat asks for, in this order. All are in the shipped sample data.
const NAMES: [&str; 2] = ["luna marlow", "noor"];
const PLACEHOLDER: &str = "🔎 looking for ";

/// Measures and prints.
pub(super) fn measure(root: &Path) -> anyhow::Result<()> {
    BuildPlugins::default().run(root)?;
    let stop = Stop::on_signals()?;
    let system = System::start(root, &stop)?;
    println!(
        "| phase | questions | unanswered | chats out of order | asked to wait (429) | most in a second | placeholder p50 / p99 | answer p50 / p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|");

    let chats = FIRST_CHAT..FIRST_CHAT + CHATS;
    for chat in chats.clone() {
        system.write(chat, NAMES[0])?;
    }
    let burst = system.wait(chats.clone(), 1, "500 chats ask at once", &stop)?;

    std::thread::sleep(QUIET);
    for chat in chats.clone() {
        for name in NAMES {
            system.write(chat, name)?;
        }
    }
    let twice = system.wait(chats.clone(), 3, "each asks two things at once", &stop)?;

    std::thread::sleep(QUIET);
    let steady = FIRST_CHAT..FIRST_CHAT + STEADY_QUESTIONS;
    for chat in steady.clone() {
        ensure!(!stop.requested(), "interrupted");
        system.write(chat, NAMES[0])?;
        std::thread::sleep(STEADY_EVERY);
    }
    let below = system.wait(steady, 4, "10 questions a second", &stop)?;

    for phase in [&burst, &twice, &below] {
        ensure!(phase.unanswered == 0, "{} questions were not answered", phase.unanswered);
        ensure!(phase.out_of_order == 0, "{} chats were answered out of order", phase.out_of_order);
    }
    ensure!(below.told_to_wait == 0, "Telegram asked to wait below its limits");
    Ok(())
}

/// Everything that runs; dropping it ends it all.
struct System {
    agent: Agent,
    simulator: String,
    _services: Vec<Service>,
    _redis: Redis,
    _logs: TempDir,
}

/// The result of a phase.
struct Phase {
    unanswered: usize,
    out_of_order: usize,
    told_to_wait: u64,
}

/// One question, and when its messages appeared.
#[derive(Default)]
struct Question {
    text: String,
    asked_ms: u64,
    placed_ms: Option<u64>,
    answered_ms: Option<u64>,
}

impl System {
    fn start(root: &Path, stop: &Stop) -> anyhow::Result<Self> {
        let programs = programs(root)?;
        let logs = tempfile::tempdir().context("creating a folder for logs")?;
        let redis = Redis::start(stop)?;
        let mut command = Command::new(programs.join("telegram-simulator"));
        command.args(["--listen", "127.0.0.1:0", "--limits"]);
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
        for number in 0..COORDINATORS {
            let folder = logs.path().join(number.to_string());
            std::fs::create_dir(&folder).context("creating a folder for a log")?;
            let mut command = Command::new(programs.join("coordinator"));
            command
                .current_dir(&folder)
                .env("REDIS_URL", redis.url())
                .env("TELEGRAM_BOT_TOKEN", TOKEN)
                .env("TELEGRAM_API_URL", &simulator);
            let mut service = Service::start("coordinator", &mut command, &folder)?;
            let ready = |line: &str| line.contains("coordinator ready").then_some(());
            service.wait_for_line("readiness", READY_BOUND, stop, ready)?;
            services.push(service);
        }
        let timeout = Some(Duration::from_secs(10));
        let agent = Agent::config_builder().timeout_global(timeout).build().new_agent();
        Ok(Self { agent, simulator, _services: services, _redis: redis, _logs: logs })
    }

    fn write(&self, chat: i64, text: &str) -> anyhow::Result<()> {
        let address = format!("{}/sim/messages", self.simulator);
        let body = json!({"chat_id": chat, "text": text});
        self.agent.post(&address).send_json(body).context("writing to the bot")?;
        Ok(())
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        let address = format!("{}{path}", self.simulator);
        let mut response = self.agent.get(&address).call().context("asking the simulator")?;
        response.body_mut().read_json().context("reading what the simulator says")
    }

    /// Waits until each chat has answers to its first `questions` questions; prints a row.
    fn wait(
        &self,
        chats: std::ops::Range<i64>,
        questions: usize,
        name: &str,
        stop: &Stop,
    ) -> anyhow::Result<Phase> {
        let until = Instant::now() + ANSWERED_BOUND;
        // One chat after the other: reading all of them each time would keep the simulator busy.
        for chat in chats.clone() {
            while Instant::now() < until {
                ensure!(!stop.requested(), "interrupted");
                let seen = self.chat(chat)?;
                let answered = seen.iter().filter(|question| question.answered_ms.is_some());
                if questions <= answered.count() {
                    break;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        let earlier = match questions {
            1 => 0,
            3 => 1,
            _ => 3,
        };
        let mut placed = Vec::new();
        let mut answered = Vec::new();
        let mut asked = 0;
        let mut out_of_order = 0;
        for chat in chats {
            let mine = self.chat(chat)?;
            let mine = mine.get(earlier..).unwrap_or_default();
            out_of_order += usize::from(!mine.is_sorted_by_key(|question| question.placed_ms));
            if mine.iter().any(|question| question.answered_ms.is_none()) {
                let address = format!("/sim/transcript?chat_id={chat}");
                println!("chat {chat}: {}", self.get(&address)?);
            }
            asked += mine.len();
            for question in mine {
                let since = |at: u64| Duration::from_millis(at.saturating_sub(question.asked_ms));
                placed.extend(question.placed_ms.map(since));
                answered.extend(question.answered_ms.map(since));
            }
        }
        let stats = self.get("/sim/stats")?;
        let told_to_wait = stats.pointer("/errors/429").and_then(Value::as_u64).unwrap_or(0);
        let busiest = stats.pointer("/limits/busiest_second").and_then(Value::as_u64).unwrap_or(0);
        let forget = format!("{}/sim/stats", self.simulator);
        self.agent.delete(&forget).call().context("beginning the simulator's figures anew")?;
        let unanswered = asked - answered.len();
        println!(
            "| {name} | {asked} | {unanswered} | {out_of_order} | {told_to_wait} | {busiest} | {} | {} |",
            spread(placed),
            spread(answered)
        );
        Ok(Phase { unanswered, out_of_order, told_to_wait })
    }

    /// A chat's questions in order. A message of the bot belongs to the first question for its name that has no message
    /// yet.
    fn chat(&self, chat: i64) -> anyhow::Result<Vec<Question>> {
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

/// Development builds are good enough: the bench measures waiting, not computing.
fn programs(root: &Path) -> anyhow::Result<PathBuf> {
    run(clean_cargo(root).args(["build", "--locked", "--workspace", "--bins"]))?;
    Ok(target_dir(root).join("debug"))
}

/// `0.12 / 3.4 s`.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied();
    match (at(50), at(99)) {
        (Some(median), Some(most)) => {
            format!("{:.2} / {:.2} s", median.as_secs_f64(), most.as_secs_f64())
        }
        _ => "nothing".to_owned(),
    }
}
