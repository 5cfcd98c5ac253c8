//! Leases: one holder at a time, and only the holder ends a task.

use std::time::Duration;

use queue::{FailureCode, Finish, Finished, QueueConfig, TaskResult, TaskStatus};
use serde_json::json;

use crate::support::{eventually, queue, quick, task, task_type, with_config};

#[tokio::test]
async fn a_result_after_the_lease_is_refused() {
    let (_redis, queue) = queue().await;
    let echo = [task_type("echo")];
    queue.submit_task(&task(1, "a")).await.unwrap();
    let late = queue.claim(&echo, "frozen", 1).await.unwrap().remove(0);
    let second = eventually("a second claim", async || {
        queue::work::sweep(&queue).await.unwrap();
        queue.claim(&echo, "other", 1).await.unwrap().pop()
    })
    .await;
    assert_eq!((second.crashes, second.task.attempt), (1, 2));
    let stored = queue.store_result(late, Finish::Done, TaskResult::success(json!("late"))).await;
    assert_eq!(stored.unwrap(), Finished::Stale);
    let id = second.task.task_id.clone();
    let stored =
        queue.store_result(second, Finish::Done, TaskResult::success(json!("right"))).await;
    assert_eq!(stored.unwrap(), Finished::Stored);
    let result = queue.get_result(&id, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(result.data, json!("right"));
}

#[tokio::test]
async fn a_renewed_lease_is_not_reclaimed() {
    // A busy machine may take a second to answer.
    let times = QueueConfig {
        lease: Duration::from_secs(3),
        renew_every: Duration::from_secs(1),
        ..quick()
    };
    let (_redis, queue) = with_config(times).await;
    queue.submit_task(&task(1, "a")).await.unwrap();
    let lease = queue.claim(&[task_type("echo")], "w", 1).await.unwrap().remove(0);
    // For two lease times, with renewals in time.
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let renewals = queue.renew(std::slice::from_ref(&lease)).await.unwrap();
        assert_eq!(renewals, [Some(queue::work::Renewal::Renewed)]);
        assert_eq!(queue::work::sweep(&queue).await.unwrap(), queue::work::Swept::default());
    }
}

#[tokio::test]
async fn a_task_whose_workers_die_fails_and_is_kept_as_a_dead_letter() {
    let (_redis, queue) = queue().await;
    let echo = task_type("echo");
    let task = task(1, "poison");
    queue.submit_task(&task).await.unwrap();
    for _ in 0..3 {
        eventually("a claim", async || {
            queue::work::sweep(&queue).await.unwrap();
            queue.claim(std::slice::from_ref(&echo), "dies", 1).await.unwrap().pop()
        })
        .await;
    }
    let result = eventually("the end", async || {
        queue::work::sweep(&queue).await.unwrap();
        queue.get_result(&task.task_id, Duration::ZERO).await.unwrap()
    })
    .await;
    assert_eq!(result.code(), Some("worker-crashed"));
    let dead: u64 = redis::cmd("XLEN")
        .arg(queue.keys().dead(&queue::Lane::whole(&echo)))
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    assert_eq!(dead, 1);
}

#[tokio::test]
async fn a_temporary_failure_is_retried_after_its_delay() {
    let (_redis, queue) = queue().await;
    let echo = [task_type("echo")];
    let task = task(1, "a");
    queue.submit_task(&task).await.unwrap();
    let lease = queue.claim(&echo, "w", 1).await.unwrap().remove(0);
    let failed = TaskResult::failure(FailureCode::RetriesExhausted, "busy");
    let wait = Finish::RetryAfter(Duration::from_millis(200));
    assert_eq!(queue.store_result(lease, wait, failed).await.unwrap(), Finished::Retrying);
    assert_eq!(queue.task_status(&task.task_id).await.unwrap(), Some(TaskStatus::Retrying));
    assert!(queue.claim(&echo, "w", 1).await.unwrap().is_empty());
    let again =
        eventually("the retry", async || queue.claim(&echo, "w", 1).await.unwrap().pop()).await;
    assert_eq!((again.failures, again.task.attempt), (1, 2));
}

#[tokio::test]
async fn a_task_without_a_worker_is_answered_at_its_deadline() {
    let config = QueueConfig { time_to_live: Duration::from_millis(300), ..quick() };
    let (_redis, queue) = with_config(config).await;
    let task = task(1, "a");
    queue.submit_task(&task).await.unwrap();
    let result = eventually("the answer", async || {
        queue::work::sweep(&queue).await.unwrap();
        queue.get_result(&task.task_id, Duration::ZERO).await.unwrap()
    })
    .await;
    assert_eq!(result.code(), Some("no-worker"));
    assert_eq!(queue.task_status(&task.task_id).await.unwrap(), Some(TaskStatus::Timeout));
}

#[tokio::test]
async fn a_waiting_task_is_cancelled_at_once_and_a_running_one_through_its_worker() {
    let (_redis, queue) = queue().await;
    let waiting = task(1, "waiting");
    let running = task(2, "running");
    queue.submit_task(&running).await.unwrap();
    let lease = queue.claim(&[task_type("echo")], "w", 1).await.unwrap().remove(0);
    queue.submit_task(&waiting).await.unwrap();
    assert!(queue.cancel(&waiting.task_id).await.unwrap());
    assert_eq!(queue.task_status(&waiting.task_id).await.unwrap(), Some(TaskStatus::Cancelled));
    assert!(queue.cancel(&running.task_id).await.unwrap());
    let renewals = queue.renew(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(renewals, [Some(queue::work::Renewal::CancelRequested)]);
    assert!(!queue.cancel(&task(3, "unknown").task_id).await.unwrap());
}

#[tokio::test]
async fn invalid_data_in_the_queues_keys_is_refused_and_does_no_harm() {
    let (_redis, queue) = queue().await;
    let echo = task_type("echo");
    let lane = queue::Lane::whole(&echo);
    let junk = "{echo}junk";
    let () = redis::pipe()
        .zadd(queue.keys().queue(&lane), "{echo}no-data", 0)
        .ignore()
        .zadd(queue.keys().queue(&lane), junk, 0)
        .ignore()
        .zadd(queue.keys().deadline(&lane), junk, 9_999_999_999_999_u64)
        .ignore()
        .hset(queue.keys().data(&lane), junk, "0||||9999999999999|0|0|0|7|{not json")
        .ignore()
        .zadd(queue.keys().queue(&lane), "{echo}no-fields", 0)
        .ignore()
        .hset(queue.keys().data(&lane), "{echo}no-fields", "junk")
        .ignore()
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    queue.submit_task(&task(1, "good")).await.unwrap();
    let leases = queue.claim(std::slice::from_ref(&echo), "w", 10).await.unwrap();
    assert_eq!(leases.len(), 1);
    let result = queue.get_result(&junk.parse().unwrap(), Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(result.code(), Some("invalid-task"));
}

#[tokio::test]
async fn a_cancelled_task_whose_worker_dies_does_not_run_again() {
    let (_redis, queue) = queue().await;
    let task = task(1, "a");
    queue.submit_task(&task).await.unwrap();
    queue.claim(&[task_type("echo")], "dies", 1).await.unwrap();
    assert!(queue.cancel(&task.task_id).await.unwrap());
    eventually("the end", async || {
        queue::work::sweep(&queue).await.unwrap();
        let status = queue.task_status(&task.task_id).await.unwrap();
        (status == Some(TaskStatus::Cancelled)).then_some(())
    })
    .await;
    assert!(queue.claim(&[task_type("echo")], "w", 1).await.unwrap().is_empty());
}
