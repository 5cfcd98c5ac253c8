//! After an outage of Redis no lease and no deadline ends too soon. Each script keeps this rule by itself, because another
//! sweeper may have found a task before the outage was noticed.
//!
//! The processes of a test differ in their times, so that no test has to wait.

use test_kit::TestRedis;

use super::*;
use crate::config::QueueConfig;
use crate::task::{Task, TaskId, TaskType};
use crate::work::demand::Demand;
use crate::work::lease::{Finish, Finished, Lease, Renewal};

/// Over at once.
const SHORT: Duration = Duration::from_millis(1);
/// Longer than a [`SHORT`] time, on a busy machine too.
const A_MOMENT: Duration = Duration::from_millis(20);
/// Longer than any of these tests.
const LONG: Duration = Duration::from_secs(600);

fn echo() -> TaskType {
    "echo".parse().unwrap()
}

fn lane() -> Lane {
    Lane::whole(&echo())
}

/// A process whose leases and tasks live that long. An outage is longer than `sweep_every`.
async fn process(redis: &TestRedis, lease: Duration, time_to_live: Duration) -> TaskQueue {
    let config = QueueConfig { lease, time_to_live, sweep_every: LONG, ..QueueConfig::default() };
    TaskQueue::connect(&redis.url(), config).await.unwrap()
}

async fn submit(queue: &TaskQueue) -> TaskId {
    let task = Task::new(echo(), 1, serde_json::Map::new());
    queue.submit_task(&task).await.unwrap();
    task.task_id
}

async fn claim(queue: &TaskQueue) -> Lease {
    queue.claim(&[echo()], "w", 1).await.unwrap().remove(0)
}

/// The claim that follows results in the same script.
async fn claim_with_results(queue: &TaskQueue) -> Lease {
    let one = Demand { room: 1, ahead: 0 };
    let (_, mut claimed) = queue.finish_and_claim(&lane(), &[], "w", one).await.unwrap();
    claimed.leases.remove(0)
}

/// The next sweep, by `queue`, finds that Redis was away for longer than a lease. `queue` then gives leases and deadlines more
/// time.
async fn outage(redis: &TestRedis, queue: &TaskQueue) {
    let meta = queue.keys.meta(&lane());
    let seconds: u64 = redis.ask(&["TIME"]).lines().next().unwrap().parse().unwrap();
    let last_sweep = (seconds - 10 * LONG.as_secs()) * 1_000;
    redis.ask(&["HSET", &meta, "alive", &last_sweep.to_string()]);
    // What ended by now ended in the outage.
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(sweep(queue).await.unwrap(), Swept::default());
    assert_ne!(redis.ask(&["HGET", &meta, "grace"]), "", "the outage was noticed");
}

/// What a sweeper ends that found the task before the outage was noticed.
async fn ended_by_late_sweeper(queue: &TaskQueue, id: &TaskId, ending: Ending<'_>) -> FinishReply {
    let result = TaskResult::failure(FailureCode::WorkerCrashed, "late");
    let ids = [id.as_str().to_owned()];
    finish_all(queue, &lane(), &ids, ending, &result).await.unwrap().remove(0)
}

async fn stored(queue: &TaskQueue, lease: Lease, finish: Finish) -> Finished {
    let result = TaskResult::failure(FailureCode::PluginFailed, "x");
    queue.store_result(lease, finish, result).await.unwrap()
}

#[tokio::test]
async fn a_lease_that_was_found_to_have_ended_before_the_outage_was_noticed_goes_on() {
    let redis = TestRedis::start();
    let worker = process(&redis, SHORT, LONG).await;
    let id = submit(&worker).await;
    let lease = claim(&worker).await;
    outage(&redis, &process(&redis, LONG, LONG).await).await;
    let ended = ended_by_late_sweeper(&worker, &id, Ending::LeaseLost).await;
    assert_eq!(ended, FinishReply::NotDue);
    assert_eq!(stored(&worker, lease, Finish::Done).await, Finished::Stored);
}

#[tokio::test]
async fn a_deadline_that_was_found_to_have_passed_before_the_outage_was_noticed_is_put_off() {
    let redis = TestRedis::start();
    let submitter = process(&redis, SHORT, SHORT).await;
    let id = submit(&submitter).await;
    outage(&redis, &process(&redis, LONG, LONG).await).await;
    let ended = ended_by_late_sweeper(&submitter, &id, Ending::DeadlinePassed).await;
    assert_eq!(ended, FinishReply::NotDue);
    assert_eq!(submitter.task_status(&id).await.unwrap(), Some(TaskStatus::Pending));
}

