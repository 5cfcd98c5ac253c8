//! Everything that a filter finds: counted here, done by the plan.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State as Shared;
use queue::{TaskId, TaskStatus, TaskType};

use super::change::{COUNTED_AT_MOST, Done, Refused, ask, queue};
use crate::dashboard::filter::{self, Live};
use crate::dashboard::guard::Asked;
use crate::dashboard::letters;
use crate::dashboard::plans::Work;
use crate::dashboard::state::State;

/// Counts the tasks without an answer that a filter finds, to be cancelled.
pub(crate) async fn cancel_found(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let live = Live::parse(asked.fields()).map_err(Refused::Form)?;
    let task_type = live.task_type.clone().ok_or(Refused::Form("Of which type?"))?;
    let tasks = queue(&state)?.list(&task_type, COUNTED_AT_MOST).await?;
    let found = tasks.into_iter().filter(|task| live.matches(task));
    let work = Work::Cancel(found.map(|task| task.task_id).collect());
    let back = format!("/tasks?{}", live.query());
    Ok(ask(&state, &asked, work, live.words(), back))
}

/// Counts the failed tasks that a filter finds and whose dead letters are still there, to be replayed.
pub(crate) async fn retry_found(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let wanted = filter::finished(asked.fields()).map_err(Refused::Form)?;
    let queue = queue(&state)?;
    let found = queue.history().find(&wanted, COUNTED_AT_MOST, None).await?;
    let failed = found.tasks.iter().filter(|task| task.status == TaskStatus::Failed);
    let failed: HashSet<&TaskId> = failed.map(|task| &task.task_id).collect();
    let types: HashSet<&TaskType> = found.tasks.iter().map(|task| &task.task_type).collect();
    let mut entries = Vec::new();
    for task_type in types {
        if entries.len() >= failed.len() {
            break;
        }
        for letter in letters::newest(queue, task_type, COUNTED_AT_MOST).await? {
            let is_wanted = letter.task.as_ref().is_some_and(|task| failed.contains(&task.task_id));
            if is_wanted {
                entries.push((task_type.clone(), letter.entry));
            }
        }
    }
    let of = "Failed tasks that the filter finds and whose dead letters are still there";
    let back = format!("/finished?{}", filter::query(asked.fields()));
    Ok(ask(&state, &asked, Work::Replay(entries), of.to_owned(), back))
}
