//! The control API and the chat page, for a test or a person with a browser.
//!
//! This file has what can be read; what people do is in [`actions`].

mod actions;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event as StreamEvent, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::clock::now_ms;
use crate::faults::Fault;
use crate::message::Message;
use crate::simulator::Simulator;
use crate::state::{Event, State};

const MAX_WAIT_MS: u64 = 60_000;

pub(crate) fn routes() -> Router<Simulator> {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/page.css", get(|| async { asset("text/css", include_str!("page.css")) }))
        .route("/page.js", get(|| async { asset("text/javascript", include_str!("page.js")) }))
        .route("/sim/messages", post(actions::write))
        .route("/sim/callbacks", post(actions::press))
        .route("/sim/updates", post(actions::raw_update))
        .route("/sim/administrators", post(actions::administrator))
        .route("/sim/presence", post(actions::presence))
        .route("/sim/migrations", post(actions::migrate))
        .route("/sim/chat", get(chat))
        .route("/sim/chats", get(chats).post(actions::describe))
        .route("/sim/events", get(events))
        .route("/sim/transcript", get(transcript))
        .route("/sim/stream", get(stream))
        .route("/sim/faults", post(add_fault).delete(clear_faults))
        .route("/sim/stats", get(stats).delete(reset_stats))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

/// Whose view is wanted.
#[derive(Debug, Deserialize)]
struct Viewer {
    chat_id: i64,
    /// Default: the person of the private chat.
    user_id: Option<i64>,
    /// The language of their app. Default: the one of their last message.
    language_code: Option<String>,
}

async fn chat(Shared(simulator): Shared<Simulator>, Query(viewer): Query<Viewer>) -> Json<Value> {
    Json(chat_json(&simulator.lock(), &viewer))
}

fn chat_json(state: &State, viewer: &Viewer) -> Value {
    let chat_id = viewer.chat_id;
    let user_id = viewer.user_id.unwrap_or(chat_id.abs());
    let language = viewer.language_code.as_deref().or_else(|| state.language(user_id));
    let chat = state.chats.get(&chat_id);
    let messages: Vec<Value> =
        chat.into_iter().flat_map(|chat| &chat.messages).map(message_json).collect();
    json!({
        "messages": messages,
        "chat": state.render_chat(chat_id),
        "typing": chat.is_some_and(|chat| now_ms() < chat.typing_until_ms),
        "reply_keyboard": chat.and_then(|chat| chat.reply_keyboard.clone()),
        "commands": state.menus.shown(chat_id, user_id, language.unwrap_or_default()),
        "toasts": chat.map(|chat| chat.toasts.clone()).unwrap_or_default(),
        "polling": 0 < state.polling || state.webhook.is_some(),
        "seq": state.seq(),
    })
}

fn message_json(message: &Message) -> Value {
    let mut shown = message.control_json();
    if let Some(fields) = shown.as_object_mut() {
        let from = if message.from_bot { "bot" } else { "user" };
        fields.insert("from".to_owned(), from.into());
        fields.insert("user_id".to_owned(), message.author.id.into());
        fields.insert("name".to_owned(), message.author.first_name.clone().into());
        fields.insert("html".to_owned(), message.content.body.html.clone().into());
        fields.entry("buttons").or_insert_with(|| json!([]));
        fields.insert("edits".to_owned(), message.edits.into());
        fields.insert("date_ms".to_owned(), message.date_ms.into());
    }
    shown
}

async fn chats(Shared(simulator): Shared<Simulator>) -> Json<Value> {
    let state = simulator.lock();
    let list: Vec<Value> = state
        .chats
        .iter()
        .map(|(id, chat)| {
            let last = chat.messages.back();
            json!({
                "chat_id": id,
                "chat": state.render_chat(*id),
                "last": last.map(Message::summary),
                "date_ms": last.map(|message| message.date_ms),
            })
        })
        .collect();
    Json(list.into())
}

/// Which events are wanted.
#[derive(Debug, Deserialize)]
struct EventFilter {
    /// Default: all chats.
    chat_id: Option<i64>,
    #[serde(default)]
    since: u64,
    #[serde(default)]
    timeout_ms: u64,
    #[serde(default)]
    format: String,
}

impl EventFilter {
    fn fits(&self, event: &Event) -> bool {
        self.chat_id.is_none_or(|chat| chat == event.chat_id) && self.since < event.seq
    }
}

/// Events after `since`; waits for the first up to `timeout_ms`.
async fn events(
    Shared(simulator): Shared<Simulator>,
    Query(which): Query<EventFilter>,
) -> Json<Value> {
    let until = Instant::now() + Duration::from_millis(which.timeout_ms.min(MAX_WAIT_MS));
    let mut changes = simulator.changed.subscribe();
    loop {
        let seen = {
            let state = simulator.lock();
            let found: Vec<Value> = state
                .events
                .iter()
                .filter(|event| which.fits(event))
                .map(|event| event.body.clone())
                .collect();
            if !found.is_empty() {
                return Json(json!({"seq": state.seq(), "events": found}));
            }
            // Read together with the events: later ones belong to the next call.
            state.seq()
        };
        match tokio::time::timeout_at(until, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Json(json!({"seq": seen, "events": []})),
        }
    }
}

async fn transcript(
    Shared(simulator): Shared<Simulator>,
    Query(which): Query<EventFilter>,
) -> Response {
    let state = simulator.lock();
    let events = state.events.iter().filter(|event| which.fits(event));
    if which.format != "text" {
        let events: Vec<Value> = events.map(|event| event.body.clone()).collect();
        return Json(events).into_response();
    }
    let mut text = String::new();
    for event in events {
        text.push_str(&line(&event.body));
    }
    text.into_response()
}

/// One event as a line of chat.
fn line(event: &Value) -> String {
    let field = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("");
    let indented = field("text").replace('\n', "\n      ");
    match field("kind") {
        "user_message" => format!("user: {indented}\n"),
        "bot_message" => format!("bot:  {indented}\n"),
        "edit" => format!("bot*: {indented}\n"),
        "button_press" => format!("user: [{}]\n", field("label")),
        _ => String::new(),
    }
}

/// Sends a number for each change, so that the page knows when to read again.
async fn stream(
    Shared(simulator): Shared<Simulator>,
) -> Sse<impl Stream<Item = Result<StreamEvent, Infallible>>> {
    let changes = simulator.changed.subscribe();
    let events = futures::stream::unfold((simulator, changes), |(simulator, mut changes)| async {
        changes.changed().await.ok()?;
        let seq = simulator.lock().seq();
        Some((Ok(StreamEvent::default().data(seq.to_string())), (simulator, changes)))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn add_fault(Shared(simulator): Shared<Simulator>, Json(fault): Json<Fault>) -> StatusCode {
    simulator.change(|state| state.faults.push(fault));
    StatusCode::NO_CONTENT
}

async fn clear_faults(Shared(simulator): Shared<Simulator>) -> StatusCode {
    simulator.change(|state| state.faults.clear());
    StatusCode::NO_CONTENT
}

async fn stats(Shared(simulator): Shared<Simulator>) -> Json<Value> {
    let state = simulator.lock();
    Json(json!({
        "calls": state.calls,
        "errors": state.errors,
        "limits": state.limits.figures(),
        "pending_updates": state.updates.len(),
        "confirmed_offset": state.updates.confirmed,
        "polling": 0 < state.polling || state.webhook.is_some(),
    }))
}

/// Resets the counts, for a test with phases.
async fn reset_stats(Shared(simulator): Shared<Simulator>) -> StatusCode {
    simulator.change(|state| {
        state.calls.clear();
        state.errors.clear();
        state.limits.reset_figures();
    });
    StatusCode::NO_CONTENT
}
