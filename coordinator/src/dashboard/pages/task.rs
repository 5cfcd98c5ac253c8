//! One task: what is known of it, and what can be done with it.

mod again;

use std::time::Duration;

use maud::{Markup, html};
use queue::history::FinishedTask;
use queue::{
    DeadLetter, DeliveryState, FAILED_REQUEST, LiveTask, RedisError, Task, TaskId, TaskQueue,
    TaskResult, TaskStatus, TaskType,
};
use serde_json::Value;

use super::context::{self, Context};
use super::{finished, tasks, timeline};
use crate::dashboard::layout::{Page, button};
use crate::dashboard::words::{moment, short, span};
use queue::task::now_ms;

/// Longest params and results that are shown, in characters.
const SHOWN_CHARS: usize = 20_000;
/// Results and statuses are kept for 5 min. A task that has one ended within this time, in ms, so that only the end of the
/// history has to be read for it.
const ENDED_WITHIN: u64 = 15 * 60_000;

struct Found {
    id: TaskId,
    status: Option<TaskStatus>,
    live: Option<LiveTask>,
    result: Option<TaskResult>,
    delivery: Option<DeliveryState>,
}

impl Found {
    async fn read(queue: &TaskQueue, id: TaskId) -> Result<Self, RedisError> {
        Ok(Self {
            live: queue.show(&id).await?,
            status: queue.task_status(&id).await?,
            delivery: queue.delivery_state(&id).await?,
            // One that cannot be read is as good as none here.
            result: queue.get_result(&id, Duration::ZERO).await.ok().flatten(),
            id,
        })
    }

    /// It lives, or ended a moment ago.
    fn is_recent(&self) -> bool {
        self.live.is_some() || self.status.is_some() || self.result.is_some()
    }
}

pub(super) async fn build(context: &Context) -> Page {
    let page = Page::new("Task").with(tasks::tabs(""));
    let Some(queue) = context.state.queue() else {
        return page.with_live("task", context::unread("it was not reached yet"));
    };
    let entry = context.field("dead");
    if let Ok(task_type) = context.field("type").parse::<TaskType>()
        && !entry.is_empty()
    {
        return match context::shown(queue.dead_letter(&task_type, entry).await) {
            Ok(Some(letter)) => dead(context, queue, &letter).await,
            Ok(None) => page.with(
                html! { p .card { "There is no such dead letter. It was replayed or discarded." } },
            ),
            Err(unread) => page.with(unread),
        };
    }
    let Ok(id) = context.field("id").parse::<TaskId>() else {
        let text = html! { p .card { "This is not the id of a task. It looks like " code { "{search_creator}0190…" } "." } };
        return page.with(text);
    };
    let found = match context::shown(Found::read(queue, id).await) {
        Ok(found) => found,
        Err(unread) => return page.with_live("task", unread),
    };
    if context.is_update && !found.is_recent() {
        return page; // Nothing changes any more, and the history would be read from its end.
    }
    let since = if found.is_recent() { now_ms().saturating_sub(ENDED_WITHIN) } else { 0 };
    let history = match context::shown(queue.history().task_since(&found.id, since).await) {
        Ok(history) => history,
        Err(unread) => return page.with_live("task", unread),
    };
    let is_known = found.is_recent() || found.delivery.is_some() || history.finished.is_some();
    if !is_known {
        let text = html! {
            p .card { "There is no task " code { (found.id) } ". What was known of it may be too old." }
        };
        return page.with_live("task", text);
    }
    let again = again::again(found.live.as_ref(), history.finished.as_ref());
    let page = page
        .with_live("task", facts(&found, history.finished.as_ref(), context))
        .with_live("timeline", timeline::table(&history, context.viewer.is_admin()));
    match again {
        Some(again) => page.with(again::form(context, &again)),
        None => page,
    }
}

fn facts(found: &Found, finished: Option<&FinishedTask>, context: &Context) -> Markup {
    let id = found.id.as_str();
    html! {
        section .card aria-label="What is known of the task" {
            dl .facts {
                dt { "Id" } dd { code { (id) } }
                dt { "Status" } dd {
                    @if let Some(live) = &found.live { (tasks::status(live)) }
                    @else if let Some(task) = finished { (finished::ended_as(task)) }
                    @else if let Some(status) = found.status { (status) }
                    @else { "ended" }
                }
                @if let Some(live) = &found.live {
                    dt { "Failed attempts" } dd { (live.failures) }
                    dt { "Crashed workers" } dd { (live.crashes) }
                    dt { "Time left" } dd { (span(live.left_ms)) }
                    @if let Some(task) = &live.task { (of_task(task, context)) }
                } @else if let Some(task) = finished { (of_finished(task, found.result.is_none(), context)) }
                @if let Some(delivery) = found.delivery {
                    dt { "Answer" } dd { @match delivery {
                        DeliveryState::Pending => "not sent yet",
                        DeliveryState::Delivered => "sent, or the chat cannot be reached",
                    } }
                }
                @if let Some(result) = &found.result { (of_result(result, context)) }
                @if let (None, Some(task)) = (&found.live, finished) { (log(task, context)) }
            }
            @if let Some(live) = &found.live {
                div .row {
                    @if live.next_attempt_ms.is_some() {
                        (button(&context.viewer, "/do/try-now", &[("id", id)], "", "Try now", "this task"))
                    }
                    (button(&context.viewer, "/do/cancel", &[("id", id)], "danger", "Cancel", "this task"))
                }
            }
        }
    }
}

