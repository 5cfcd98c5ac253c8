//! `cargo xtask bench end-to-end`: from a person's message to the bot's answer, without Telegram's limits.
//!
//! The real programs, one of each. First one question after the other, for how long an answer takes and what it costs; then many
//! chats at once, for how many are answered per second. Times are the simulator's, in whole milliseconds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::chat_system::{Question, Setup, System};
use super::driver::Build;
use super::numbers::rounded;
use super::{environment, usage};
use crate::build_plugins::BuildPlugins;
use crate::redis::{Connection, Info};
use crate::stop::Stop;

/// Chats that ask in turn, so that none has so long a history that reading it takes time. Their first questions do not count.
const IN_TURN: std::ops::Range<i64> = 10_000..10_020;
/// The first of the chats that ask at once.
const AT_ONCE: i64 = 20_000;
/// In the shipped sample data.
const NAME: &str = "luna marlow";
const BOUND: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(2);

/// Measures a question's way through the whole product.
#[derive(Debug, clap::Args)]
pub(crate) struct EndToEnd {
    /// Questions one after the other.
    #[arg(long, default_value_t = 300)]
    questions: usize,
    /// Chats that ask at once.
    #[arg(long, default_value_t = 500)]
    chats: i64,
    /// Build as the tests are built. Quicker to start, and slower.
    #[arg(long)]
    development: bool,
    /// Write all figures into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl EndToEnd {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        BuildPlugins::default().run(root)?;
        let stop = Stop::on_signals()?;
        let build = if self.development { Build::Development } else { Build::Release };
        let system = System::start(root, &Setup { build, limits: false, coordinators: 1 }, &stop)?;
        let mut redis = Connection::open(system.redis().port())?;
        let environment = environment::describe(root, &mut redis);
        println!("{}", environment::in_one_line(&environment));
        let load = environment::load();
        let alone = self.one_by_one(&system, &mut redis, &stop)?;
        let many = self.at_once(&system, &stop)?;
        let document = json!({
            "environment": environment, "load": load, "alone": alone, "many": many,
            "options": {
                "questions": self.questions, "chats": self.chats, "development": self.development,
            },
        });
        println!("\n{}", markdown(&document));
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&document)? + "\n";
            std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    /// The next question follows the answer.
    fn one_by_one(
        &self,
        system: &System,
        redis: &mut Connection,
        stop: &Stop,
    ) -> anyhow::Result<Value> {
        for chat in IN_TURN {
            ask(system, chat, stop)?;
        }
        let before = (Costs::now(system), Info::of(redis)?);
        for chat in IN_TURN.cycle().take(self.questions) {
            ask(system, chat, stop)?;
        }
        let info = Info::of(redis)?.since(&before.1).without(1);
        let costs = Costs::now(system);
        let mut counted = Vec::new();
        for chat in IN_TURN {
            counted.extend(system.questions(chat)?.into_iter().skip(1));
        }
        let each = |number: f64| number / self.questions as f64;
        Ok(json!({
            "placeholder_ms": times(&counted, |question| question.placed_ms),
            "answer_ms": times(&counted, |question| question.answered_ms),
            "commands": each(info.commands as f64),
            "round_trips": each(info.reads as f64),
            "scripts": each(info.scripts() as f64),
            "redis_us": each(info.cpu_us),
            "coordinator_us": each(costs.coordinator_us - before.0.coordinator_us),
            "worker_us": each(costs.worker_us - before.0.worker_us),
        }))
    }

    /// A question from each chat, all written before the first is waited for.
    fn at_once(&self, system: &System, stop: &Stop) -> anyhow::Result<Value> {
        let chats = AT_ONCE..AT_ONCE + self.chats;
        for chat in chats.clone() {
            system.write(chat, NAME)?;
        }
        let mut asked = Vec::new();
        for chat in chats {
            wait_for(system, chat, 1, stop)?;
            asked.extend(system.questions(chat)?);
        }
        let first = asked.iter().map(|question| question.asked_ms).min().unwrap_or(0);
        let last = asked.iter().filter_map(|question| question.answered_ms).max().unwrap_or(0);
        let seconds = last.saturating_sub(first) as f64 / 1e3;
        Ok(json!({
            "answers_per_s": asked.len() as f64 / seconds,
            "answer_ms": times(&asked, |question| question.answered_ms),
        }))
    }
}

