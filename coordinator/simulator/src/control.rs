//! The control API and the chat page: a test or a person in front of a browser is the user.

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

use crate::Simulator;
use crate::faults::Fault;
use crate::markup;
use crate::state::{Message, Person, State, buttons, now_ms};

const MAX_WAIT_MS: u64 = 60_000;

pub(crate) fn routes() -> Router<Simulator> {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/page.css", get(|| async { asset("text/css", include_str!("page.css")) }))
        .route("/page.js", get(|| async { asset("text/javascript", include_str!("page.js")) }))
        .route("/sim/messages", post(write))
        .route("/sim/callbacks", post(press))
        .route("/sim/chat", get(chat))
        .route("/sim/chats", get(chats))
        .route("/sim/events", get(events))
        .route("/sim/transcript", get(transcript))
        .route("/sim/stream", get(stream))
        .route("/sim/faults", post(add_fault).delete(clear_faults))
        .route("/sim/stats", get(stats))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

#[derive(Debug, Deserialize)]
struct Writing {
    chat_id: i64,
    user_id: Option<i64>,
    first_name: Option<String>,
    language_code: Option<String>,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Pressing {
    chat_id: i64,
    user_id: Option<i64>,
    first_name: Option<String>,
    message_id: i64,
    data: String,
}

fn person(
    chat_id: i64,
    user_id: Option<i64>,
    first_name: Option<String>,
    language: Option<String>,
) -> Person {
    let id = user_id.unwrap_or(chat_id.abs());
    Person {
        id,
        first_name: first_name.unwrap_or_else(|| format!("User {id}")),
        language_code: language.unwrap_or_else(|| "en".to_owned()),
    }
}

async fn write(Shared(simulator): Shared<Simulator>, Json(writing): Json<Writing>) -> Response {
    let Writing { chat_id, user_id, first_name, language_code, text } = writing;
    if text.trim().is_empty() {
        return (StatusCode::BAD_REQUEST, "a message needs a text").into_response();
    }
    let person = person(chat_id, user_id, first_name, language_code);
    let (update_id, message_id) =
        simulator.change(|state| state.person_writes(chat_id, person, markup::plain(&text)));
    Json(json!({"update_id": update_id, "message_id": message_id})).into_response()
}

async fn press(Shared(simulator): Shared<Simulator>, Json(pressing): Json<Pressing>) -> Response {
    let Pressing { chat_id, user_id, first_name, message_id, data } = pressing;
    let person = person(chat_id, user_id, first_name, None);
    let pressed =
        simulator.change(|state| state.person_presses(chat_id, &person, message_id, &data));
    match pressed {
        Ok((update_id, id)) => {
            Json(json!({"update_id": update_id, "callback_query_id": id})).into_response()
        }
        Err(reason) => (StatusCode::CONFLICT, reason).into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct Which {
    chat_id: i64,
    #[serde(default)]
    since: u64,
    #[serde(default)]
    timeout_ms: u64,
    #[serde(default)]
    format: String,
}

async fn chat(Shared(simulator): Shared<Simulator>, Query(which): Query<Which>) -> Json<Value> {
    Json(chat_json(&simulator.lock(), which.chat_id))
}

fn chat_json(state: &State, chat_id: i64) -> Value {
    let chat = state.chats.get(&chat_id);
    let messages: Vec<Value> =
        chat.into_iter().flat_map(|chat| &chat.messages).map(message_json).collect();
    json!({
        "messages": messages,
        "typing": chat.is_some_and(|chat| now_ms() < chat.typing_until_ms),
        "reply_keyboard": chat.and_then(|chat| chat.reply_keyboard.clone()),
        "commands": state.commands,
        "toasts": chat.map(|chat| chat.toasts.clone()).unwrap_or_default(),
        "polling": 0 < state.polling || state.webhook.is_some(),
        "seq": state.seq(),
    })
}

fn message_json(message: &Message) -> Value {
    json!({
        "message_id": message.id,
        "from": if message.from_bot { "bot" } else { "user" },
        "name": message.author.first_name,
        "text": message.body.text,
        "html": message.body.html,
        "buttons": buttons(message.keyboard.as_ref()),
        "edits": message.edits,
        "date_ms": message.date_ms,
    })
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
                "last": last.map(|message| message.body.text.chars().take(60).collect::<String>()),
                "date_ms": last.map(|message| message.date_ms),
            })
        })
        .collect();
    Json(list.into())
}

/// Events of a chat after `since`; waits for the first up to `timeout_ms`.
async fn events(Shared(simulator): Shared<Simulator>, Query(which): Query<Which>) -> Json<Value> {
    let until = Instant::now() + Duration::from_millis(which.timeout_ms.min(MAX_WAIT_MS));
    let mut changes = simulator.changed.subscribe();
    loop {
        let seen = {
            let state = simulator.lock();
            let found: Vec<Value> = state
                .events
                .iter()
                .filter(|event| event.chat_id == which.chat_id && which.since < event.seq)
                .map(|event| event.body.clone())
                .collect();
            if !found.is_empty() {
                return Json(json!({"seq": state.seq(), "events": found}));
            }
            // Of this very look: what happens from now on belongs to the next.
            state.seq()
        };
        match tokio::time::timeout_at(until, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Json(json!({"seq": seen, "events": []})),
        }
    }
}

async fn transcript(Shared(simulator): Shared<Simulator>, Query(which): Query<Which>) -> Response {
    let state = simulator.lock();
    let events = state.events.iter().filter(|event| event.chat_id == which.chat_id);
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
        "button_press" => format!("user: [{}]\n", field("data")),
        _ => String::new(),
    }
}

/// A number for each change, so that the page knows when to look.
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
        "pending_updates": state.updates.len(),
        "confirmed_offset": state.confirmed,
        "polling": 0 < state.polling || state.webhook.is_some(),
    }))
}
