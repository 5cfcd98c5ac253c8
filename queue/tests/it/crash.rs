//! Redis goes away and comes back.

use std::time::Duration;

use queue::{QueueConfig, TaskQueue};
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
                // The first commands after the restart may still meet the old connection.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        assert!(result.expect("an answer").success, "task {n}");
    }
    worker.stop().await;
}
