//! Costs of the queue: Redis' CPU time per task, compared with raw stream commands in the same run; throughput, latency,
//! fairness and memory. Run it with `cargo xtask bench queue`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    reason = "a bench prints figures and stops at the first surprise"
)]

#[path = "support/parts.rs"]
mod parts;

use std::time::{Duration, Instant};

use queue::{DistributedWorkerRegistry, Finish, Lease, SubmitOptions, Task, TaskQueue, TaskResult};
use test_kit::{TestRedis, record_figure};

use parts::{Percentiles, answer, config, kind, redis_us, start_no_op, task};

const TASKS: usize = 20_000;
const BATCH: usize = 100;
const USERS: i64 = 50;
const BACKLOG: usize = 100_000;
const ROUND_TRIPS: usize = 2_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let streams = streams().await;
        let lists = scripts(streams).await;
        latency(lists).await;
        for concurrency in [16, 64, 200] {
            worker(concurrency).await;
        }
        fairness().await;
        backlog().await;
    });
    test_kit::write_figures();
}

/// A Redis of its own, and a queue without limits on it.
async fn fresh() -> (TestRedis, TaskQueue) {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    (redis, queue)
}

/// The baseline: a stream with the same bytes, without leases, fairness, deadlines or outbox.
async fn streams() -> f64 {
    let (_redis, queue) = fresh().await;
    let mut connection = queue.connection();
    let envelope = serde_json::to_string(&task(1)).unwrap();
    let () = redis::cmd("XGROUP")
        .arg(&["CREATE", "raw", "g", "0", "MKSTREAM"])
        .query_async(&mut connection)
        .await
        .unwrap();
    redis_us(&mut connection).await;
    for _ in 0..TASKS / BATCH {
        let mut pipe = redis::pipe();
        for _ in 0..BATCH {
            pipe.cmd("XADD").arg(&["raw", "*", "task", &envelope]).ignore();
        }
        let () = pipe.query_async(&mut connection).await.unwrap();
    }
    let add = redis_us(&mut connection).await / TASKS as f64;
    for _ in 0..TASKS / BATCH {
        let read: redis::streams::StreamReadReply = redis::cmd("XREADGROUP")
            .arg(&["GROUP", "g", "c", "COUNT", &BATCH.to_string(), "STREAMS", "raw", ">"])
            .query_async(&mut connection)
            .await
            .unwrap();
        let ids: Vec<String> = read.keys[0].ids.iter().map(|entry| entry.id.clone()).collect();
        let mut pipe = redis::pipe();
        pipe.cmd("XACK").arg("raw").arg("g").arg(&ids).ignore();
        pipe.cmd("XDEL").arg("raw").arg(&ids).ignore();
        let () = pipe.query_async(&mut connection).await.unwrap();
    }
    let read = redis_us(&mut connection).await / TASKS as f64;
    record_figure("raw stream: add, Redis time per entry", add, "µs");
    record_figure("raw stream: read and acknowledge", read, "µs");
    println!("Redis CPU per task, batches of {BATCH}, {} bytes of task:", envelope.len());
    println!("  raw stream    add {add:.2} µs, read and acknowledge {read:.2} µs");
    add + read
}

