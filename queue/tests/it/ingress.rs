//! Tasks that other producers push as JSON.

use std::time::Duration;

use queue::submit::drain_ingress;
use queue::{QueueConfig, TaskId, TaskQueue, TaskStatus};

use crate::support::{foreign_id, queue, quick, task_type, with_config};

async fn push(queue: &TaskQueue, entry: &[u8]) {
    let () = redis::cmd("RPUSH")
        .arg(queue.keys().ingress())
        .arg(entry)
        .query_async(&mut queue.connection())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_pushed_task_becomes_an_ordinary_one_under_its_own_id() {
    let (_redis, queue) = queue().await;
    let id = foreign_id("from-python-1");
    let json = format!(r#"{{"task_id":"{id}","user_id":5,"task_type":"echo","params":{{"a":1}}}}"#);
    push(&queue, json.as_bytes()).await;
    push(&queue, json.as_bytes()).await;
    assert_eq!(drain_ingress(&queue).await.unwrap(), 2);
    let leases = queue.claim(&[task_type("echo")], "w", 10).await.unwrap();
    assert_eq!(leases.len(), 1, "the same id twice is one task");
    assert_eq!(leases[0].task.task_id.as_str(), id);
}

#[tokio::test]
async fn an_unreadable_entry_is_kept_with_the_reason_and_the_others_go_on() {
    let (_redis, queue) = queue().await;
    push(&queue, b"{not json").await;
    push(&queue, b"\xff\xfe").await;
    push(&queue, br#"{"task_id":"no-type","user_id":5}"#).await;
    push(&queue, br#"{"task_id":"bad-type","user_id":5,"task_type":"a}b","params":{}}"#).await;
    let large = format!(
        r#"{{"task_id":"large","user_id":5,"task_type":"echo","params":{{"x":"{}"}}}}"#,
        "x".repeat(5_000_000)
    );
    push(&queue, large.as_bytes()).await;
    let good = foreign_id("good");
    let good = format!(r#"{{"task_id":"{good}","user_id":5,"task_type":"echo","params":{{}}}}"#);
    push(&queue, good.as_bytes()).await;
    assert_eq!(drain_ingress(&queue).await.unwrap(), 6);
    assert_eq!(queue.claim(&[task_type("echo")], "w", 10).await.unwrap().len(), 1);
    for (id, code, part) in [
        ("no-type", "invalid-task", "task_type"),
        ("bad-type", "invalid-task", "not a task type"),
        ("large", "task-too-large", "at most 262144"),
    ] {
        let id: TaskId = id.parse().unwrap();
        let result = queue.get_result(&id, Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(result.code(), Some(code));
        assert!(result.error.unwrap().contains(part));
        assert_eq!(queue.task_status(&id).await.unwrap(), Some(TaskStatus::Failed));
    }
    let rejected: u64 = redis::cmd("XLEN")
        .arg(queue.keys().ingress_rejected())
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    assert_eq!(rejected, 5);
}

#[tokio::test]
async fn a_user_over_the_limit_does_not_delay_pushed_tasks_of_others() {
    let config = QueueConfig { user_cap: 1, ..quick() };
    let (_redis, queue) = with_config(config).await;
    for (name, user) in [("a", 1), ("b", 1), ("c", 1), ("d", 2)] {
        let id = foreign_id(name);
        let json =
            format!(r#"{{"task_id":"{id}","user_id":{user},"task_type":"echo","params":{{}}}}"#);
        push(&queue, json.as_bytes()).await;
    }
    drain_ingress(&queue).await.unwrap();
    let leases = queue.claim(&[task_type("echo")], "w", 10).await.unwrap();
    let mut ids: Vec<&str> = leases.iter().map(|lease| lease.task.task_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [foreign_id("a"), foreign_id("d")]);
    let done: Vec<_> = leases
        .into_iter()
        .map(|lease| (lease, queue::Finish::Done, queue::TaskResult::success(1.into())))
        .collect();
    queue.store_results(&done).await.unwrap();
    drain_ingress(&queue).await.unwrap();
    assert_eq!(queue.claim(&[task_type("echo")], "w", 10).await.unwrap().len(), 1, "now its next");
}
