//! What happened to a task, line by line.

use maud::{Markup, html};
use queue::history::{StepKind, Timeline, TimelineKind};

use crate::dashboard::words::{moment, short, span};

/// The lines, oldest first. Only an administrator sees what a plugin said.
pub(super) fn table(history: &Timeline, with_reasons: bool) -> Markup {
    let events = history.events();
    let start = events.first().map_or(0, |event| event.at);
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label="Timeline" {
                table {
                    caption { "Timeline" }
                    thead { tr { th scope="col" { "When (UTC)" } th .num scope="col" { "After" } th scope="col" { "What" } } }
                    tbody {
                        @for event in &events {
                            tr {
                                td { (moment(event.at)) }
                                td .num { (span(event.at.saturating_sub(start))) }
                                td { (line(&event.what, with_reasons)) }
                            }
                        }
                        @if events.is_empty() { tr { td colspan="3" { "The history has nothing of it." } } }
                    }
                }
            }
        }
    }
}

fn line(what: &TimelineKind, with_reasons: bool) -> Markup {
    let text = |text: &Option<String>| text.as_deref().map(|text| short(text, 200));
    let said = |reason: &Option<String>| text(reason).filter(|_| with_reasons);
    match what {
        TimelineKind::Submitted => html! { "Submitted" },
        TimelineKind::Claimed { worker, version } => html! {
            "Taken by the worker " code { (short(worker, 80)) }
            @if let Some(version) = text(version) { ", version " (version) }
        },
        TimelineKind::Step(step) => of_step(step, with_reasons),
        TimelineKind::Ended { status, code, reason } => html! {
            "Ended: " strong { (status) }
            @if let Some(code) = text(code) { ", " (code) }
            @if let Some(reason) = said(reason) { ". “" (reason) "”" }
        },
    }
}

fn of_step(step: &StepKind, with_reasons: bool) -> Markup {
    let text = |text: &Option<String>| text.as_deref().map(|text| short(text, 200));
    match step {
        StepKind::Retried { code, delay_ms, reason, .. } => html! {
            "The attempt failed"
            @if let Some(code) = text(code) { ", " (code) }
            "; another one after " (span(*delay_ms))
            @if let Some(reason) = text(reason).filter(|_| with_reasons) { ". “" (reason) "”" }
        },
        StepKind::WorkerLost { worker, .. } => html! {
            "The worker " code { (short(worker, 80)) } " died; the task runs again"
        },
        StepKind::Delivered { chat_id, message_id } => html! {
            "The answer was sent"
            @if let Some(chat) = chat_id { " to chat " (chat) }
            @if let Some(message) = message_id { ", message " (message) }
        },
        StepKind::Undeliverable => html! { "The answer cannot be sent: the chat is gone" },
    }
}
