//! The history of finished tasks: what is kept and found, what is never kept, and that tasks do not depend on it.

use std::time::Duration;

use queue::history::{
    Filter, FinishedTask, HistorySettings, Span, StepKind, Texts, TimelineKind, write_until,
};
use queue::task::now_ms;
use queue::{
    Delivered, FailureCode, Finish, Outbox, QueueConfig, TaskQueue, TaskResult, TaskStatus, work,
};
use serde_json::json;
use test_kit::{TestCluster, TestRedis};
use tokio_util::sync::CancellationToken;

use crate::support::{another, eventually, quick, task, task_type, with_config};
use crate::worker::{Echo, start};

const SECRET: &str = "luna marlow's secret";

fn with_history(settings: HistorySettings) -> QueueConfig {
    QueueConfig { history: Some(settings), user_cap: 100, ..quick() }
}

fn texts(texts: Texts) -> HistorySettings {
    HistorySettings { texts, ..HistorySettings::default() }
}

/// Runs tasks in a worker and stops it; then everything is written.
async fn run(queue: &TaskQueue, people: &[i64]) {
    let worker = start(queue, &Echo::new(&["echo"], Duration::ZERO), "w-1", Duration::ZERO);
    for person in people {
        let mut task = task(*person, &format!("{SECRET} {person}"));
        if *person == 3 {
            task.reply_to = Some(json!({"chat_id": -100, "turn": 1}));
        }
        queue.submit_task(&task).await.unwrap();
        queue.get_result(&task.task_id, Duration::from_secs(15)).await.unwrap().unwrap();
    }
    worker.stop().await;
}

async fn found(queue: &TaskQueue, filter: Filter) -> Vec<i64> {
    let page = queue.history().find(&filter, 100, None).await.unwrap();
    page.tasks.iter().map(|task| task.user_id).collect()
}

/// Writes what the queue's buffer holds.
async fn write(queue: &TaskQueue) {
    let stop = CancellationToken::new();
    stop.cancel();
    write_until(queue.clone(), stop).await;
}

/// Everything in Redis, as one text.
async fn all_values(queue: &TaskQueue) -> String {
    let key = queue.keys().history_ended();
    let mut all = String::new();
    for key in [key, queue.keys().history_steps()] {
        let entries: redis::Value = redis::cmd("XRANGE")
            .arg(key)
            .arg(&["-", "+"])
            .query_async(&mut queue.connection())
            .await
            .unwrap();
        all.push_str(&format!("{entries:?}"));
    }
    all
}

