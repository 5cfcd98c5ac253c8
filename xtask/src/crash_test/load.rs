//! The load: questions from many chats, and a record of their answers.
//!
//! Every question has a word of its own, which its placeholder and its answer repeat. A question is answered when
//! exactly one message with its word is no longer a placeholder.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use ureq::Agent;

use super::fault_log::FaultLog;
use super::system::System;

/// How many people ask. Each has one chat.
const PEOPLE: i64 = 60;
const FIRST_CHAT: i64 = 1_000;
/// Open questions of one person; fewer than the queue allows.
const OPEN_AT_MOST: usize = 4;
/// Questions per step.
const PER_TURN: usize = 2;
/// One question in so many is a slow task, so that kills hit running tasks.
const SLOW_EVERY: u64 = 4;
const SLOW_MS: u64 = 1_500;
/// The list onto which any producer may push a task.
const INGRESS: &str = "freefans:tasks:queue";
/// In a Cluster a push can be lost with its node, so the same task is pushed again until it is answered.
const PUSH_AGAIN: Duration = Duration::from_secs(10);
/// The length of a worker's lease.
const LEASE_MS: u64 = 6_000;
/// A task that lost its worker starts again within a lease and one sweep.
const RESTART_BOUND: Duration = Duration::from_secs(7);
/// How a placeholder begins, and what replaces it while a task waits, is tried again or runs.
const PROGRESS: &[&str] = &["🔎 Looking for ", "⏳ ", "🔁 ", "⚙️ "];

/// The chat of one of the people.
pub(super) fn chat(number: u64) -> i64 {
    FIRST_CHAT + i64::try_from(number % PEOPLE.unsigned_abs()).unwrap_or_default()
}

/// One question.
struct Question {
    chat: i64,
    asked_at: Instant,
    answered_at: Option<Instant>,
    /// Its task, when it was pushed straight onto the queue.
    task_id: Option<String>,
    pushed_at: Instant,
}

/// A message of the bot.
struct Message {
    word: String,
    /// None while it is a placeholder.
    answer: Option<String>,
    /// How often an answer was replaced by a different one.
    changed: u32,
}

/// The people, their questions and the answers.
pub(super) struct Load {
    agent: Agent,
    base: String,
    number: u64,
    seen: HashMap<i64, u64>,
    questions: BTreeMap<String, Question>,
    /// By chat and message id.
    messages: HashMap<(i64, i64), Message>,
    open: HashMap<i64, usize>,
    /// Slow tasks that were answered and whose results are still to be read.
    ended: Vec<String>,
    losses_seen: u64,
    losses_unknown: bool,
    /// When slow tasks that had lost their worker began again, in ms since 1970.
    restarts: Vec<u64>,
}

impl Load {
    /// Starts a chat for each person: the bot can write to nobody else.
    pub(super) fn new(base: &str) -> anyhow::Result<Self> {
        let timeout = Some(Duration::from_secs(10));
        let crowd = Self {
            agent: Agent::config_builder().timeout_global(timeout).build().new_agent(),
            base: base.to_owned(),
            number: 0,
            seen: HashMap::new(),
            questions: BTreeMap::new(),
            messages: HashMap::new(),
            open: HashMap::new(),
            ended: Vec::new(),
            losses_seen: 0,
            losses_unknown: false,
            restarts: Vec::new(),
        };
        for chat in FIRST_CHAT..FIRST_CHAT + PEOPLE {
            crowd.write(chat, "/start")?;
        }
        Ok(crowd)
    }

    fn write(&self, chat: i64, text: &str) -> anyhow::Result<()> {
        let address = format!("{}/sim/messages", self.base);
        let body = json!({"chat_id": chat, "text": text});
        self.agent.post(&address).send_json(body).context("writing to the bot")?;
        Ok(())
    }

    /// Asks some questions and reads the new messages.
    pub(super) fn step(&mut self, system: &System) -> anyhow::Result<()> {
        for _ in 0..PER_TURN {
            self.ask(system)?;
        }
        self.read_chats()?;
        self.read_results(system);
        self.push_again(system);
        Ok(())
    }

    pub(super) fn push_again(&mut self, system: &System) {
        if !system.redis.is_cluster() {
            return;
        }
        for (word, question) in &mut self.questions {
            let open = question.task_id.is_some() && question.answered_at.is_none();
            if open && question.pushed_at.elapsed() > PUSH_AGAIN {
                question.pushed_at = Instant::now();
                push_slow(system, question.chat, word);
            }
        }
    }

