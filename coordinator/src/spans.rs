//! The steps of a question in its trace: the update, the task that is sent for it, the delivery of its answer, and the calls of
//! the Bot API.
//!
//! Names and facts follow OpenTelemetry's conventions for messaging. They hold no text, no name, and no id of a person or a chat.

use ops::trace::{Kind, Span, TraceContext};
use queue::{Reply, Task};

use crate::chat::event::Event;

/// An update, as the beginning of a trace.
pub(crate) fn update(update_id: u32, event: Option<&Event>) -> Span {
    let mut span = Span::start(Kind::Consumer, None, || "telegram update".into());
    if span.is_recorded() {
        span.set("messaging.system", "telegram");
        span.set("messaging.operation.name", "update");
        span.set("messaging.operation.type", "process");
        span.set("messaging.message.id", update_id.to_string());
        span.set("freefans.update.kind", event.map_or("chat", kind));
    }
    span
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Command { .. } => "command",
        Event::Text(_) => "text",
        Event::NoText { .. } => "no_text",
        Event::Unreadable => "unreadable",
        Event::Press { .. } => "press",
    }
}

/// Puts `task` into the queue, for the update that is the current step.
pub(crate) fn send(task: &Task) -> Span {
    let parent = ops::trace::parent();
    let mut span =
        Span::start(Kind::Producer, parent, || format!("send {}", task.task_type).into());
    if span.is_recorded() {
        span.set("messaging.operation.name", "send");
        span.set("messaging.operation.type", "send");
        task_facts(&mut span, task);
    }
    span
}

/// Shows the answer of a task, below what sent the task.
pub(crate) fn deliver(reply: &Reply) -> Span {
    let task = &reply.task;
    // A worker counts and logs what is no `traceparent`.
    let above = task.traceparent.as_deref().and_then(TraceContext::parse);
    let mut span =
        Span::start(Kind::Consumer, above, || format!("deliver {}", task.task_type).into());
    if span.is_recorded() {
        span.set("messaging.operation.name", "deliver");
        span.set("messaging.operation.type", "process");
        span.set("freefans.task.outcome", reply.result.code().unwrap_or("ok").to_owned());
        task_facts(&mut span, task);
    }
    span
}

fn task_facts(span: &mut Span, task: &Task) {
    span.set("messaging.system", "redis");
    span.set("messaging.destination.name", task.task_type.as_str().to_owned());
    span.set("messaging.message.id", task.task_id.as_str().to_owned());
}

/// A call of a method of the Bot API, for the current step; none when it is for no step, as a poll.
pub(crate) fn bot_api(method: &str) -> Option<Span> {
    let parent = ops::trace::parent()?;
    let mut span = Span::start(Kind::Client, Some(parent), || method.to_owned().into());
    if span.is_recorded() {
        span.set("rpc.system", "telegram");
        span.set("rpc.method", method.to_owned());
    }
    Some(span)
}
