//! Tasks that have no answer yet: by type and person, or one by its id.

use maud::{Markup, html};
use queue::LiveTask;

use super::context::{self, Context};
use crate::dashboard::actions::COUNTED_AT_MOST;
use crate::dashboard::figures::Snapshot;
use crate::dashboard::filter::{Live, Which};
use crate::dashboard::layout::{Page, button, csrf, task_link};
use crate::dashboard::words::{count, number, span};

/// Tasks on one page.
const SHOWN: usize = 50;
/// Tasks that are looked through for those of a person.
const LOOKED_AT: usize = 500;

pub(super) async fn build(context: &Context) -> Page {
    let state = &context.state;
    let now = context.figures().await;
    let page = Page::new("Tasks").with(tabs("/tasks"));
    let (Some(queue), None) = (state.queue(), &now.unread) else {
        return page.with_live("list", context::unread(now.unread.as_deref().unwrap_or_default()));
    };
    let mut live = match Live::parse(&context.query) {
        Ok(live) => live,
        Err(problem) => return page.with(html! { p .card.health.warn role="alert" { (problem) } }),
    };
    // Without a choice, the type in which most happens.
    let busiest = now.types.iter().max_by_key(|of| of.ready + of.delayed + of.active);
    live.task_type = live.task_type.or_else(|| busiest.map(|of| of.task_type.clone()));
    let page = page.with(form(&now, &live));
    let Some(task_type) = &live.task_type else {
        return page.with_live("list", html! { p .card { "There are no tasks yet." } });
    };
    let is_narrow = live.user.is_some() || live.which != Which::All;
    let looked_at = if is_narrow { LOOKED_AT } else { SHOWN };
    match context::shown(queue.list(task_type, looked_at).await) {
        Ok(tasks) => {
            let of = now.types.iter().find(|of| of.task_type == *task_type);
            let total = of.map_or(0, |of| of.ready + of.delayed + of.active);
            page.with_live("list", list(&live, &tasks, total, context))
        }
        Err(unread) => page.with_live("list", unread),
    }
}

/// The choice between tasks without an answer and finished ones.
pub(super) fn tabs(here: &str) -> Markup {
    html! {
        nav .tabs aria-label="Tasks" {
            ul {
                @for (address, name) in [("/tasks", "Without an answer"), ("/finished", "Finished")] {
                    li { a href=(address) aria-current=[(address == here).then_some("page")] { (name) } }
                }
            }
        }
    }
}

fn form(now: &Snapshot, live: &Live) -> Markup {
    html! {
        section .card aria-label="Find tasks" {
            form .row method="get" action="/tasks" {
                div {
                    label for="type" { "Type" }
                    select #type name="type" {
                        @for of in &now.types {
                            option value=(of.task_type) selected[live.task_type.as_ref() == Some(&of.task_type)] { (of.task_type) }
                        }
                    }
                }
                div {
                    label for="which" { "State" }
                    select #which name="which" {
                        @for (word, which, label) in Which::ALL { option value=(word) selected[live.which == which] { (label) } }
                    }
                }
                div { label for="user" { "Person" } input #user name="user" inputmode="numeric" size="14" value=[live.user]; }
                button { "Show" }
            }
            form .row method="get" action="/task" {
                div { label for="id" { "Task id" } input #id name="id" required size="40" autocomplete="off"; }
                button { "Find" }
            }
        }
    }
}

fn list(live: &Live, found: &[LiveTask], total: u64, context: &Context) -> Markup {
    let viewer = &context.viewer;
    let tasks: Vec<&LiveTask> =
        found.iter().filter(|task| live.matches(task)).take(SHOWN).collect();
    let is_part = (found.len() as u64) < total || tasks.len() == SHOWN;
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label="Tasks" {
                table {
                    caption { (live.words()) }
                    thead { tr {
                        th scope="col" { "Task" } th scope="col" { "Status" } th .num scope="col" { "Person" }
                        th .num scope="col" { "Failures" } th .num scope="col" { "Time left" }
                        @if viewer.is_admin() { th scope="col" { "Change" } }
                    } }
                    tbody {
                        @for task in &tasks {
                            tr {
                                td { (task_link(task.task_id.as_str())) }
                                td { (status(task)) }
                                td .num { @if let Some(of) = &task.task { (of.user_id) } @else { "unreadable" } }
                                td .num { (task.failures) @if task.crashes > 0 { ", " (count(task.crashes.into(), "crash", "crashes")) } }
                                td .num { (span(task.left_ms)) }
                                @if viewer.is_admin() {
                                    td { (button(viewer, "/do/cancel", &[("id", task.task_id.as_str())], "danger", "Cancel", task.task_id.as_str())) }
                                }
                            }
                        }
                        @if tasks.is_empty() { tr { td colspan="6" { "None." } } }
                    }
                }
            }
            @if is_part {
                p .soft {
                    (count(tasks.len() as u64, "is", "are")) " shown, of " (count(total, "task", "tasks")) " of the type. Running ones come "
                    "first, then those that are next; the first " (number(found.len() as u64)) " were looked at. Find others by their id."
                }
            }
            @if viewer.is_admin() && !tasks.is_empty() {
                form method="post" action="/do/cancel-found" {
                    (csrf(viewer))
                    @for (name, value) in live.fields() { input type="hidden" name=(name) value=(value); }
                    button .danger { "Cancel all that are found…" }
                }
                p .soft.small { "They are counted first, at most " (number(COUNTED_AT_MOST as u64)) " at a time, and you are asked." }
            }
        }
    }
}

/// The status of a task in words.
pub(super) fn status(task: &LiveTask) -> Markup {
    html! {
        (task.status)
        @if let (Some(worker), Some(ms)) = (&task.worker, task.running_ms) { " for " (span(ms)) " on " code { (worker) } }
        @if let Some(ms) = task.next_attempt_ms { ", next attempt in " (span(ms)) }
        @if task.cancel_asked { ", to be cancelled" }
    }
}