#[tokio::test]
async fn a_finished_task_is_found_by_each_filter_and_by_no_other_value() {
    let (_redis, queue) = with_config(with_history(texts(Texts::Whole))).await;
    run(&queue, &[1, 2, 3]).await;
    let all = queue.history().find(&Filter::default(), 100, None).await.unwrap();
    assert_eq!(all.tasks.len(), 3);
    let newest = &all.tasks[0];
    assert_eq!((newest.user_id, newest.chat_id), (3, Some(-100)));
    assert_eq!((newest.status, newest.worker.as_deref()), (TaskStatus::Completed, Some("w-1")));
    let id = task(2, &format!("{SECRET} 2")).task_id.to_string();
    let now = now_ms();
    let yes: Vec<(&str, Filter)> = vec![
        ("id", Filter { task_id: Some(id.clone()), ..Filter::default() }),
        (
            "end of id",
            Filter { task_id: Some(id.get(10..).unwrap().to_owned()), ..Filter::default() },
        ),
        ("person", Filter { user_id: Some(2), ..Filter::default() }),
        ("chat", Filter { chat_id: Some(2), ..Filter::default() }),
        (
            "a quote",
            Filter {
                text: Some("\"cause\":\"Luna".to_owned()),
                user_id: Some(2),
                ..Filter::default()
            },
        ),
        ("text", Filter { text: Some("LUNA marlow's secret 2".to_owned()), ..Filter::default() }),
    ];
    for (name, filter) in yes {
        assert_eq!(found(&queue, filter).await, [2], "{name}");
    }
    let all_of = [
        Filter { task_type: Some(task_type("echo")), ..Filter::default() },
        Filter { status: Some(TaskStatus::Completed), ..Filter::default() },
        Filter { worker: Some("w-1".to_owned()), ..Filter::default() },
        Filter { from_ms: Some(now - 60_000), to_ms: Some(now + 60_000), ..Filter::default() },
    ];
    for filter in all_of {
        assert_eq!(found(&queue, filter.clone()).await, [3, 2, 1], "{filter:?}");
    }
    let none_of = [
        Filter { task_id: Some("nobody".to_owned()), ..Filter::default() },
        Filter { user_id: Some(22), ..Filter::default() },
        Filter { chat_id: Some(22), ..Filter::default() },
        Filter { task_type: Some(task_type("other")), ..Filter::default() },
        Filter { status: Some(TaskStatus::Failed), ..Filter::default() },
        Filter { code: Some("trap".to_owned()), ..Filter::default() },
        Filter { version: Some("9".to_owned()), ..Filter::default() },
        Filter { worker: Some("w".to_owned()), ..Filter::default() },
        Filter { from_ms: Some(now + 60_000), ..Filter::default() },
        Filter { to_ms: Some(now - 60_000), ..Filter::default() },
        Filter { text: Some("another".to_owned()), ..Filter::default() },
        // A name in the stored form, which nobody wrote.
        Filter { text: Some("result".to_owned()), ..Filter::default() },
    ];
    for filter in none_of {
        assert!(found(&queue, filter.clone()).await.is_empty(), "{filter:?}");
    }
    let pages = queue.history();
    let first = pages.find(&Filter::default(), 2, None).await.unwrap();
    let second = pages.find(&Filter::default(), 2, first.next.as_deref()).await.unwrap();
    let people = |tasks: &[FinishedTask]| tasks.iter().map(|task| task.user_id).collect::<Vec<_>>();
    assert_eq!((people(&first.tasks), people(&second.tasks)), (vec![3, 2], vec![1]));
    assert_eq!(second.next, None);
}