    /// Reads on which attempt the slow tasks were answered, before their results expire.
    pub(super) fn read_results(&mut self, system: &System) {
        for task_id in std::mem::take(&mut self.ended) {
            let key = format!("freefans:tasks:result:{task_id}");
            let result = system.redis.ask(&key, &["GET", &key]);
            let result = result.and_then(|json| serde_json::from_str::<Value>(&json).ok());
            let Some(result) = result else {
                // Redis is down: try again later.
                self.ended.push(task_id);
                continue;
            };
            let number = |pointer: &str| result.pointer(pointer).and_then(Value::as_u64);
            match (number("/metadata/attempt"), number("/metadata/run_ms"), number("/completed_at"))
            {
                (Some(attempt), Some(run_ms), Some(end)) => {
                    self.losses_seen += attempt.saturating_sub(1);
                    if attempt > 1 {
                        self.restarts.push(end.saturating_sub(run_ms));
                    }
                }
                _ => match result.pointer("/metadata/code").and_then(Value::as_str) {
                    // It failed after its third worker died.
                    Some("worker-crashed") => self.losses_seen += 3,
                    // It ran out of time, and the result does not tell the number of attempts.
                    _ => self.losses_unknown = true,
                },
            }
        }
    }

    /// How many lost workers the accepted results of the slow tasks report; none when a result does not tell.
    pub(super) fn losses_seen(&self) -> Option<u64> {
        (!self.losses_unknown).then_some(self.losses_seen)
    }

    fn ask(&mut self, system: &System) -> anyhow::Result<()> {
        self.number += 1;
        let chat = FIRST_CHAT + i64::try_from(self.number).unwrap_or(0) % PEOPLE;
        if self.open.get(&chat).copied().unwrap_or(0) >= OPEN_AT_MOST {
            return Ok(());
        }
        // Letters only, and no word is the beginning of another.
        let word = format!("q{}q", letters(self.number));
        let task_id = if self.number.is_multiple_of(SLOW_EVERY) {
            match push_slow(system, chat, &word) {
                Some(task_id) => Some(task_id),
                // Redis is down: what could not be pushed was not asked.
                None => return Ok(()),
            }
        } else {
            self.write(chat, &word)?;
            None
        };
        let now = Instant::now();
        let question = Question { chat, asked_at: now, answered_at: None, task_id, pushed_at: now };
        self.questions.insert(word, question);
        *self.open.entry(chat).or_default() += 1;
        Ok(())
    }

    /// Reads what happened in every chat since the last call.
    pub(super) fn read_chats(&mut self) -> anyhow::Result<()> {
        for chat in FIRST_CHAT..FIRST_CHAT + PEOPLE {
            let since = self.seen.get(&chat).copied().unwrap_or(0);
            let address = format!("{}/sim/events?chat_id={chat}&since={since}", self.base);
            let mut response = self.agent.get(&address).call().context("reading a chat")?;
            let read: Value = response.body_mut().read_json().context("reading a chat")?;
            for event in read.get("events").and_then(Value::as_array).into_iter().flatten() {
                self.read_event(chat, event);
            }
            if let Some(seq) = read.get("seq").and_then(Value::as_u64) {
                self.seen.insert(chat, seq);
            }
        }
        Ok(())
    }

    fn read_event(&mut self, chat: i64, event: &Value) {
        let kind = event.get("kind").and_then(Value::as_str).unwrap_or_default();
        let Some(message_id) = event.get("message_id").and_then(Value::as_i64) else { return };
        if kind == "delete" {
            self.messages.remove(&(chat, message_id));
        }
        if kind != "bot_message" && kind != "edit" {
            return;
        }
        let text = event.get("text").and_then(Value::as_str).unwrap_or_default();
        let key = (chat, message_id);
        if !self.messages.contains_key(&key) {
            let Some(word) = text.split(|c: char| !c.is_ascii_lowercase()).find(|word| {
                word.len() > 2 && word.starts_with('q') && self.questions.contains_key(*word)
            }) else {
                return;
            };
            let message = Message { word: word.to_owned(), answer: None, changed: 0 };
            self.messages.insert(key, message);
        }
        let Some(message) = self.messages.get_mut(&key) else { return };
        if PROGRESS.iter().any(|beginning| text.starts_with(beginning)) {
            // It must not cover an answer.
            message.changed += u32::from(message.answer.is_some());
            return;
        }
        match &message.answer {
            Some(answer) if answer == text => {}
            Some(_) => message.changed += 1,
            None => {
                if let Some(question) = self.questions.get_mut(&message.word)
                    && question.answered_at.is_none()
                {
                    question.answered_at = Some(Instant::now());
                    self.ended.extend(question.task_id.clone());
                    let open = self.open.entry(chat).or_default();
                    *open = open.saturating_sub(1);
                }
            }
        }
        message.answer = Some(text.to_owned());
    }

    /// How many questions there were.
    pub(super) fn asked(&self) -> usize {
        self.questions.len()
    }

    /// Whether a question is still open.
    pub(super) fn is_waiting(&self) -> bool {
        !self.ended.is_empty()
            || self.questions.values().any(|question| question.answered_at.is_none())
    }

