//! A steady load of tasks, each of which must be answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::redis::Connection;

/// How long a task may take to be answered after the load has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// Results looked for at once.
const AT_ONCE: usize = 20;

/// What became of the tasks.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) lost: u64,
    /// The first result that was no success.
    pub(super) first_failure: String,
}

pub(super) struct Load {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Tasks>>,
}

impl Load {
    /// Submits `per_s` tasks a second until it is ended.
    pub(super) fn start(port: u16, per_s: u32) -> anyhow::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let connection = Connection::open(port)?;
        let until = Arc::clone(&ended);
        let thread = std::thread::spawn(move || submit(connection, per_s.max(1), &until));
        Ok(Self { ended, thread })
    }

    /// Ends it, and waits for the last answers.
    pub(super) fn end(self) -> anyhow::Result<Tasks> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the load panicked")?
    }
}

fn submit(mut redis: Connection, per_s: u32, ended: &AtomicBool) -> anyhow::Result<Tasks> {
    let interval = Duration::from_secs(1) / per_s;
    let mut waiting = VecDeque::new();
    let mut tasks = Tasks::default();
    let begun = Instant::now();
    for number in 0_u32.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{{search_creator}}bench-{number}");
        let task = json!({
            "task_id": id, "user_id": number, "task_type": "search_creator",
            "params": {"query": "luna marlow"},
        });
        redis.ask(&["RPUSH", "freefans:tasks:queue", &task.to_string()])?;
        waiting.push_back(id);
        collect(&mut redis, &mut waiting, &mut tasks)?;
        let next = begun + interval * (number + 1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let deadline = Instant::now() + PATIENCE;
    while !waiting.is_empty() && Instant::now() < deadline {
        collect(&mut redis, &mut waiting, &mut tasks)?;
        std::thread::sleep(interval);
    }
    tasks.lost = waiting.len() as u64;
    Ok(tasks)
}

/// Takes the results that are there from the oldest tasks.
fn collect(
    redis: &mut Connection,
    waiting: &mut VecDeque<String>,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    for _ in 0..AT_ONCE.min(waiting.len()) {
        let Some(id) = waiting.pop_front() else { return Ok(()) };
        let result = redis.ask(&["GET", &format!("freefans:tasks:result:{id}")])?;
        if result.is_empty() {
            // The others are newer: they are looked for when this one is there, or next time.
            waiting.push_back(id);
            return Ok(());
        }
        let read: Value = serde_json::from_str(&result).unwrap_or_default();
        if read.get("success").and_then(Value::as_bool) == Some(true) {
            tasks.answered += 1;
        } else {
            tasks.failed += 1;
            if tasks.first_failure.is_empty() {
                tasks.first_failure = result;
            }
        }
    }
    Ok(())
}
