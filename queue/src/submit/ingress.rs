//! Moves tasks that older producers push as JSON onto one list into the typed queues.
//!
//! An entry is read, submitted under its own id, and only then removed. After a crash in between it is submitted again,
//! and the queue recognises the id. An entry that cannot be read gets a failed result if it has a task id, and is kept with
//! the reason on a separate stream.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::{RedisError, SubmitError};
use crate::task::{FailureCode, Task, TaskId, TaskResult};

/// Most entries moved in one call, so that a flood does not delay the next.
const MAX_ENTRIES: usize = 256;
/// A call ends after so many entries that cannot be accepted yet.
const MAX_DEFERRED: usize = 32;
/// Rejected entries that are kept, and bytes of each.
const MAX_REJECTED: usize = 1_000;
const MAX_REJECTED_BYTES: usize = 2_048;

/// Moves the entries of the ingress list into the queues. Returns how many entries were removed from the list.
///
/// # Errors
///
/// Redis does not answer; nothing is lost.
pub async fn drain_ingress(queue: &TaskQueue) -> Result<usize, RedisError> {
    let list = queue.keys.ingress();
    let mut deferred = 0;
    for moved in 0..MAX_ENTRIES {
        let entry: redis::RedisResult<Option<Vec<u8>>> =
            redis::cmd("LINDEX").arg(&list).arg(0).query_async(&mut queue.connection.clone()).await;
        let entry = match entry {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(moved),
            Err(error) if error.code() == Some("WRONGTYPE") => return Ok(moved),
            Err(source) => return Err(RedisError { action: "read the ingress list", source }),
        };
        if !accept(queue, &entry).await? {
            // Moved to the end of the list, so that it does not block the others.
            let _moved: Option<Vec<u8>> = redis::cmd("LMOVE")
                .arg(&list)
                .arg(&list)
                .arg("LEFT")
                .arg("RIGHT")
                .query_async(&mut queue.connection.clone())
                .await
                .map_err(RedisError::during("move a pushed task to the end"))?;
            deferred += 1;
            if deferred >= MAX_DEFERRED {
                return Ok(moved);
            }
            continue;
        }
        let _: i64 = redis::cmd("LREM")
            .arg(&list)
            .arg(1)
            .arg(&entry)
            .query_async(&mut queue.connection.clone())
            .await
            .map_err(RedisError::during("remove a task from the ingress list"))?;
    }
    Ok(MAX_ENTRIES)
}

/// Submits or rejects an entry. False when it cannot be accepted yet.
async fn accept(queue: &TaskQueue, entry: &[u8]) -> Result<bool, RedisError> {
    let task = match read(queue, entry) {
        Ok(task) => task,
        Err(rejection) => {
            reject_entry(queue, entry, rejection).await?;
            return Ok(true);
        }
    };
    match queue.submit_task(&task).await {
        Ok(_) => Ok(true),
        Err(SubmitError::QueueFull { .. } | SubmitError::UserLimit { .. }) => Ok(false),
        Err(SubmitError::Redis(source)) => {
            Err(RedisError { action: "submit a pushed task", source })
        }
        Err(error) => {
            let code = match error {
                SubmitError::TooLarge { .. } => FailureCode::TaskTooLarge,
                _ => FailureCode::InvalidTask,
            };
            let id = Some(task.task_id.clone());
            let reason = error.to_string();
            let rejection = Rejection { id, code, reason };
            reject_entry(queue, entry, rejection).await?;
            Ok(true)
        }
    }
}

struct Rejection {
    id: Option<TaskId>,
    code: FailureCode,
    reason: String,
}

fn read(queue: &TaskQueue, entry: &[u8]) -> Result<Task, Rejection> {
    let limit = queue.config.max_task_bytes;
    if limit < entry.len() {
        // Its id still matters: a producer may be waiting for the result.
        let reason = format!("the task has {} bytes; at most {limit} are taken", entry.len());
        return Err(Rejection { id: find_id(entry), code: FailureCode::TaskTooLarge, reason });
    }
    serde_json::from_slice::<Task>(entry).map_err(|error| Rejection {
        id: find_id(entry),
        code: FailureCode::InvalidTask,
        reason: format!("the task cannot be read: {error}"),
    })
}

fn find_id(entry: &[u8]) -> Option<TaskId> {
    let value: Value = match serde_json::from_slice(entry) {
        Ok(value) => value,
        Err(_) => return None,
    };
    value.get("task_id")?.as_str()?.parse().ok()
}

async fn reject_entry(
    queue: &TaskQueue,
    entry: &[u8],
    rejection: Rejection,
) -> Result<(), RedisError> {
    let Rejection { id, code, reason } = rejection;
    tracing::warn!(
        code = code.as_str(),
        error = reason,
        bytes = entry.len(),
        "pushed task rejected"
    );
    let start = entry.get(..MAX_REJECTED_BYTES.min(entry.len())).unwrap_or_default();
    let mut reject = redis::cmd("XADD");
    reject
        .arg(queue.keys.ingress_rejected())
        .arg("MAXLEN")
        .arg("~")
        .arg(MAX_REJECTED)
        .arg("*")
        .arg("code")
        .arg(code.as_str())
        .arg("reason")
        .arg(&reason)
        .arg("bytes")
        .arg(entry.len())
        .arg("start")
        .arg(start);
    let mut commands = vec![reject];
    if let Some(id) = id {
        let result = TaskResult::failure(code, reason);
        let result = serde_json::to_string(&result).unwrap_or_default();
        let keep = queue.config.keep_results.as_secs();
        // `NX`, because the id may be that of a live or answered task.
        for (key, value) in [(queue.keys.status(&id), "failed"), (queue.keys.result(&id), &result)]
        {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(value).arg("NX").arg("EX").arg(keep);
            commands.push(command);
        }
    }
    // One by one: in a Cluster the keys are on several nodes. After a crash in between all are written again.
    for command in commands {
        let _: redis::Value = command
            .query_async(&mut queue.connection.clone())
            .await
            .map_err(RedisError::during("reject a pushed task"))?;
    }
    Ok(())
}

/// Drains the list repeatedly until `shutdown`.
pub(crate) async fn ingress_until(queue: TaskQueue, shutdown: CancellationToken) {
    loop {
        let due = async {
            if queue.server.is_cluster() {
                tokio::time::sleep(queue.config.sweep_every).await;
            } else {
                queue.pushed.notified().await;
            }
        };
        // A dropped branch loses nothing: entries stay on the list, and the next sweep sees them.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = due => {}
        }
        if let Err(error) = drain_ingress(&queue).await {
            tracing::debug!(error = %error.source, "cannot read the ingress list");
        }
    }
}