#[tokio::test]
async fn the_sweep_after_an_outage_finds_no_lease_and_no_deadline_that_has_ended() {
    let redis = TestRedis::start();
    let worker = process(&redis, SHORT, SHORT).await;
    submit(&worker).await;
    claim(&worker).await;
    let sweeper = process(&redis, LONG, LONG).await;
    outage(&redis, &sweeper).await;
    let looked = look(&sweeper, Common::LeftOut, &[lane()]).await.unwrap();
    assert_eq!(looked.found, [Found::default()]);
}

#[tokio::test]
async fn a_task_whose_deadline_passed_in_an_outage_is_retried() {
    let redis = TestRedis::start();
    let worker = process(&redis, SHORT, SHORT).await;
    submit(&worker).await;
    let lease = claim(&worker).await;
    outage(&redis, &process(&redis, LONG, LONG).await).await;
    let ended = stored(&worker, lease, Finish::RetryAfter(LONG / 10)).await;
    assert_eq!(ended, Finished::Retrying);
}

#[tokio::test]
async fn a_task_whose_worker_died_and_whose_deadline_passed_in_an_outage_runs_again() {
    let redis = TestRedis::start();
    let worker = process(&redis, SHORT, SHORT).await;
    submit(&worker).await;
    claim(&worker).await;
    let sweeper = process(&redis, SHORT, LONG).await;
    outage(&redis, &sweeper).await;
    tokio::time::sleep(A_MOMENT).await;
    let swept = sweep(&sweeper).await.unwrap();
    assert_eq!(swept, Swept { reclaimed: 1, ..Swept::default() });
}

#[tokio::test]
async fn a_task_that_is_claimed_after_an_outage_has_its_full_time() {
    let redis = TestRedis::start();
    let submitter = process(&redis, LONG, SHORT).await;
    submit(&submitter).await;
    submit(&submitter).await;
    let worker = process(&redis, LONG, LONG).await;
    outage(&redis, &worker).await;
    for lease in [claim(&worker).await, claim_with_results(&worker).await] {
        assert!(lease.time_left() > LONG / 2, "{:?}", lease.time_left());
    }
}

#[tokio::test]
async fn an_outage_that_begins_before_a_lanes_first_sweep_is_noticed() {
    for with_results in [false, true] {
        let redis = TestRedis::start();
        let config = QueueConfig {
            lease: A_MOMENT,
            sweep_every: SHORT,
            time_to_live: LONG,
            ..QueueConfig::default()
        };
        let worker = TaskQueue::connect(&redis.url(), config).await.unwrap();
        submit(&worker).await;
        let lease =
            if with_results { claim_with_results(&worker).await } else { claim(&worker).await };
        // Nobody sweeps for longer than a lease.
        tokio::time::sleep(A_MOMENT * 2).await;
        assert_eq!(sweep(&worker).await.unwrap(), Swept::default(), "{with_results}");
        assert_eq!(stored(&worker, lease, Finish::Done).await, Finished::Stored);
    }
}

#[tokio::test]
async fn a_lease_that_is_renewed_ends_at_the_deadline_at_the_latest() {
    let redis = TestRedis::start();
    let worker = process(&redis, LONG, LONG / 2).await;
    let id = submit(&worker).await;
    let lease = claim(&worker).await;
    let score = |key: &str| redis.ask(&["ZSCORE", key, id.as_str()]);
    let deadline = score(&worker.keys.deadline(&lane()));
    for _ in 0..2 {
        assert_eq!(score(&worker.keys.active(&lane())), deadline);
        let renewals = worker.renew(std::slice::from_ref(&lease)).await.unwrap();
        assert_eq!(renewals, [Some(Renewal::Renewed)]);
    }
}

#[tokio::test]
async fn a_lease_is_renewed_beyond_a_deadline_that_passed_in_an_outage() {
    let redis = TestRedis::start();
    let worker = process(&redis, LONG, SHORT).await;
    submit(&worker).await;
    let lease = claim(&worker).await;
    // Its leases have no more time after an outage; its deadlines do.
    let sweeper = process(&redis, SHORT, LONG).await;
    outage(&redis, &sweeper).await;
    let renewals = worker.renew(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(renewals, [Some(Renewal::Renewed)]);
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(sweep(&sweeper).await.unwrap(), Swept::default(), "its worker lives");
    assert_eq!(stored(&worker, lease, Finish::Done).await, Finished::Stored);
}
