//! What the history of finished tasks costs, and how long a search takes. Run it with `cargo xtask bench history`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a bench prints figures and stops at the first surprise"
)]

#[path = "support/parts.rs"]
mod parts;

use std::time::{Duration, Instant};

use queue::history::{Filter, HistorySettings, Span, Texts};
use queue::task::now_ms;
use queue::{
    DistributedWorkerRegistry, QueueConfig, SubmitOptions, TaskQueue, TaskStatus, TaskType,
};
use test_kit::{TestRedis, record_figure};
use tokio_util::sync::CancellationToken;

use parts::{Percentiles, config, kind, redis_us, start_no_op, task};

const FINISHED: i64 = 100_000;
const WAITING: i64 = 1_000_000;
/// Tasks of one measurement of the cost, and how many of each.
const COST_TASKS: i64 = 50_000;
const COST_ROUNDS: usize = 5;
const AT_ONCE: usize = 64;
const SEARCHES: usize = 20;
/// Each person has asked this many times.
const PER_PERSON: i64 = 4;
const SUBMIT_AT_ONCE: i64 = 1_000;
/// Tasks while somebody searches, and while nobody does.
const OTHERS: usize = 1_000;
const OTHERS_EVERY: Duration = Duration::from_millis(5);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        cost().await;
        search().await;
    });
    test_kit::write_figures();
}

async fn connect(redis: &TestRedis, history: Option<HistorySettings>) -> TaskQueue {
    let config = QueueConfig { history, ..config() };
    TaskQueue::connect(&redis.url(), config).await.unwrap()
}

fn history(texts: Texts) -> HistorySettings {
    HistorySettings { texts, ..HistorySettings::default() }
}

/// Submits tasks of many people, none of which wants a reply.
async fn submit(queue: &TaskQueue, count: i64) {
    for first in (0..count).step_by(SUBMIT_AT_ONCE as usize) {
        let tasks: Vec<_> = (first..count.min(first + SUBMIT_AT_ONCE))
            .map(|number| {
                let mut task = task(number / PER_PERSON);
                task.reply_to = None;
                (task, SubmitOptions::default())
            })
            .collect();
        queue.submit_tasks(&tasks).await.unwrap();
    }
}