/// Adds entries as version 0.1 wrote them; the person's number says which one it is.
async fn add(queue: &TaskQueue, people: std::ops::Range<i64>) {
    let mut pipe = redis::pipe();
    for person in people {
        let end = if person % 100 == 7 { "failed|trap" } else { "completed|" };
        let entry = format!("{{echo}}a-{person}|{person}|{person}|{end}|1.0|w||p|1|2|3|0|0|");
        pipe.cmd("XADD").arg(queue.keys().history_ended()).arg("*").arg("e").arg(entry).ignore();
    }
    pipe.query_async::<()>(&mut queue.connection()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_through_many_pages_finds_each_match_once_and_newest_first() {
    let (_redis, queue) = with_config(with_history(HistorySettings::default())).await;
    // Many pages, the last of them not full.
    add(&queue, 0..5_020).await;
    let failed = Filter { status: Some(TaskStatus::Failed), ..Filter::default() };
    let expected: Vec<i64> = (0..5_020).rev().filter(|number| number % 100 == 7).collect();
    let page = queue.history().find(&failed, 100, None).await.unwrap();
    let people: Vec<i64> = page.tasks.iter().map(|task| task.user_id).collect();
    assert_eq!((people, page.looked_at, page.next), (expected.clone(), 5_020, None));
    // In parts. What is added meanwhile is newer, and not looked at.
    for limit in [7, 40] {
        let mut people = Vec::new();
        let mut from = None;
        loop {
            let page = queue.history().find(&failed, limit, from.as_deref()).await.unwrap();
            people.extend(page.tasks.iter().map(|task| task.user_id));
            from = page.next;
            if from.is_none() {
                break;
            }
            add(&queue, 10_000..10_200).await;
        }
        people.retain(|person| *person < 10_000);
        assert_eq!(people, expected, "{limit} at once");
    }
    for oldest in [0, 1_000] {
        let one = Filter { user_id: Some(oldest), ..Filter::default() };
        assert_eq!(found(&queue, one).await, [oldest]);
    }
}

#[tokio::test]
async fn a_persons_words_are_kept_only_where_the_operator_wants_it() {
    for (kept, whole) in [(Texts::Off, false), (Texts::Short, true), (Texts::Whole, true)] {
        let (_redis, queue) = with_config(with_history(texts(kept))).await;
        run(&queue, &[1]).await;
        let all = all_values(&queue).await;
        assert!(all.contains("w-1"), "{all}");
        assert_eq!(all.contains(SECRET), whole, "{kept:?}: {all}");
    }
    // Of a long text only the beginning.
    let (_redis, queue) = with_config(with_history(texts(Texts::Short))).await;
    let mut long = task(1, "long");
    long.params.insert("cause".to_owned(), format!("{}{SECRET}", "x".repeat(300)).into());
    queue.submit_task(&long).await.unwrap();
    queue.cancel(&long.task_id).await.unwrap();
    write(&queue).await;
    let all = all_values(&queue).await;
    assert!(all.contains("xxx") && !all.contains(SECRET), "{all}");
}

#[tokio::test]
async fn a_timeline_has_the_attempts_the_end_and_the_delivery() {
    let (redis, queue) = with_config(with_history(HistorySettings::default())).await;
    let asked = task(1, "a");
    let id = asked.task_id.clone();
    queue.submit_task(&asked).await.unwrap();
    let waiting = queue.history().task(&id).await.unwrap();
    assert_eq!(waiting.live.as_ref().unwrap().status, TaskStatus::Pending);
    assert_eq!(waiting.events()[0].what, TimelineKind::Submitted);
    // A worker dies with it.
    let mut dead = quick();
    dead.history = None;
    let dead = another(redis.as_ref(), &queue, dead).await;
    let echo = Echo::new(&["echo"], Duration::from_secs(60));
    let worker = start(&dead, &echo, "dies", Duration::ZERO);
    eventually("the start", async || {
        (echo.started.load(std::sync::atomic::Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    worker.kill().await;
    eventually("its lease to end", async || {
        let swept = work::sweep(&queue).await.unwrap();
        (swept.reclaimed == 1).then_some(())
    })
    .await;
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "answers", Duration::ZERO);
    queue.get_result(&id, Duration::from_secs(15)).await.unwrap().unwrap();
    worker.stop().await;
    let mut outbox = Outbox::new(&queue, "c");
    outbox.refresh_lanes().await.unwrap();
    let reply = outbox.read(10, Duration::from_millis(100)).await.unwrap().remove(0);
    queue.acknowledge(&reply, Delivered::Shown).await.unwrap();
    queue.note_delivered(&reply, Delivered::Shown, Some(77));
    write(&queue).await;
    let timeline = queue.history().task(&id).await.unwrap();
    let finished = timeline.finished.as_ref().unwrap();
    assert_eq!((finished.crashes, finished.worker.as_deref()), (1, Some("answers")));
    let events: Vec<TimelineKind> = timeline.events().into_iter().map(|event| event.what).collect();
    let claimed = |kind: &TimelineKind, by: &str| matches!(kind, TimelineKind::Claimed { worker, .. } if worker == by);
    assert!(matches!(events[0], TimelineKind::Submitted), "{events:?}");
    assert!(claimed(&events[1], "dies"), "{events:?}");
    assert!(
        matches!(&events[2], TimelineKind::Step(StepKind::WorkerLost { worker, .. }) if worker == "dies")
    );
    assert!(claimed(&events[3], "answers"), "{events:?}");
    assert!(matches!(events[4], TimelineKind::Ended { status: TaskStatus::Completed, .. }));
    let delivered = StepKind::Delivered { chat_id: Some(1), message_id: Some(77) };
    assert_eq!(events[5], TimelineKind::Step(delivered));
    assert_eq!(events.len(), 6);
}

#[tokio::test]
async fn tasks_that_end_without_a_worker_are_in_the_history() {
    let mut config = with_history(HistorySettings::default());
    config.time_to_live = Duration::from_millis(200);
    let (_redis, queue) = with_config(config).await;
    queue.submit_task(&task(1, "cancelled")).await.unwrap();
    assert!(queue.cancel(&task(1, "cancelled").task_id).await.unwrap());
    queue.submit_task(&task(2, "late")).await.unwrap();
    eventually("the deadline", async || {
        (work::sweep(&queue).await.unwrap().expired == 1).then_some(())
    })
    .await;
    write(&queue).await;
    let page = queue.history().find(&Filter::default(), 10, None).await.unwrap();
    let ends: Vec<_> = page.tasks.iter().map(|task| (task.user_id, task.status)).collect();
    assert_eq!(ends, [(2, TaskStatus::Timeout), (1, TaskStatus::Cancelled)]);
    let code = Filter { code: Some("no-worker".to_owned()), ..Filter::default() };
    assert_eq!(found(&queue, code).await, [2]);
}

#[tokio::test]
async fn the_history_is_capped_by_number_and_by_age() {
    let settings = HistorySettings { max: 100, ..HistorySettings::default() };
    let (_redis, queue) = with_config(with_history(settings)).await;
    for number in 0..450 {
        let task = task(number % 10, &format!("{number}"));
        queue.submit_task(&task).await.unwrap();
        queue.cancel(&task.task_id).await.unwrap();
    }
    write(&queue).await;
    let kept = queue.history().count().await.unwrap();
    assert!((100..=200).contains(&kept), "{kept}");
    // Old entries go while nobody works.
    let young = HistorySettings { keep: Duration::from_millis(1), ..settings };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let config = QueueConfig { namespace: queue.config().namespace.clone(), ..with_history(young) };
    let queue = another(_redis.as_ref(), &queue, config).await;
    let stop = CancellationToken::new();
    let writing = tokio::spawn(write_until(queue.clone(), stop.clone()));
    eventually("old entries to go", async || {
        (queue.history().count().await.unwrap() == 0).then_some(())
    })
    .await;
    stop.cancel();
    writing.await.unwrap();
}

#[tokio::test]
async fn a_forgotten_person_is_gone_and_their_tasks_in_progress_leave_nothing() {
    let (_redis, queue) = with_config(with_history(texts(Texts::Whole))).await;
    run(&queue, &[1, 2]).await;
    let running = task(1, "in progress");
    queue.submit_task(&running).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(queue.history().forget_person(1).await.unwrap(), 1);
    // It ends afterwards.
    queue.cancel(&running.task_id).await.unwrap();
    write(&queue).await;
    assert_eq!(found(&queue, Filter::default()).await, [2]);
    assert!(!all_values(&queue).await.contains(&format!("{SECRET} 1")));
    // What they ask later is kept again.
    tokio::time::sleep(Duration::from_millis(5)).await;
    queue.submit_task(&task(1, "later")).await.unwrap();
    queue.cancel(&task(1, "later").task_id).await.unwrap();
    write(&queue).await;
    assert_eq!(found(&queue, Filter::default()).await, [1, 2]);
}

#[tokio::test]
async fn without_a_history_nothing_is_written() {
    let (_redis, queue) = with_config(QueueConfig { user_cap: 100, ..quick() }).await;
    run(&queue, &[1]).await;
    assert_eq!(queue.history().count().await.unwrap(), 0);
    let now = now_ms();
    let buckets = queue.history().buckets(Span::Minute, now - 60_000, now + 1).await.unwrap();
    assert!(buckets.iter().all(|bucket| bucket.types.is_empty()));
}

#[tokio::test]
async fn minutes_and_hours_count_what_ended_and_how_long_it_took() {
    let (_redis, queue) = with_config(with_history(HistorySettings::default())).await;
    run(&queue, &[1, 2, 3]).await;
    queue.submit_task(&task(4, "fails")).await.unwrap();
    let lease = queue.claim(&[task_type("echo")], "w", 1).await.unwrap().remove(0);
    // Not through a worker: nothing is counted.
    let failure = TaskResult::failure(FailureCode::Trap, "it broke");
    queue.store_result(lease, Finish::Failed, failure).await.unwrap();
    let now = now_ms();
    for span in [Span::Minute, Span::Hour] {
        let from = now - 2 * span.ms();
        let buckets = queue.history().buckets(span, from, now + 1).await.unwrap();
        assert!((3..=4).contains(&buckets.len()), "{}", buckets.len());
        let counts = buckets.iter().filter_map(|bucket| bucket.types.get("echo"));
        let completed: u64 = counts.clone().map(|counts| counts.completed).sum();
        let timed: u64 = counts.map(|counts| counts.total.count()).sum();
        assert_eq!((completed, timed), (3, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_loses_its_history_and_no_task() {
    let redis = TestRedis::start();
    let config = with_history(HistorySettings::default());
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    for number in 0..4 {
        queue.submit_task(&task(number, &format!("waits {number}"))).await.unwrap();
    }
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    for number in 0..4 {
        let id = task(number, &format!("waits {number}")).task_id;
        let result = queue.get_result(&id, Duration::from_secs(15)).await.unwrap().unwrap();
        assert!(result.success);
    }
    worker.stop().await;
    assert_eq!(queue.history().count().await.unwrap(), 0);
    assert_eq!(queue.history_dropped(), 4);
}

#[tokio::test]
async fn a_nearly_full_server_is_relieved_of_its_history_first() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), with_history(texts(Texts::Whole))).await.unwrap();
    for number in 0..600 {
        let task = task(number % 10, &format!("{number}"));
        queue.submit_task(&task).await.unwrap();
        queue.cancel(&task.task_id).await.unwrap();
    }
    write(&queue).await;
    assert_eq!(queue.history().count().await.unwrap(), 600);
    let info = redis.ask(&["INFO", "memory"]);
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let limit = used.trim().parse::<u64>().unwrap() * 103 / 100;
    redis.ask(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    let stop = CancellationToken::new();
    let writing = tokio::spawn(write_until(queue.clone(), stop.clone()));
    eventually("the older half to go", async || {
        (queue.history().count().await.unwrap() <= 400).then_some(())
    })
    .await;
    // Tasks are still taken, and what they would add is left out.
    queue.submit_task(&task(11, "taken")).await.unwrap();
    queue.cancel(&task(11, "taken").task_id).await.unwrap();
    eventually("it to be left out", async || (queue.history_dropped() == 1).then_some(())).await;
    stop.cancel();
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_the_node_of_the_history_may_be_down() {
    let cluster = TestCluster::start().await;
    let config = with_history(HistorySettings::default());
    let queue = TaskQueue::connect(&cluster.url(), config).await.unwrap();
    run(&queue, &[1, 2]).await;
    assert_eq!(found(&queue, Filter { user_id: Some(1), ..Filter::default() }).await, [1]);
    assert_eq!(queue.history().forget_person(1).await.unwrap(), 1);
    assert_eq!(found(&queue, Filter::default()).await, [2]);
    let node = cluster.owner(&queue.keys().history_ended());
    let lane = queue::Lane::whole(&task_type("echo"));
    if cluster.owner(&queue.keys().queue(&lane)) == node {
        // Both are on one node: nothing to see here.
        return;
    }
    cluster.freeze(node);
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    queue.submit_task(&task(3, "meanwhile")).await.unwrap();
    let id = task(3, "meanwhile").task_id;
    let result = queue.get_result(&id, Duration::from_secs(15)).await.unwrap().unwrap();
    assert!(result.success);
    cluster.thaw(node);
    worker.stop().await;
}
