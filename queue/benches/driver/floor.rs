//! The least that a task costs on Redis: a list of tasks, a stored result, and a list for the answer.
//!
//! Nothing is leased, so a task is lost with its worker; there is no order among users, no deadline and no retry.

use std::time::Instant;

use serde_json::{Value, json};

use crate::figures::{print_rate, print_times};
use crate::{BATCH, PARAMS, WARM_UP, setting};

const TASKS: &str = "bench:tasks";
const ANSWER: &str = r#"{"success":true,"data":{}}"#;
const KEEP_SECONDS: usize = 3_600;
const PATIENCE_SECONDS: usize = 10;

/// Runs one task after the other.
pub(crate) fn work() {
    let mut connection = connect();
    loop {
        let popped: Option<(String, String)> =
            redis::cmd("BRPOP").arg(TASKS).arg(PATIENCE_SECONDS).query(&mut connection).unwrap();
        let Some((_, task)) = popped else { continue };
        let task: Value = serde_json::from_str(&task).unwrap();
        let id = task.get("task_id").and_then(Value::as_str).unwrap();
        let result = format!("bench:result:{id}");
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(&result).arg(ANSWER).arg("EX").arg(KEEP_SECONDS).ignore();
        if task.get("waits").is_some() {
            pipe.cmd("LPUSH").arg(answers(id)).arg(ANSWER).ignore();
        }
        let () = pipe.query(&mut connection).unwrap();
    }
}

pub(crate) fn submit(bulk: bool, tasks: usize) {
    let mut connection = connect();
    let per_call = if bulk { BATCH } else { 1 };
    let started = Instant::now();
    let mut number = 0;
    while number < tasks {
        let mut pipe = redis::pipe();
        let until = tasks.min(number + per_call);
        for number in number..until {
            pipe.cmd("LPUSH").arg(TASKS).arg(task(number, false)).ignore();
        }
        let () = pipe.query(&mut connection).unwrap();
        number = until;
    }
    print_rate(tasks, started);
}

pub(crate) fn wait(times: usize) {
    let mut connection = connect();
    let mut took = Vec::with_capacity(times);
    for number in 0..times + WARM_UP {
        let task = task(number, true);
        let started = Instant::now();
        let () = redis::cmd("LPUSH").arg(TASKS).arg(&task).query(&mut connection).unwrap();
        let popped: Option<(String, String)> = redis::cmd("BRPOP")
            .arg(answers(&number.to_string()))
            .arg(PATIENCE_SECONDS)
            .query(&mut connection)
            .unwrap();
        let elapsed = started.elapsed();
        assert!(popped.is_some(), "no result");
        if number >= WARM_UP {
            took.push(elapsed);
        }
    }
    print_times(took);
}

fn connect() -> redis::Connection {
    redis::Client::open(setting("BENCH_URL")).unwrap().get_connection().unwrap()
}

/// The list on which the sender waits.
fn answers(id: &str) -> String {
    format!("bench:answers:{id}")
}

fn task(number: usize, waits: bool) -> String {
    let params: Value = serde_json::from_str(PARAMS).unwrap();
    let mut task = json!({"task_id": number.to_string(), "task_type": "noop", "params": params});
    if let (true, Some(members)) = (waits, task.as_object_mut()) {
        members.insert("waits".to_owned(), Value::Bool(true));
    }
    task.to_string()
}