/// Our scripts.
async fn scripts(floor: f64) -> (TestRedis, TaskQueue) {
    let (redis, queue) = fresh().await;
    let mut connection = queue.connection();
    let tasks: Vec<Vec<(Task, SubmitOptions)>> = (0..TASKS / BATCH)
        .map(|_| {
            (0..BATCH)
                .map(|n| (task(n as i64 % USERS), SubmitOptions::default()))
                .collect::<Vec<_>>()
        })
        .collect();
    redis_us(&mut connection).await;
    let started = Instant::now();
    for batch in &tasks {
        queue.submit_tasks(batch).await.unwrap();
    }
    let submit_rate = TASKS as f64 / started.elapsed().as_secs_f64();
    let submit = redis_us(&mut connection).await / TASKS as f64;
    let mut claim = 0.0;
    let mut finish = 0.0;
    let mut heartbeat = 0.0;
    let started = Instant::now();
    for _ in 0..TASKS / BATCH {
        let leases = queue.claim(&[kind()], "bench", BATCH).await.unwrap();
        assert_eq!(leases.len(), BATCH);
        claim += redis_us(&mut connection).await;
        queue.renew(&leases).await.unwrap();
        heartbeat += redis_us(&mut connection).await;
        let done: Vec<(Lease, Finish, TaskResult)> =
            leases.into_iter().map(|lease| (lease, Finish::Done, answer())).collect();
        queue.store_results(&done).await.unwrap();
        finish += redis_us(&mut connection).await;
    }
    let rate = TASKS as f64 / started.elapsed().as_secs_f64();
    let [claim, finish, heartbeat] = [claim, finish, heartbeat].map(|us| us / TASKS as f64);
    let total = submit + claim + finish;
    record_figure("submit, Redis time per task", submit, "µs");
    record_figure("claim and finish together", claim + finish, "µs");
    record_figure("heartbeat", heartbeat, "µs");
    record_figure("submit to finish, times the raw stream", total / floor, "×");
    println!(
        "  this queue    submit {submit:.2} µs, claim {claim:.2} + finish {finish:.2} = {:.2} µs, heartbeat {heartbeat:.2} µs",
        claim + finish
    );
    println!("  submit to finish {total:.2} µs, {:.1} × the raw stream", total / floor);
    println!(
        "one connection, one batch after the other: submit {submit_rate:.0}/s, claim + heartbeat + finish {rate:.0}/s"
    );
    (redis, queue)
}

/// Submit to result of one task at a time, compared with a push and a pop of a list.
async fn latency((_redis, queue): (TestRedis, TaskQueue)) {
    let mut connection = queue.connection();
    let mut floor = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let started = Instant::now();
        for list in ["there", "back"] {
            let () =
                redis::cmd("RPUSH").arg(&[list, "x"]).query_async(&mut connection).await.unwrap();
            let _: (String, String) =
                redis::cmd("BLPOP").arg(&[list, "1"]).query_async(&mut connection).await.unwrap();
        }
        floor.push(started.elapsed());
    }
    let (stop, worker) = start_no_op(&queue, kind(), 16);
    let registry = DistributedWorkerRegistry::new(queue);
    let mut ours = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let mut asked = task(1);
        asked.reply_to = None;
        let started = Instant::now();
        registry.execute_task(&asked, Duration::from_secs(10)).await.unwrap().unwrap();
        ours.push(started.elapsed());
    }
    stop.cancel();
    worker.await.unwrap();
    let floor = Percentiles::of(floor);
    let ours = Percentiles::of(ours);
    record_figure("one task at a time, submit to result: p50", ours.p50, "µs");
    record_figure("p99", ours.p99, "µs");
    record_figure("p50, times two pushes and two pops of bare lists", ours.p50 / floor.p50, "×");
    record_figure("p99, times the same", ours.p99 / floor.p99, "×");
    println!("one task at a time, submit to result:");
    println!(
        "  bare lists    p50 {:.0} µs, p99 {:.0} µs (two pushes, two pops)",
        floor.p50, floor.p99
    );
    println!(
        "  this queue    p50 {:.0} µs, p99 {:.0} µs: {:.1} × and {:.1} ×",
        ours.p50,
        ours.p99,
        ours.p50 / floor.p50,
        ours.p99 / floor.p99
    );
}

