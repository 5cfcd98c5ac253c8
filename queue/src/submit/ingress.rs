//! Moves tasks that older producers push as JSON onto one list into the typed queues.
//!
//! An entry is looked at, submitted under its own id, and only then removed: a crash in between submits it again,
//! which the queue recognises. What cannot be understood gets a failed result when it names a task id, and is kept
//! with the reason on a stream of its own.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::{RedisError, SubmitError};
use crate::task::{FailureCode, Task, TaskId, TaskResult};

/// Entries moved in one turn, so that a flood does not hold up the sweep.
const AT_MOST: usize = 256;
/// Entries that cannot be taken yet, after which a turn ends.
const WAITING_AT_MOST: usize = 32;
/// Refused entries kept, and how much of each.
const KEEP_REJECTED: usize = 1_000;
const KEEP_BYTES: usize = 2_048;

/// Moves what is on the ingress list. Returns how many entries were taken off it.
///
/// # Errors
///
/// When Redis does not answer; nothing is lost.
pub async fn drain_ingress(queue: &TaskQueue) -> Result<usize, RedisError> {
    let list = queue.keys.ingress();
    let mut waiting = 0;
    for moved in 0..AT_MOST {
        let entry: redis::RedisResult<Option<Vec<u8>>> =
            redis::cmd("LINDEX").arg(&list).arg(0).query_async(&mut queue.connection.clone()).await;
        let entry = match entry {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(moved),
            Err(error) if error.code() == Some("WRONGTYPE") => return Ok(moved),
            Err(source) => return Err(RedisError { action: "read the ingress list", source }),
        };
        if !accept(queue, &entry).await? {
            // It waits at the end of the list, so that it holds up nobody else.
            let _moved: Option<Vec<u8>> = redis::cmd("LMOVE")
                .arg(&list)
                .arg(&list)
                .arg("LEFT")
                .arg("RIGHT")
                .query_async(&mut queue.connection.clone())
                .await
                .map_err(RedisError::during("send a pushed task to the end"))?;
            waiting += 1;
            if waiting >= WAITING_AT_MOST {
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
            .map_err(RedisError::during("take a task off the ingress list"))?;
    }
    Ok(AT_MOST)
}

/// False when the entry has to stay where it is for now.
async fn accept(queue: &TaskQueue, entry: &[u8]) -> Result<bool, RedisError> {
    let task = match read(queue, entry) {
        Ok(task) => task,
        Err(refusal) => {
            refuse(queue, entry, refusal).await?;
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
            let refusal = Refusal { id, code, reason };
            refuse(queue, entry, refusal).await?;
            Ok(true)
        }
    }
}

struct Refusal {
    id: Option<TaskId>,
    code: FailureCode,
    reason: String,
}

fn read(queue: &TaskQueue, entry: &[u8]) -> Result<Task, Refusal> {
    let limit = queue.config.max_task_bytes;
    if limit < entry.len() {
        // The id is still worth finding: somebody may be waiting for a result under it.
        let reason = format!("the task has {} bytes; at most {limit} are taken", entry.len());
        return Err(Refusal { id: find_id(entry), code: FailureCode::TaskTooLarge, reason });
    }
    serde_json::from_slice::<Task>(entry).map_err(|error| Refusal {
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

async fn refuse(queue: &TaskQueue, entry: &[u8], refusal: Refusal) -> Result<(), RedisError> {
    let Refusal { id, code, reason } = refusal;
    tracing::warn!(
        code = code.as_str(),
        error = reason,
        bytes = entry.len(),
        "pushed task refused"
    );
    let start = entry.get(..KEEP_BYTES.min(entry.len())).unwrap_or_default();
    let mut reject = redis::cmd("XADD");
    reject
        .arg(queue.keys.ingress_rejected())
        .arg("MAXLEN")
        .arg("~")
        .arg(KEEP_REJECTED)
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
        // Only where nothing stands: the id may be that of a task that lives or was answered.
        for (key, value) in [(queue.keys.status(&id), "failed"), (queue.keys.result(&id), &result)]
        {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(value).arg("NX").arg("EX").arg(keep);
            commands.push(command);
        }
    }
    // One by one: in a Cluster they are on several nodes. A crash in between does it again.
    for command in commands {
        let _: redis::Value = command
            .query_async(&mut queue.connection.clone())
            .await
            .map_err(RedisError::during("refuse a pushed task"))?;
    }
    Ok(())
}

/// Drains the list again and again until `shutdown`.
pub(crate) async fn ingress_until(queue: TaskQueue, shutdown: CancellationToken) {
    loop {
        // Losing a branch loses nothing: entries stay on the list.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(queue.config.sweep_every) => {}
        }
        if let Err(error) = drain_ingress(&queue).await {
            tracing::debug!(error = %error.source, "cannot read the ingress list");
        }
    }
}