    /// Prints the figures and returns the broken promises.
    pub(super) fn report(&self, log: &FaultLog) -> Vec<String> {
        let mut answers: HashMap<&str, (u32, u32)> = HashMap::new();
        let mut orphans = 0;
        let mut told_failed = 0;
        for message in self.messages.values() {
            let entry = answers.entry(&message.word).or_default();
            match &message.answer {
                None => orphans += 1,
                Some(text) => {
                    entry.0 += 1;
                    entry.1 += message.changed;
                    told_failed += u32::from(text.starts_with('⚠'));
                }
            }
        }
        let mut broken = Vec::new();
        for (word, question) in &self.questions {
            let by_hand = question.task_id.as_deref().unwrap_or("asked in the chat");
            match answers.get(word.as_str()).copied().unwrap_or_default() {
                (1, 0) => {}
                (0, _) => broken.push(format!("{word} ({by_hand}) was never answered")),
                (1, _) => broken.push(format!("{word} ({by_hand}) was answered, then differently")),
                (n, _) => broken.push(format!("{word} ({by_hand}) was answered {n} times")),
            }
        }
        let waits: Vec<Duration> = self
            .questions
            .values()
            .filter_map(|question| Some(question.answered_at?.duration_since(question.asked_at)))
            .collect();
        println!(
            "\n{} questions, {} answered, {told_failed} of them told that it failed, {orphans} placeholders left over",
            self.questions.len(),
            waits.len()
        );
        println!("from question to answer: {}", spread(waits));
        self.report_restarts(log);
        broken
    }

    /// How soon tasks started again. While its Redis is up, a task loses its worker only when the worker is killed or
    /// frozen, and the time is counted from then. While Redis is down, no worker can renew its lease: then the time is
    /// counted from when Redis came back or, when a replica had taken over before, from when it went down.
    fn report_restarts(&self, log: &FaultLog) {
        let mut from_loss = Vec::new();
        let mut around_redis = Vec::new();
        for &restart in &self.restarts {
            let lost = log.workers_lost.iter().copied().filter(|at| *at <= restart).max();
            let outage = log.redis_down.iter().copied().filter(|(from, _)| *from <= restart).max();
            let lost = lost.unwrap_or_default();
            match outage {
                // A lease that could not be renewed ends at most this long after Redis came back.
                Some((from, back)) if lost < back.saturating_add(LEASE_MS) => {
                    let began = if restart < back { from } else { back };
                    around_redis.push(Duration::from_millis(restart - began.max(lost)));
                }
                _ => from_loss.push(Duration::from_millis(restart - lost)),
            }
        }
        println!(
            "{} running tasks lost their worker while Redis was up, {} started again later than {} s; from the loss to their new start: {}",
            from_loss.len(),
            from_loss.iter().filter(|took| **took > RESTART_BOUND).count(),
            RESTART_BOUND.as_secs(),
            spread(from_loss)
        );
        println!(
            "{} started again after Redis was down; from its return, or a later loss of the worker: {}",
            around_redis.len(),
            spread(around_redis)
        );
    }
}

/// Pushes a slow task onto the ingress list, as any producer may, with the chat that gets the answer.
fn push_slow(system: &System, chat: i64, word: &str) -> Option<String> {
    let task_id = format!("{{probe_sleep}}{word}");
    let task = json!({
        "task_id": task_id, "user_id": chat, "task_type": "probe_sleep", "params": {"ms": SLOW_MS},
        "reply_to": {
            "chat_id": chat, "user_id": chat, "question": {"kind": "search", "query": word},
        },
    });
    let pushed = system.redis.ask(INGRESS, &["RPUSH", INGRESS, &task.to_string()]);
    // redis-cli exits well when the server says no; only a number means that it is on the list.
    pushed?.trim().parse::<u64>().ok()?;
    Some(task_id)
}

/// A number in letters without `q`.
fn letters(mut number: u64) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnop";
    let mut text = String::new();
    while number > 0 {
        let letter = usize::try_from(number % 16).ok().and_then(|index| ALPHABET.get(index));
        text.push(char::from(*letter.unwrap_or(&b'a')));
        number /= 16;
    }
    text
}

/// `median 12 ms, 99 % 3.1 s, longest 7.0 s`.
pub(super) fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied();
    match (at(50), at(99), times.last()) {
        (Some(median), Some(most), Some(longest)) => format!(
            "median {:.3} s, 99 % {:.1} s, longest {:.1} s",
            median.as_secs_f64(),
            most.as_secs_f64(),
            longest.as_secs_f64()
        ),
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_and_none_begins_another() {
        let words: Vec<String> = (1..2_000).map(|n| format!("q{}q", letters(n))).collect();
        let unique: std::collections::BTreeSet<&String> = words.iter().collect();
        assert_eq!(unique.len(), words.len());
        assert!(words.iter().all(|word| word.matches('q').count() == 2));
    }
}
