//! Tasks that are pushed by hand: valid ones are answered, invalid ones refused, and nothing else is affected.

use queue::{TaskId, TaskQueue, TaskResult, TaskStatus};
use serde_json::json;
use test_kit::PATIENCE;

use crate::support::{Folder, eventually, redis, run, start_worker};

async fn push(queue: &TaskQueue, entry: &[u8]) {
    let () = redis::cmd("RPUSH")
        .arg("freefans:tasks:queue")
        .arg(entry)
        .query_async(&mut queue.connection())
        .await
        .unwrap();
}

async fn result_of(queue: &TaskQueue, id: &str) -> TaskResult {
    let id: TaskId = id.parse().unwrap();
    let result = queue.get_result(&id, PATIENCE).await.unwrap();
    result.unwrap_or_else(|| panic!("no result for {id}"))
}

#[tokio::test]
async fn each_malformed_task_gets_a_clear_failure_and_the_rest_goes_on() {
    let (redis, queue) = redis().await;
    let mut worker = start_worker(&redis, &Folder::with(&["search"])).await;
    let large = json!({
        "task_id": "large", "user_id": 1, "task_type": "search_creator",
        "params": {"query": "x".repeat(5_000_000)},
    });
    for entry in [
        "{not json".to_owned(),
        r#"{"task_id":"no-params","user_id":1,"task_type":"search_creator"}"#.to_owned(),
        r#"{"task_id":"wrong-params","user_id":1,"task_type":"search_creator","params":7}"#
            .to_owned(),
        r#"{"task_id":"unknown","user_id":1,"task_type":"no_such_type","params":{}}"#.to_owned(),
        large.to_string(),
        r#"{"task_id":"good","user_id":1,"task_type":"search_creator","params":{"query":"luna"}}"#
            .to_owned(),
    ] {
        push(&queue, entry.as_bytes()).await;
    }
    for (id, code, part) in [
        ("no-params", "invalid-params", "\"query\" is a required property"),
        ("wrong-params", "invalid-task", "the task cannot be read"),
        ("large", "task-too-large", "at most 262144 are taken"),
    ] {
        let result = result_of(&queue, id).await;
        assert_eq!((result.success, result.code()), (false, Some(code)), "{id}");
        assert!(result.error.as_deref().is_some_and(|error| error.contains(part)), "{result:?}");
    }
    assert!(result_of(&queue, "good").await.success);
    worker.says(&["pushed task rejected", "invalid-task", "bytes=9"]).await;
    // No worker offers it: it waits for one until its deadline.
    let unknown: TaskId = "unknown".parse().unwrap();
    assert_eq!(queue.task_status(&unknown).await.unwrap(), Some(TaskStatus::Pending));
    assert!(worker.alive());
    assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
}

#[tokio::test]
async fn status_and_result_stand_in_redis_as_published_and_go_within_five_minutes() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["search"])).await;
    let entry = r#"{"task_id":"by-hand","user_id":1,"task_type":"search_creator","params":{"query":"luna"}}"#;
    push(&queue, entry.as_bytes()).await;
    result_of(&queue, "by-hand").await;
    let get = async |key: &str| -> (String, i64) {
        let mut pipe = redis::pipe();
        pipe.get(key).ttl(key);
        pipe.query_async(&mut queue.connection()).await.unwrap()
    };
    let (status, status_seconds) =
        eventually("the status", async || Some(get("freefans:tasks:status:by-hand").await)).await;
    let (result, result_seconds) = get("freefans:tasks:result:by-hand").await;
    assert_eq!(status, "completed");
    for seconds in [status_seconds, result_seconds] {
        assert!((1..=300).contains(&seconds), "{seconds}");
    }
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    let names: Vec<&str> = result.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["completed_at", "data", "error", "metadata", "success"]);
}
