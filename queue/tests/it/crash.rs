//! Redis dies and restarts.

use std::time::Duration;

use futures::{FutureExt, TryFutureExt};
use queue::{QueueConfig, RedisError, TaskQueue};
use test_kit::TestRedis;

use crate::support::{quick, task};
use crate::worker::{Echo, start};

#[tokio::test(flavor = "multi_thread")]
async fn everything_submitted_before_redis_restarts_is_answered_after_it() {
    let mut redis = TestRedis::start_durable();
    let config = QueueConfig { time_to_live: Duration::from_secs(60), user_cap: 100, ..quick() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    let worker = start(
        &queue,
        &Echo::new(&["echo"], Duration::from_millis(30)),
        "w",
        Duration::from_secs(5),
    );
    for n in 0..40 {
        queue.submit_task(&task(1, &format!("{n}"))).await.unwrap();
    }
    let _redis = tokio::task::spawn_blocking(move || {
        redis.kill();
        std::thread::sleep(Duration::from_millis(700));
        redis.revive();
        redis
    })
    .await
    .unwrap();
    for n in 0..40 {
        let id = task(1, &format!("{n}")).task_id;
        let result = loop {
            match queue.get_result(&id, Duration::from_secs(30)).await {
                Ok(result) => break result,
                // The first commands after the restart may still use the old connection.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        assert!(result.expect("an answer").success, "task {n}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_redis_accepted_and_lost_are_answered() {
    let mut redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), quick()).await.unwrap();
    // Submitted tasks are remembered from the first call on.
    queue.confirm_recent().await.unwrap();
    let lost_task = |n: i64| task(n, &format!("lost {n}"));
    for n in 0..5 {
        queue.submit_task(&lost_task(n)).await.unwrap();
    }
    // What a caller stores beside the task.
    let beside = queue.keys().scoped("beside");
    let key = beside.clone();
    queue.before_resubmit(&lost_task(0).task_id, move |queue| {
        let key = key.clone();
        let stored = async move { queue.write_even_when_full("SET", key, 41).await };
        let failed = |source| RedisError { action: "store what belongs to the task", source };
        stored.map_err(failed).boxed()
    });
    assert_eq!(queue.confirm_recent().await.unwrap(), 0, "nothing is lost yet");
    let redis = tokio::task::spawn_blocking(move || {
        redis.kill();
        redis.revive();
        redis
    })
    .await
    .unwrap();
    let lost = test_kit::eventually("the new server", async || queue.confirm_recent().await.ok());
    assert_eq!(lost.await, 5);
    assert_eq!(queue.confirm_recent().await.unwrap(), 0, "once is enough");
    let stored: Option<i64> =
        redis::cmd("GET").arg(&beside).query_async(&mut queue.connection()).await.unwrap();
    assert_eq!(stored, Some(41), "what belongs to the task is stored again");
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    for n in 0..5 {
        let result =
            queue.get_result(&lost_task(n).task_id, Duration::from_secs(15)).await.unwrap();
        assert!(result.expect("an answer").success);
    }
    worker.stop().await;
    drop(redis);
}
