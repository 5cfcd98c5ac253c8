use super::*;

#[test]
fn a_task_reads_and_writes_the_published_json() {
    let text = r#"{"task_id":"{search_creator}0192","user_id":7,"task_type":"search_creator","params":{"query":"luna"},"submitted_at":1,"deadline_at":2,"attempt":1}"#;
    let task: Task = serde_json::from_str(text).unwrap();
    assert_eq!(task.params["query"], "luna");
    assert_eq!(serde_json::to_string(&task).unwrap(), text);
}

#[test]
fn a_result_reads_and_writes_the_published_json() {
    let text = r#"{"success":false,"data":null,"error":"no","metadata":{"code":"not-found","retryable":false},"completed_at":3}"#;
    let result: TaskResult = serde_json::from_str(text).unwrap();
    assert_eq!(result.code(), Some("not-found"));
    assert_eq!(serde_json::to_string(&result).unwrap(), text);
}

#[test]
fn the_same_cause_is_the_same_task() {
    let lane: Lane = "search_creator".parse().unwrap();
    let id = TaskId::from_cause(&lane, "bot 1 update 2");
    assert_eq!(id, TaskId::from_cause(&lane, "bot 1 update 2"));
    assert_ne!(id, TaskId::from_cause(&lane, "bot 1 update 3"));
    assert_eq!(id.lane(), Some(lane));
}

#[test]
fn names_that_would_break_a_key_are_refused() {
    for bad in ["", "Search", "a-b", "1a", "a}b", "a:b", &"a".repeat(65)] {
        assert!(bad.parse::<TaskType>().is_err(), "{bad}");
    }
    for bad in ["", "a b", "a#m", "a|b", "ü", &"a".repeat(161)] {
        assert!(bad.parse::<TaskId>().is_err(), "{bad}");
    }
}

#[test]
fn every_status_reads_back_from_its_word() {
    for status in [
        TaskStatus::Pending,
        TaskStatus::Processing,
        TaskStatus::Retrying,
        TaskStatus::Completed,
        TaskStatus::Failed,
        TaskStatus::Timeout,
        TaskStatus::Cancelled,
    ] {
        assert_eq!(status.as_str().parse(), Ok(status));
    }
}
