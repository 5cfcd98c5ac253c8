//! Running a task again with other params.

use maud::{Markup, html};
use queue::history::FinishedTask;
use queue::{LiveTask, Task, TaskId, TaskType};
use serde_json::Value;

use crate::dashboard::layout::csrf;
use crate::dashboard::pages::context::Context;

/// What to run again, where the params are known.
pub(super) struct Again {
    task_id: TaskId,
    task_type: TaskType,
    user_id: i64,
    /// JSON.
    params: String,
}

impl Again {
    pub(super) fn of(task: &Task) -> Self {
        Self {
            task_id: task.task_id.clone(),
            task_type: task.task_type.clone(),
            user_id: task.user_id,
            params: serde_json::to_string_pretty(&task.params).unwrap_or_default(),
        }
    }
}

/// What to run again of a task that lives, or whose params the history has.
pub(super) fn again(live: Option<&LiveTask>, finished: Option<&FinishedTask>) -> Option<Again> {
    if let Some(task) = live.and_then(|live| live.task.as_ref()) {
        return Some(Again::of(task));
    }
    let task = finished?;
    let params = task.params.clone()?;
    // The history may have kept only their beginning.
    serde_json::from_str::<serde_json::Map<String, Value>>(&params).ok()?;
    let task_id = task.task_id.clone();
    let task_type = task.task_type.clone();
    Some(Again { task_id, task_type, user_id: task.user_id, params })
}

/// The form that submits a task again with other params.
pub(super) fn form(context: &Context, again: &Again) -> Markup {
    let viewer = &context.viewer;
    if !viewer.is_admin() {
        return html! {};
    }
    html! {
        section .card aria-labelledby="again" {
            h2 #again { "Run again" }
            p .soft { "A new task with these params. Its answer is shown here and sent to nobody." }
            form method="post" action="/do/run" {
                (csrf(viewer))
                input type="hidden" name="type" value=(again.task_type);
                input type="hidden" name="of" value=(again.task_id);
                input type="hidden" name="user" value=(again.user_id);
                label for="params" { "Params, a JSON object" }
                textarea #params name="params" spellcheck="false" { (again.params) }
                button { "Run" }
            }
        }
    }
}