/// Processor time so far.
struct Costs {
    coordinator_us: f64,
    worker_us: f64,
}

impl Costs {
    fn now(system: &System) -> Self {
        let of = |name: &str| system.processes(name).map(usage::cpu_us).sum();
        Self { coordinator_us: of("coordinator"), worker_us: of("worker") }
    }
}

/// Asks, and waits for the answer.
fn ask(system: &System, chat: i64, stop: &Stop) -> anyhow::Result<()> {
    let before = system.questions(chat)?.len();
    system.write(chat, NAME)?;
    wait_for(system, chat, before + 1, stop)
}

fn wait_for(system: &System, chat: i64, answers: usize, stop: &Stop) -> anyhow::Result<()> {
    let deadline = Instant::now() + BOUND;
    loop {
        let asked = system.questions(chat)?;
        if asked.iter().filter(|question| question.answered_ms.is_some()).count() >= answers {
            return Ok(());
        }
        ensure!(!stop.requested(), "interrupted");
        ensure!(Instant::now() < deadline, "a question was not answered");
        std::thread::sleep(TICK);
    }
}

/// p50, p95 and p99 of the time since the question.
fn times(asked: &[Question], until: impl Fn(&Question) -> Option<u64>) -> Value {
    let mut ms: Vec<u64> = asked
        .iter()
        .filter_map(|question| Some(until(question)?.saturating_sub(question.asked_ms)))
        .collect();
    ms.sort_unstable();
    let at = |share: usize| ms.get(ms.len().saturating_sub(1) * share / 100).copied();
    json!([at(50), at(95), at(99)])
}

/// The table in Markdown.
pub(super) fn markdown(document: &Value) -> String {
    let at = |pointer: &str| document.pointer(pointer).unwrap_or(&Value::Null);
    let number = |pointer: &str| at(pointer).as_f64().map_or_else(|| "–".to_owned(), rounded);
    let three = |pointer: &str| {
        let all = at(pointer).as_array().into_iter().flatten();
        all.map(Value::to_string).collect::<Vec<_>>().join(" / ")
    };
    let rows = [
        (
            "one question after the other: placeholder p50 / p95 / p99, ms",
            three("/alone/placeholder_ms"),
        ),
        ("answer, ms", three("/alone/answer_ms")),
        ("Redis: commands", number("/alone/commands")),
        ("round trips", number("/alone/round_trips")),
        ("script calls", number("/alone/scripts")),
        ("processor time of Redis, µs", number("/alone/redis_us")),
        ("of the coordinator, µs", number("/alone/coordinator_us")),
        ("of the worker, µs", number("/alone/worker_us")),
        ("all chats at once: answers per second", number("/many/answers_per_s")),
        ("answer, ms", three("/many/answer_ms")),
    ];
    let lines = rows.map(|(name, value)| format!("| {name} | {value} |\n"));
    format!("| each question | |\n|---|---|\n{}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_times_are_shown() {
        let asked: Vec<Question> = (1..=100)
            .map(|ms| Question {
                answered_ms: Some(1_000 + ms),
                asked_ms: 1_000,
                ..Question::default()
            })
            .collect();
        let times = times(&asked, |question| question.answered_ms);
        assert_eq!(times, json!([50, 95, 99]));
        let text = markdown(&json!({"alone": {"answer_ms": times, "commands": 31.5}}));
        assert!(text.contains("| answer, ms | 50 / 95 / 99 |"), "{text}");
        assert!(text.contains("| Redis: commands | 32 |"), "{text}");
    }
}