fn of_task(task: &Task, context: &Context) -> Markup {
    html! {
        dt { "Type" } dd { (task.task_type) }
        dt { "Person" } dd { (task.user_id) }
        dt { "Asked" } dd { @if task.submitted_at > 0 { (moment(task.submitted_at)) " UTC" } @else { "unknown" } }
        dt { "Answer goes to" } dd { @if task.reply_to.is_some() { "a chat" } @else { "whoever waits for it" } }
        dt { "Params" } dd { (typed(&Value::Object(task.params.clone()), context)) }
    }
}

fn of_finished(task: &FinishedTask, with_result: bool, context: &Context) -> Markup {
    let text = |label: &str, kept: &Option<String>| {
        html! {
            dt { (label) }
            dd {
                @match kept {
                    None => span .soft { "not kept in the history" },
                    Some(text) => (typed_text(text, context)),
                }
            }
        }
    };
    html! {
        dt { "Type" } dd { (task.task_type) }
        dt { "Person" } dd { (task.user_id) }
        @if let Some(chat) = task.chat_id { dt { "Chat" } dd { (chat) } }
        dt { "Asked" } dd { (moment(task.submitted_at)) " UTC" }
        dt { "Took" } dd { (span(task.ended_at.saturating_sub(task.submitted_at))) }
        @if with_result {
            dt { "Ended" } dd { (moment(task.ended_at)) " UTC" }
            @for (label, value) in [("Worker", &task.worker), ("Plugin", &task.plugin), ("Version", &task.version)] {
                @if let Some(value) = value { dt { (label) } dd { (short(value, 200)) } }
            }
            @if task.error.is_some() { (text("Reason", &task.error)) }
        }
        (text("Params", &task.params))
        @if with_result && task.error.is_none() { (text("Answer", &task.result)) }
    }
}

/// The end of what the plugin wrote: kept with the texts.
fn log(task: &FinishedTask, context: &Context) -> Markup {
    html! {
        dt { "Log of the plugin" }
        dd {
            @match (&task.log, &task.params) {
                (Some(log), _) => (typed_text(log, context)),
                (None, Some(_)) => "it wrote nothing, or no plugin ran",
                (None, None) => span .soft { "not kept in the history; HISTORY_TEXTS keeps its end" },
            }
        }
    }
}

fn of_result(result: &TaskResult, context: &Context) -> Markup {
    let meta = |name: &str| {
        let value = result.metadata.get(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    html! {
        dt { "Ended" } dd { (moment(result.completed_at)) " UTC" }
        @for (name, label) in [("worker", "Worker"), ("plugin", "Plugin"), ("plugin_version", "Version"), ("code", "Code"), (FAILED_REQUEST, "Failed request")] {
            @if let Some(value) = meta(name) { dt { (label) } dd { (short(&value, 200)) } }
        }
        @if let Some(error) = &result.error { dt { "Reason" } dd { (typed_text(error, context)) } }
        @if result.success { dt { "Answer" } dd { (typed(&result.data, context)) } }
    }
}

/// What a person typed or reads in the chat, or what may quote it: not for those who may only look.
fn typed(value: &Value, context: &Context) -> Markup {
    typed_text(&serde_json::to_string_pretty(value).unwrap_or_default(), context)
}

fn typed_text(text: &str, context: &Context) -> Markup {
    if !context.viewer.is_admin() {
        return html! { span .soft { "not shown to those who may only look" } };
    }
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    html! { pre tabindex="0" { (cut) @if cut.len() < text.len() { "…" } } }
}

async fn dead(context: &Context, queue: &TaskQueue, letter: &DeadLetter) -> Page {
    let since = letter.at().saturating_sub(ENDED_WITHIN);
    let finished = match &letter.task {
        // What the history cannot tell is left out.
        Some(task) => queue.history().task_since(&task.task_id, since).await.ok(),
        None => None,
    };
    let finished = finished.and_then(|history| history.finished);
    let task_type = context.field("type");
    let fields = [("type", task_type), ("entry", letter.entry.as_str())];
    let facts = html! {
        section .card aria-label="What is known of the task" {
            dl .facts {
                dt { "Failed for good" } dd { (moment(letter.at())) " UTC" }
                dt { "Failed attempts" } dd { (letter.failures) }
                dt { "Crashed workers" } dd { (letter.crashes) }
                dt { "Last worker" } dd { code { (short(&letter.worker, 100)) } }
                @if let Some(task) = &letter.task {
                    dt { "Id" } dd { code { (task.task_id) } }
                    (of_task(task, context))
                } @else { dt { "Task" } dd { "cannot be read" } }
                @if let Some(result) = &letter.result { (of_result(result, context)) }
                @if let Some(task) = &finished { (log(task, context)) }
            }
            div .row {
                @if letter.task.is_some() { (button(&context.viewer, "/do/replay", &fields, "", "Replay", "this dead letter")) }
                (button(&context.viewer, "/do/dead", &[("do", "discard"), fields[0], fields[1]], "danger", "Discard…", "this dead letter"))
            }
        }
    };
    let page = Page::new("Dead letter").with(facts);
    match &letter.task {
        Some(task) => page.with(again::form(context, &again::Again::of(task))),
        None => page,
    }
}
