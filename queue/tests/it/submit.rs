//! Submitting: once per id, fair, and limited.

use std::time::Duration;

use queue::error::SubmitError;
use queue::{Band, QueueConfig, SubmitOptions, Submitted, TaskStatus};

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
async fn a_user_over_the_limit_and_a_full_queue_are_refused_with_the_count() {
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

#[tokio::test]
async fn many_tasks_are_accepted_in_one_call_also_beside_a_refused_one() {
    let config = QueueConfig { user_cap: 500, ..quick() };
    let (_redis, queue) = with_config(config).await;
    let mut large = task(1, "large");
    large.params.insert("query".to_owned(), "x".repeat(300_000).into());
    let mut other = task(1, "other type");
    other.task_type = task_type("other");
    other.task_id = queue::TaskId::new(&queue::Lane::whole(&other.task_type));
    let mut tasks: Vec<_> =
        (0..600).map(|n| (task(n % 7, &n.to_string()), SubmitOptions::default())).collect();
    tasks.push((task(0, "0"), SubmitOptions::default()));
    tasks.push((large, SubmitOptions::default()));
    tasks.push((other, SubmitOptions::default()));
    let answers = queue.submit_tasks(&tasks).await.unwrap();
    assert_eq!(answers.len(), 603);
    for (index, answer) in answers.iter().enumerate() {
        match index {
            600 => assert!(matches!(answer, Ok(Submitted::Already)), "{answer:?}"),
            601 => assert!(matches!(answer, Err(SubmitError::TooLarge { .. })), "{answer:?}"),
            _ => assert!(matches!(answer, Ok(Submitted::New { .. })), "{index}: {answer:?}"),
        }
    }
    assert_eq!(queue.queue_size(&task_type("echo")).await.unwrap(), 600);
    assert_eq!(queue.claim(&[task_type("echo")], "w", 700).await.unwrap().len(), 600);
}

#[tokio::test]
async fn an_identical_task_within_a_short_time_is_a_duplicate_of_the_first() {
    let (_redis, queue) = queue().await;
    let ask = async |user: i64, cause: &str, query: &str| {
        let mut task = task(user, cause);
        task.params.insert("cause".to_owned(), query.into());
        let duplicate_within = Duration::from_secs(60);
        let options = SubmitOptions { duplicate_within, ..SubmitOptions::default() };
        queue.submit_with(&task, options).await.unwrap()
    };
    let new = |submitted: &Submitted| matches!(submitted, Submitted::New { .. });
    assert!(new(&ask(1, "press 1", "luna").await));
    let first = task(1, "press 1").task_id;
    assert_eq!(ask(1, "press 2", "luna").await, Submitted::Duplicate { of: first });
    assert!(new(&ask(1, "press 3", "noor").await), "another question");
    assert!(new(&ask(2, "press 4", "luna").await), "another person");
    assert_eq!(queue.queue_size(&task_type("echo")).await.unwrap(), 3);
}

#[tokio::test]
async fn bands_wait_behind_each_other_but_not_for_ever() {
    let config = QueueConfig { user_cap: 1_000, ..quick() };
    let (_redis, queue) = with_config(config).await;
    let submit = async |user: i64, cause: &str, band: Band| {
        let options = SubmitOptions { band, ..SubmitOptions::default() };
        queue.submit_with(&task(user, cause), options).await.unwrap();
    };
    submit(1, "background", Band::Background).await;
    submit(2, "normal", Band::Normal).await;
    for n in 0..60 {
        submit(3, &n.to_string(), Band::Interactive).await;
    }
    let leases = queue.claim(&[task_type("echo")], "w", 1_000).await.unwrap();
    let position =
        |cause: &str| leases.iter().position(|lease| lease.task.params["cause"] == cause).unwrap();
    assert_eq!(position("normal"), 50, "behind fifty tasks of one user, before their next");
    assert_eq!(position("background"), 61);
}

#[tokio::test]
async fn an_id_is_one_task_whether_it_wants_a_reply_or_not() {
    let (_redis, queue) = queue().await;
    let wants_reply = task(1, "a");
    let mut wants_none = wants_reply.clone();
    wants_none.reply_to = None;
    queue.submit_task(&wants_none).await.unwrap();
    let lease = queue.claim(&[task_type("echo")], "w", 1).await.unwrap().remove(0);
    assert_eq!(queue.submit_task(&wants_reply).await.unwrap(), Submitted::Already);
    let both: Vec<_> = [wants_none, wants_reply]
        .map(|mut task| {
            task.task_id = queue::TaskId::from_cause(&task.lane(), "b");
            (task, SubmitOptions::default())
        })
        .into();
    let answers = queue.submit_tasks(&both).await.unwrap();
    assert!(matches!(answers[0], Ok(Submitted::New { .. })), "{answers:?}");
    assert!(matches!(answers[1], Ok(Submitted::Already)), "{answers:?}");
    let result = queue::TaskResult::success(serde_json::json!(1));
    let stored = queue.store_result(lease, queue::Finish::Done, result).await.unwrap();
    assert_eq!(stored, queue::Finished::Stored, "its holder was left alone");
}
