//! Tasks that a worker holds and has not started.

use test_kit::TestRedis;

use super::*;
use crate::config::QueueConfig;
use crate::task::TaskStatus;
use crate::work::lease::{Finished, Renewal};
use crate::work::sweep;

const LEASE: Duration = Duration::from_millis(300);

fn echo() -> TaskType {
    "echo".parse().unwrap()
}

async fn with_tasks(count: i64) -> (TestRedis, TaskQueue) {
    let redis = TestRedis::start();
    let config = QueueConfig { lease: LEASE, ..QueueConfig::default() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    for user in 0..count {
        queue.submit_task(&Task::new(echo(), user, serde_json::Map::new())).await.unwrap();
    }
    (redis, queue)
}

async fn claim(queue: &TaskQueue, room: usize, ahead: usize) -> Claimed {
    queue.claim_lane(&Lane::whole(&echo()), "w", Demand { room, ahead }).await.unwrap()
}

async fn active(queue: &TaskQueue) -> u64 {
    queue.stats(LEASE).await.unwrap().iter().map(|stats| stats.active).sum()
}

#[tokio::test]
async fn a_task_read_ahead_waits_and_is_cancelled_at_once() {
    let (_redis, queue) = with_tasks(3).await;
    let Claimed { leases, more, .. } = claim(&queue, 1, 1).await;
    assert!(more, "the third waits");
    let [running, waiting] = leases.as_slice() else { panic!("{leases:?}") };
    assert_eq!((running.read_ahead, waiting.read_ahead), (false, true));
    assert_eq!(active(&queue).await, 1, "only one runs");
    let id = &waiting.task.task_id;
    assert_eq!(queue.task_status(id).await.unwrap(), Some(TaskStatus::Pending));
    assert!(queue.cancel(id).await.unwrap());
    assert_eq!(queue.task_status(id).await.unwrap(), Some(TaskStatus::Cancelled));
    let renewals = queue.renew_started(&[(running, true), (waiting, false)]).await.unwrap();
    assert_eq!(renewals, [Some(Renewal::Renewed), Some(Renewal::Lost)]);
    let late = queue.store_result(waiting.clone(), Finish::Done, TaskResult::success(1.into()));
    assert_eq!(late.await.unwrap(), Finished::Stale);
}

#[tokio::test]
async fn a_task_read_ahead_runs_once_its_worker_says_so() {
    let (_redis, queue) = with_tasks(1).await;
    let lease = claim(&queue, 0, 1).await.leases.remove(0);
    assert_eq!(active(&queue).await, 0);
    for started in [false, true, true] {
        let renewals = queue.renew_started(&[(&lease, started)]).await.unwrap();
        assert_eq!(renewals, [Some(Renewal::Renewed)]);
        assert_eq!(active(&queue).await, u64::from(started));
    }
    let status = queue.task_status(&lease.task.task_id).await.unwrap();
    assert_eq!(status, Some(TaskStatus::Processing));
}

#[tokio::test]
async fn a_dead_worker_is_not_charged_to_what_it_had_not_started() {
    let (_redis, queue) = with_tasks(1).await;
    assert_eq!(claim(&queue, 0, 1).await.leases.len(), 1);
    // Three deaths would make a dead letter of a task that had started.
    for _ in 0..4 {
        tokio::time::sleep(LEASE + Duration::from_millis(20)).await;
        sweep(&queue).await.unwrap();
        let ahead = claim(&queue, 0, 1).await;
        assert_eq!((ahead.leases.len(), ahead.more), (0, true), "it may have killed its worker");
        let lease = claim(&queue, 1, 1).await.leases.remove(0);
        assert_eq!((lease.read_ahead, lease.crashes, lease.task.attempt), (false, 0, 1));
        let back = TaskResult::failure(FailureCode::HostError, "drained");
        queue.store_result(lease, Finish::Requeue, back).await.unwrap();
        assert_eq!(claim(&queue, 0, 1).await.leases.len(), 1, "it came back unharmed");
    }
}

#[tokio::test]
async fn a_type_with_a_limit_is_not_read_ahead() {
    let (_redis, queue) = with_tasks(4).await;
    let meta = queue.keys.meta(&Lane::whole(&echo()));
    let () = redis::cmd("HSET")
        .arg(meta)
        .arg("max_active")
        .arg(2)
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    assert_eq!(claim(&queue, 1, 9).await.leases.len(), 1);
    assert_eq!(claim(&queue, 9, 9).await.leases.len(), 1);
    assert_eq!(claim(&queue, 9, 9).await.leases.len(), 0);
}

#[tokio::test]
async fn no_more_tasks_start_than_the_rate_allows() {
    let (_redis, queue) = with_tasks(6).await;
    // Two tasks of one second at once, and the third half a second later at the earliest.
    queue.set_rate_limit(&echo(), Some("2/s".parse().unwrap())).await.unwrap();
    let first = claim(&queue, 1, 9).await;
    assert_eq!((first.leases.len(), first.more), (1, true));
    queue.set_rate_limit(&echo(), Some("1/h".parse().unwrap())).await.unwrap();
    let claimed = claim(&queue, 9, 9).await;
    assert_eq!((claimed.leases.len(), claimed.more), (1, false));
    let hour = Duration::from_secs(3_600);
    assert!(claimed.next_start.is_some_and(|after| hour / 2 < after && after <= hour));
    let refused = claim(&queue, 9, 9).await;
    assert!(refused.leases.is_empty() && refused.next_start.is_some());
    // Who ends a task gets no more either.
    let [lease] = <[_; 1]>::try_from(claimed.leases).unwrap();
    let items = [(lease, Finish::Done, TaskResult::success(serde_json::json!({})))];
    queue.store_results(&items).await.unwrap();
    assert!(claim(&queue, 9, 9).await.leases.is_empty());
    queue.set_rate_limit(&echo(), None).await.unwrap();
    assert_eq!(claim(&queue, 9, 0).await.leases.len(), 4);
}

#[tokio::test]
async fn a_rate_that_nobody_of_us_wrote_is_none() {
    for junk in ["", "0", "-5", "nan", "inf", "often"] {
        let (_redis, queue) = with_tasks(2).await;
        let meta = queue.keys.meta(&Lane::whole(&echo()));
        let () = redis::cmd("HSET")
            .arg(meta)
            .arg(&["interval", junk, "paced", junk])
            .query_async(&mut queue.connection())
            .await
            .unwrap();
        assert_eq!(claim(&queue, 9, 0).await.leases.len(), 2, "{junk}");
    }
}