/// Runs what waits, and returns the seconds until nothing waited any more.
async fn drain(queue: &TaskQueue) -> f64 {
    let data = queue.keys().data(&queue::Lane::whole(&kind()));
    let started = Instant::now();
    let (stop, running) = start_no_op(queue, kind(), AT_ONCE);
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let left: usize =
            redis::cmd("HLEN").arg(&data).query_async(&mut queue.connection()).await.unwrap();
        if left == 0 {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    stop.cancel();
    running.await.unwrap();
    seconds
}

/// A worker's backlog without a history, with one, and with one that keeps texts, in turn.
async fn cost() {
    let kinds = [
        ("without a history", None),
        ("with a history", Some(history(Texts::Off))),
        ("with a history that keeps texts", Some(history(Texts::Whole))),
    ];
    let mut rates = [const { Vec::new() }; 3];
    let mut costs = [const { Vec::new() }; 3];
    let mut dropped = [0; 3];
    for _ in 0..COST_ROUNDS {
        for (number, (_, settings)) in kinds.iter().enumerate() {
            let redis = TestRedis::start();
            let queue = connect(&redis, *settings).await;
            submit(&queue, COST_TASKS).await;
            redis_us(&mut queue.connection()).await;
            rates[number].push(COST_TASKS as f64 / drain(&queue).await);
            costs[number].push(redis_us(&mut queue.connection()).await / COST_TASKS as f64);
            let kept = queue.history().count().await.unwrap() + queue.history_dropped();
            assert_eq!(settings.is_some(), kept > 0);
            dropped[number] += queue.history_dropped();
        }
    }
    println!("a worker with {COST_TASKS} tasks waiting, {AT_ONCE} at once, no-op tasks:");
    let all = COST_TASKS as f64 * COST_ROUNDS as f64;
    for (number, (name, _)) in kinds.iter().enumerate() {
        let beside = rates[number].iter().zip(&rates[0]);
        let ratio = median(beside.map(|(rate, off)| rate / off).collect());
        let rate = median(rates[number].clone());
        let cost = median(costs[number].clone());
        let dropped = dropped[number] as f64 * 100.0 / all;
        record_figure(&format!("no-op tasks per second {name}"), rate, "");
        record_figure("times those without", ratio, "×");
        record_figure("Redis time per task", cost, "µs");
        record_figure("entries dropped at this rate", dropped, "%");
        println!(
            "  {name}: {rate:.0}/s, {ratio:.2} ×, Redis {cost:.1} µs each, {dropped:.1} % of the entries dropped"
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Redis' memory in use, in bytes.
async fn memory(queue: &TaskQueue) -> f64 {
    let info: String =
        redis::cmd("INFO").arg("memory").query_async(&mut queue.connection()).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

/// Finds finished and waiting tasks among many, while others ask.
async fn search() {
    let redis = TestRedis::start();
    let queue = connect(&redis, Some(history(Texts::Short))).await;
    let begun = now_ms();
    submit(&queue, FINISHED).await;
    drain(&queue).await;
    let found = queue.history().count().await.unwrap();
    let entry: u64 = redis::cmd("MEMORY")
        .arg("USAGE")
        .arg(queue.keys().history_ended())
        .arg("SAMPLES")
        .arg(0)
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    let each = entry as f64 / found as f64;
    println!("{found} finished tasks with short texts, {each:.0} bytes each");
    record_figure("Redis memory of a finished task with short texts", each, "bytes");
    submit(&queue, WAITING).await;
    let waiting = queue.queue_size(&kind()).await.unwrap();
    println!("{waiting} waiting tasks, Redis uses {:.0} MB", memory(&queue).await / 1e6);
    record_figure("waiting tasks", waiting as f64, "");
    record_figure("finished tasks", found as f64, "");

    let person = FINISHED / PER_PERSON / 2;
    let first = Filter { user_id: Some(0), ..Filter::default() };
    let oldest = queue.history().find(&first, 1, None).await.unwrap().tasks.remove(0);
    let all = Filter::default;
    let filters = [
        ("person", Filter { user_id: Some(person), ..all() }),
        ("id", Filter { task_id: Some(oldest.task_id.to_string()), ..all() }),
        ("chat", Filter { chat_id: Some(person), ..all() }),
        ("type", Filter { task_type: Some("other".parse().unwrap()), ..all() }),
        ("status", Filter { status: Some(TaskStatus::Failed), ..all() }),
        ("code", Filter { code: Some("trap".to_owned()), ..all() }),
        ("version", Filter { version: Some("9.9.9".to_owned()), ..all() }),
        ("worker", Filter { worker: Some("another".to_owned()), ..all() }),
        ("time", Filter { to_ms: Some(begun), ..all() }),
        ("text", Filter { text: Some("noor".to_owned()), ..all() }),
    ];
    println!("{SEARCHES} searches through all of them by each filter:");
    redis_us(&mut queue.connection()).await;
    let mut pages = 0;
    for (name, filter) in &filters {
        let mut times = Vec::with_capacity(SEARCHES);
        let mut looked_at = 0;
        for _ in 0..SEARCHES {
            let started = Instant::now();
            looked_at = queue.history().find(filter, 100, None).await.unwrap().looked_at;
            times.push(started.elapsed());
            pages += looked_at;
        }
        report(&format!("a finished task by {name}"), times, &format!(", {looked_at} looked at"));
    }
    let us = redis_us(&mut queue.connection()).await / pages as f64 * 1e3;
    record_figure("Redis time for 1,000 finished tasks that a search looks at", us, "µs");
    println!("  Redis {us:.0} µs for 1,000 of them");
    let mut times = Vec::with_capacity(SEARCHES);
    for _ in 0..SEARCHES {
        let started = Instant::now();
        queue.history().task(&oldest.task_id).await.unwrap();
        times.push(started.elapsed());
    }
    report("the timeline of the oldest", times, "");
    waiting_ones(&queue).await;
    let now = now_ms();
    let mut times = Vec::with_capacity(SEARCHES);
    for _ in 0..SEARCHES {
        let started = Instant::now();
        queue.history().buckets(Span::Minute, now - 24 * 3_600_000, now).await.unwrap();
        times.push(started.elapsed());
    }
    report("the counts of each minute of a day", times, "");
    others(&redis, &filters[0].1).await;
}

/// Finds waiting tasks by id and by type.
async fn waiting_ones(queue: &TaskQueue) {
    let listed = queue.list(&kind(), 100).await.unwrap();
    let id = listed.last().unwrap().task_id.clone();
    let mut by_id = Vec::new();
    let mut by_type = Vec::new();
    for _ in 0..SEARCHES {
        let started = Instant::now();
        queue.show(&id).await.unwrap().unwrap();
        by_id.push(started.elapsed());
        let started = Instant::now();
        queue.list(&kind(), 100).await.unwrap();
        by_type.push(started.elapsed());
    }
    report("a waiting task by id", by_id, "");
    report("100 waiting tasks of a type", by_type, "");
}

/// Prints and records, in ms.
fn report(what: &str, times: Vec<Duration>, more: &str) {
    let most = times.iter().max().unwrap().as_secs_f64() * 1e3;
    let p50 = Percentiles::of(times).p50 / 1e3;
    record_figure(&format!("{what}: p50"), p50, "ms");
    record_figure("most", most, "ms");
    println!("  {what}: p50 {p50:.1} ms, most {most:.1} ms{more}");
}

/// What others wait for their answers, alone and while one search follows the other.
async fn others(redis: &TestRedis, filter: &Filter) {
    let queue = connect(redis, Some(history(Texts::Off))).await;
    let other: TaskType = "others".parse().unwrap();
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let (stop, running) = start_no_op(&queue, other.clone(), AT_ONCE);
    let mut rounds = Vec::new();
    for searching in [false, true, false, true] {
        let ended = CancellationToken::new();
        let searches = searching.then(|| {
            let queue = queue.clone();
            let filter = filter.clone();
            let ended = ended.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while !ended.is_cancelled() {
                    queue.history().find(&filter, 100, None).await.unwrap();
                    count += 1;
                }
                count
            })
        });
        let mut times = Vec::with_capacity(OTHERS);
        for number in 0..OTHERS {
            let mut asked = task(number as i64);
            asked.task_type = other.clone();
            asked.reply_to = None;
            let started = Instant::now();
            registry.execute_task(&asked, Duration::from_secs(10)).await.unwrap().unwrap();
            times.push(started.elapsed());
            tokio::time::sleep(OTHERS_EVERY).await;
        }
        ended.cancel();
        let count = match searches {
            Some(searches) => searches.await.unwrap(),
            None => 0,
        };
        let times = Percentiles::of(times);
        println!(
            "  others, submit to result, with {count} searches: p50 {:.0} µs, p99 {:.0} µs",
            times.p50, times.p99
        );
        rounds.push(times);
    }
    stop.cancel();
    running.await.unwrap();
    let [alone, busy, alone_again, busy_again] = rounds.try_into().ok().unwrap();
    let p50 = (busy.p50 + busy_again.p50) / (alone.p50 + alone_again.p50);
    let p99 = (busy.p99 + busy_again.p99) / (alone.p99 + alone_again.p99);
    record_figure("others' time while one search follows the other, p50, times alone", p50, "×");
    record_figure("p99", p99, "×");
    println!("  while one search follows the other: p50 {p50:.2} ×, p99 {p99:.2} × alone");
}
