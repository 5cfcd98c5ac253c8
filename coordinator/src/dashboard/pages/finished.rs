//! Tasks that have ended, found by anything that the history keeps.

use std::time::Duration;

use maud::{Markup, html};
use queue::history::{Filter, FinishedTask, Page as Found};

use super::context::{self, Context};
use super::tasks;
use crate::dashboard::actions::COUNTED_AT_MOST;
use crate::dashboard::filter;
use crate::dashboard::layout::{Page, csrf, tag, task_link};
use crate::dashboard::words::{moment, number, short, span};

/// Tasks on one page.
const SHOWN: usize = 50;
/// A search reads the history from its end. One that takes longer should be narrowed down.
const SEARCH_AT_MOST: Duration = Duration::from_secs(10);
/// Statuses with which a task ends.
const STATUSES: [&str; 4] = ["completed", "failed", "timeout", "cancelled"];

pub(super) async fn build(context: &Context) -> Page {
    let state = &context.state;
    let page = Page::new("Finished tasks").with(tasks::tabs("/finished")).with(form(context));
    let Some(queue) = state.queue() else {
        return page.with(context::unread("it was not reached yet"));
    };
    let filter = match filter::finished(&context.query) {
        // Who may not see texts must not guess them either.
        Ok(filter) if !context.viewer.is_admin() => Filter { text: None, ..filter },
        Ok(filter) => filter,
        Err(problem) => return page.with(html! { p .card.health.warn role="alert" { (problem) } }),
    };
    let page = if state.sources.has_history {
        page
    } else {
        page.with(html! {
            p .card { "The history is off (" code { "HISTORY=off" } "): only what was kept before is found." }
        })
    };
    let from = Some(context.field("next")).filter(|next| !next.is_empty());
    let history = queue.history();
    let searching = history.find(&filter, SHOWN, from);
    match tokio::time::timeout(SEARCH_AT_MOST, searching).await {
        Ok(found) => match context::shown(found) {
            Ok(found) => page.with(list(&found, context)),
            Err(unread) => page.with(unread),
        },
        Err(_) => page.with(html! {
            p .card.health.warn role="alert" { "The search took too long. Give a time from which on to search." }
        }),
    }
}

fn form(context: &Context) -> Markup {
    let text = |name: &str, label: &str, size: &str| {
        html! {
            div { label for=(name) { (label) } input id=(name) name=(name) size=(size) value=(context.field(name)) autocomplete="off"; }
        }
    };
    let moment = |name: &str, label: &str| {
        html! {
            div { label for=(name) { (label) } input id=(name) name=(name) type="datetime-local" value=(context.field(name)); }
        }
    };
    html! {
        section .card aria-label="Find finished tasks" {
            form .row method="get" action="/finished" {
                (text("user", "Person", "14")) (text("chat", "Chat", "14")) (text("type", "Type", "18"))
                div {
                    label for="status" { "Ended as" }
                    select #status name="status" {
                        option value="" { "any" }
                        @for status in STATUSES { option selected[context.field("status") == status] { (status) } }
                    }
                }
                (text("code", "Code", "16")) (text("version", "Version", "10")) (text("worker", "Worker", "18"))
                (moment("from", "From (UTC)")) (moment("to", "Until (UTC)"))
                @if context.viewer.is_admin() { (text("text", "Text, where it is kept", "20")) }
                (text("id", "Task id, or its end", "20"))
                button { "Find" }
                a .button.plain href="/finished" { "All" }
            }
        }
    }
}

fn list(found: &Found, context: &Context) -> Markup {
    let query = filter::query(&context.query);
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label="Finished tasks" {
                table {
                    caption { "Finished tasks, the newest first" }
                    thead { tr {
                        th scope="col" { "Ended (UTC)" } th scope="col" { "Task" } th scope="col" { "As" } th .num scope="col" { "Person" }
                        th .num scope="col" { "Took" } th scope="col" { "Plugin" } th scope="col" { "Worker" }
                    } }
                    tbody {
                        @for task in &found.tasks { (row(task)) }
                        @if found.tasks.is_empty() { tr { td colspan="7" { "None is found." } } }
                    }
                }
            }
            p .soft { (number(found.looked_at)) " entries of the history were looked at." }
            div .row {
                @if let Some(next) = &found.next {
                    a .button.plain href={ "/finished?" (query) "&next=" (next) } rel="next" { "Older ones" }
                }
                @if context.viewer.is_admin() && !found.tasks.is_empty() {
                    form method="post" action="/do/retry-found" {
                        (csrf(&context.viewer))
                        @for name in filter::FINISHED {
                            @if !context.field(name).is_empty() { input type="hidden" name=(name) value=(context.field(name)); }
                        }
                        button { "Replay the failed ones that are found…" }
                    }
                }
            }
            @if context.viewer.is_admin() && !found.tasks.is_empty() {
                p .soft.small {
                    "Those whose dead letters are still there, among the newest " (number(COUNTED_AT_MOST as u64))
                    " that the filter finds. They are counted first, and you are asked."
                }
            }
        }
    }
}

fn row(task: &FinishedTask) -> Markup {
    html! {
        tr {
            td { (moment(task.ended_at)) }
            td { (task_link(task.task_id.as_str())) }
            td { (ended_as(task)) }
            td .num { (task.user_id) }
            td .num { (span(task.ended_at.saturating_sub(task.submitted_at))) }
            td {
                @if let Some(plugin) = &task.plugin { (short(plugin, 40)) " " (short(task.version.as_deref().unwrap_or_default(), 40)) }
                @else { "–" }
            }
            td { code { (short(task.worker.as_deref().unwrap_or("–"), 60)) } }
        }
    }
}

/// How a task ended, with the code of a failure.
pub(super) fn ended_as(task: &FinishedTask) -> Markup {
    use queue::TaskStatus::{Cancelled, Completed, Failed, Pending, Processing, Retrying, Timeout};
    let class = match task.status {
        Completed => "good",
        Failed | Timeout => "bad",
        Cancelled | Pending | Processing | Retrying => "",
    };
    html! {
        (tag(class, task.status.as_str()))
        @if let Some(code) = &task.code { " " (short(code, 60)) }
    }
}