/// A worker with a backlog: tasks per second, and what each costs.
async fn worker(concurrency: usize) {
    let (_redis, queue) = fresh().await;
    let mut connection = queue.connection();
    let tasks: Vec<_> = (0..BACKLOG)
        .map(|n| {
            let mut task = task(n as i64 % USERS);
            task.reply_to = None;
            (task, SubmitOptions::default())
        })
        .collect();
    queue.submit_tasks(&tasks).await.unwrap();
    redis_us(&mut connection).await;
    let started = Instant::now();
    let (stop, running) = start_no_op(&queue, kind(), concurrency);
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let left: usize = redis::cmd("HLEN")
            .arg(queue.keys().data(&queue::Lane::whole(&kind())))
            .query_async(&mut connection)
            .await
            .unwrap();
        if left == 0 {
            break;
        }
    }
    let rate = BACKLOG as f64 / started.elapsed().as_secs_f64();
    stop.cancel();
    running.await.unwrap();
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    let calls = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        let calls = line
            .and_then(|line| line.split("calls=").nth(1)?.split(',').next()?.parse::<f64>().ok());
        calls.unwrap_or(0.0)
    };
    let sent = calls("evalsha") + calls("blpop");
    let us = redis_us(&mut connection).await / BACKLOG as f64;
    record_figure(
        &format!("a backlog with {concurrency} at once, no-op tasks per second"),
        rate,
        "",
    );
    record_figure("Redis time per task", us, "µs");
    record_figure("calls per task", sent / BACKLOG as f64, "");
    println!(
        "a worker with {BACKLOG} tasks waiting, {concurrency} at once: {rate:.0}/s, Redis {us:.1} µs and {:.3} calls each",
        sent / BACKLOG as f64
    );
}

/// One user has half of the backlog: how long the others wait, compared with a backlog without that user.
async fn fairness() {
    let mut medians = Vec::new();
    for flooded in [false, true] {
        let (_redis, queue) = fresh().await;
        if flooded {
            let flood: Vec<_> =
                (0..BACKLOG / 2).map(|_| (task(0), SubmitOptions::default())).collect();
            queue.submit_tasks(&flood).await.unwrap();
        }
        let others: Vec<_> = (0..BACKLOG / 2)
            .map(|n| (task(1 + n as i64 % (USERS - 1)), SubmitOptions::default()))
            .collect();
        queue.submit_tasks(&others).await.unwrap();
        let started = Instant::now();
        let mut waits = Vec::with_capacity(BACKLOG / 2);
        while waits.len() < BACKLOG / 2 {
            let leases = queue.claim(&[kind()], "bench", BATCH).await.unwrap();
            assert!(!leases.is_empty(), "the others are not all answered");
            let waited = started.elapsed();
            waits.extend(leases.iter().filter(|lease| lease.task.user_id != 0).map(|_| waited));
            let done: Vec<(Lease, Finish, TaskResult)> =
                leases.into_iter().map(|lease| (lease, Finish::Done, answer())).collect();
            queue.store_results(&done).await.unwrap();
        }
        medians.push(Percentiles::of(waits).p50 / 1e3);
    }
    let ratio = medians[1] / medians[0];
    record_figure(
        "one user has half of the backlog: the others' median wait, times without",
        ratio,
        "×",
    );
    println!(
        "{BACKLOG} tasks of {USERS} users, half of them by one: the others' median wait {:.0} ms, {:.2} × of {:.0} ms without the flooder",
        medians[1],
        medians[1] / medians[0],
        medians[0]
    );
}

/// Memory of a waiting task.
async fn backlog() {
    let (_redis, queue) = fresh().await;
    let used = async || {
        let info: String =
            redis::cmd("INFO").arg("memory").query_async(&mut queue.connection()).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.trim().parse::<usize>().unwrap()
    };
    let before = used().await;
    let tasks: Vec<_> =
        (0..BACKLOG).map(|n| (task(n as i64 % USERS), SubmitOptions::default())).collect();
    queue.submit_tasks(&tasks).await.unwrap();
    let bytes = serde_json::to_string(&tasks[0].0).unwrap().len();
    let each = (used().await - before) / BACKLOG;
    record_figure(
        &format!("Redis memory of a waiting task of {bytes} bytes"),
        each as f64,
        "bytes",
    );
    println!("{BACKLOG} waiting tasks of {bytes} bytes: {each} bytes of Redis memory each");
}
