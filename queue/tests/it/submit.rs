//! Submitting: once per id, fair, bounded.

use queue::error::SubmitError;
use queue::{QueueConfig, Submitted, TaskStatus};

use crate::support::{queue, quick, task, task_type, with_config};

#[tokio::test]
async fn the_same_task_is_accepted_once_also_after_it_was_answered() {
    let (_redis, queue) = queue().await;
    let task = task(1, "update 1");
    assert_eq!(queue.submit_task(&task).await.unwrap(), Submitted::New { ahead: 0 });
    assert_eq!(queue.submit_task(&task).await.unwrap(), Submitted::Already);
    let lease = queue.claim(&[task_type("echo")], "w", 5).await.unwrap().remove(0);
    let result = queue::TaskResult::success(serde_json::json!(1));
    queue.store_result(lease, queue::Finish::Done, result).await.unwrap();
    assert_eq!(queue.submit_task(&task).await.unwrap(), Submitted::Already);
    assert_eq!(queue.queue_size(&task_type("echo")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_user_who_asks_once_is_not_behind_one_who_floods() {
    let (_redis, queue) = queue().await;
    for n in 0..6 {
        queue.submit_task(&task(1, &format!("flood {n}"))).await.unwrap();
    }
    queue.submit_task(&task(2, "once")).await.unwrap();
    let order: Vec<i64> = queue
        .claim(&[task_type("echo")], "w", 10)
        .await
        .unwrap()
        .iter()
        .map(|lease| lease.task.user_id)
        .collect();
    assert_eq!(order, [1, 2, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn tasks_of_one_user_keep_their_order() {
    let (_redis, queue) = queue().await;
    for n in 0..8 {
        queue.submit_task(&task(1, &format!("{n}"))).await.unwrap();
    }
    let leases = queue.claim(&[task_type("echo")], "w", 10).await.unwrap();
    let order: Vec<&str> =
        leases.iter().map(|lease| lease.task.params["cause"].as_str().unwrap()).collect();
    assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn a_user_over_their_number_and_a_full_queue_are_refused_with_the_count() {
    let config = QueueConfig { user_cap: 2, max_pending: 3, ..quick() };
    let (_redis, queue) = with_config(config).await;
    for n in 0..2 {
        queue.submit_task(&task(1, &format!("{n}"))).await.unwrap();
    }
    let error = queue.submit_task(&task(1, "2")).await.unwrap_err();
    assert!(matches!(error, SubmitError::UserLimit { live: 2, .. }), "{error}");
    queue.submit_task(&task(2, "3")).await.unwrap();
    let error = queue.submit_task(&task(3, "4")).await.unwrap_err();
    assert!(matches!(error, SubmitError::QueueFull { pending: 3, .. }), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_task_of_megabytes_is_refused_before_it_reaches_redis() {
    let (_redis, queue) = queue().await;
    let mut large = task(1, "large");
    large.params.insert("query".to_owned(), "x".repeat(5_000_000).into());
    let error = queue.submit_task(&large).await.unwrap_err();
    assert!(matches!(error, SubmitError::TooLarge { limit: 262_144, .. }), "{error}");
    assert_eq!(queue.task_status(&large.task_id).await.unwrap(), None);
}

#[tokio::test]
async fn a_status_follows_the_task_and_goes_within_five_minutes() {
    let (_redis, queue) = queue().await;
    let task = task(1, "update 1");
    let status = async || queue.task_status(&task.task_id).await.unwrap();
    assert_eq!(status().await, None);
    queue.submit_task(&task).await.unwrap();
    assert_eq!(status().await, Some(TaskStatus::Pending));
    let lease = queue.claim(&[task_type("echo")], "w", 1).await.unwrap().remove(0);
    assert_eq!(status().await, Some(TaskStatus::Processing));
    let result = queue::TaskResult::success(serde_json::json!({"answer": 42}));
    queue.store_result(lease, queue::Finish::Done, result).await.unwrap();
    assert_eq!(status().await, Some(TaskStatus::Completed));
    for key in [queue.keys().status(&task.task_id), queue.keys().result(&task.task_id)] {
        let seconds: i64 =
            redis::cmd("TTL").arg(key).query_async(&mut queue.connection()).await.unwrap();
        assert!((1..=300).contains(&seconds), "{seconds}");
    }
}
