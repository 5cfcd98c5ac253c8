//! One task: cancelled, tried at once, or run again with other params.

use std::sync::Arc;

use axum::extract::State as Shared;
use queue::{SubmitError, Task};
use serde_json::{Map, Value};

use super::change::{Done, Refused, queue, record, task_id, task_type, told};
use crate::dashboard::guard::Asked;
use crate::dashboard::layout::encoded;
use crate::dashboard::state::State;

/// Cancels one task.
pub(crate) async fn cancel(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let id = task_id(&asked)?;
    let queue = record(&state, &asked, "cancel", id.as_str()).await?;
    let note = if queue.cancel(&id).await? {
        format!("{id} is cancelled. If it runs, it ends within 2 s.")
    } else {
        format!("{id} has ended already, or never was.")
    };
    Ok(told(&state, &asked, note, &format!("/task?id={}", encoded(id.as_str()))).await)
}

/// Lets a task that waits for its next attempt start it now.
pub(crate) async fn try_now(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let id = task_id(&asked)?;
    let queue = record(&state, &asked, "try now", id.as_str()).await?;
    let note = if queue.try_now(&id).await? {
        format!("{id} is tried as soon as a worker has room.")
    } else {
        format!("{id} does not wait for another attempt any more.")
    };
    Ok(told(&state, &asked, note, &format!("/task?id={}", encoded(id.as_str()))).await)
}

/// Submits a task with other params. Its answer goes to nobody: the person may have got one already.
pub(crate) async fn run_again(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let task_type = task_type(&asked)?;
    let params: Map<String, Value> =
        serde_json::from_str(asked.field("params")).map_err(|_invalid| {
            Refused::Form("The params are not a JSON object. Go back and correct them.")
        })?;
    let user = asked.field("user").parse().map_err(|_invalid| Refused::Form("Whose task?"))?;
    let of = asked.field("of");
    let lane = queue(&state)?.lane_of(&task_type, user);
    let task = Task::in_lane(&lane, user, params);
    let target = format!("{of} as {}", task.task_id);
    let queue = record(&state, &asked, "run again", &target).await?;
    let note = match queue.submit_task(&task).await {
        Ok(_) => "Submitted. Its answer appears here.".to_owned(),
        Err(SubmitError::Redis(error)) => return Err(Refused::Redis(error.to_string())),
        Err(error) => format!("Not submitted: {}.", ops::chain::chain(&error)),
    };
    let page = format!("/task?id={}", encoded(task.task_id.as_str()));
    Ok(told(&state, &asked, note, &page).await)
}
