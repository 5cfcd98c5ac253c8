//! What people do: write, press buttons, block the bot, add it to a group.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::markup;
use crate::message::{Content, Media, MediaKind};
use crate::people::{MemberStatus, PersonFields};
use crate::simulator::Simulator;

#[derive(Debug, Deserialize)]
pub(super) struct WriteRequest {
    chat_id: i64,
    #[serde(flatten)]
    person: PersonFields,
    /// The text, or the caption of a picture.
    #[serde(default)]
    text: String,
    /// Whether a picture is sent.
    #[serde(default)]
    photo: bool,
    /// The emoji of a sticker that is sent.
    sticker: Option<String>,
    /// The message that this one replies to.
    reply_to: Option<i64>,
    /// The forum topic.
    thread: Option<i64>,
}

pub(super) async fn write(
    Shared(simulator): Shared<Simulator>,
    Json(writing): Json<WriteRequest>,
) -> Response {
    let WriteRequest { chat_id, person, text, photo, sticker, reply_to, thread } = writing;
    let media = match sticker {
        Some(emoji) => Some(Media { kind: MediaKind::Sticker, source: emoji }),
        None => photo.then(|| Media { kind: MediaKind::Photo, source: String::new() }),
    };
    if media.is_none() && text.trim().is_empty() {
        return (StatusCode::BAD_REQUEST, "a message needs a text").into_response();
    }
    let (update_id, message_id) = simulator.change(|state| {
        let person = state.update_person(chat_id, &person);
        let body = markup::plain(&text);
        let draft = Content { body, media, reply_to, thread, ..Content::default() };
        state.person_writes(chat_id, person, draft)
    });
    Json(json!({"update_id": update_id, "message_id": message_id})).into_response()
}

/// Queues an update exactly as it is in the request's body, even one that Telegram would not send.
pub(super) async fn raw_update(
    Shared(simulator): Shared<Simulator>,
    json: axum::body::Bytes,
) -> Response {
    let update_id = simulator.change(|state| state.updates.push_raw(&json));
    Json(json!({"update_id": update_id})).into_response()
}

#[derive(Debug, Deserialize)]
pub(super) struct AdministratorRequest {
    chat_id: i64,
    user_id: i64,
    /// `creator`, or `administrator` without it.
    status: Option<String>,
}

/// Makes a person an administrator of a group.
pub(super) async fn administrator(
    Shared(simulator): Shared<Simulator>,
    Json(AdministratorRequest { chat_id, user_id, status }): Json<AdministratorRequest>,
) -> StatusCode {
    let status = status.unwrap_or_else(|| "administrator".to_owned());
    simulator.change(|state| state.administrators.insert((chat_id, user_id), status));
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
pub(super) struct PressRequest {
    chat_id: i64,
    #[serde(flatten)]
    person: PersonFields,
    message_id: i64,
    data: String,
}

pub(super) async fn press(
    Shared(simulator): Shared<Simulator>,
    Json(pressing): Json<PressRequest>,
) -> Response {
    let PressRequest { chat_id, person, message_id, data } = pressing;
    let pressed = simulator.change(|state| {
        let person = state.update_person(chat_id, &person);
        state.person_presses(chat_id, &person, message_id, &data)
    });
    match pressed {
        Ok((update_id, id)) => {
            Json(json!({"update_id": update_id, "callback_query_id": id})).into_response()
        }
        Err(reason) => (StatusCode::CONFLICT, reason).into_response(),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    chat_id: i64,
    title: Option<String>,
    /// Whether it is a basic group.
    #[serde(default)]
    basic: bool,
    /// Whether it is a supergroup with topics.
    #[serde(default)]
    forum: bool,
}

pub(super) async fn describe(
    Shared(simulator): Shared<Simulator>,
    Json(describing): Json<ChatRequest>,
) -> StatusCode {
    let ChatRequest { chat_id, title, basic, forum } = describing;
    simulator.change(|state| {
        let info = &mut state.chats.entry(chat_id).or_default().info;
        info.title = title;
        info.basic = basic;
        info.forum = forum;
    });
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
pub(super) struct PresenceRequest {
    chat_id: i64,
    #[serde(flatten)]
    person: PersonFields,
    /// `kicked` means blocked in a private chat, or banned from a group.
    #[serde(rename = "standing")]
    status: MemberStatus,
}

pub(super) async fn presence(
    Shared(simulator): Shared<Simulator>,
    Json(presence): Json<PresenceRequest>,
) -> StatusCode {
    let PresenceRequest { chat_id, person, status } = presence;
    simulator.change(|state| {
        let person = state.update_person(chat_id, &person);
        state.set_member_status(chat_id, &person, status);
    });
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
pub(super) struct MigrationRequest {
    chat_id: i64,
    #[serde(flatten)]
    person: PersonFields,
    to: i64,
}

pub(super) async fn migrate(
    Shared(simulator): Shared<Simulator>,
    Json(migration): Json<MigrationRequest>,
) -> StatusCode {
    let MigrationRequest { chat_id, person, to } = migration;
    simulator.change(|state| {
        let person = state.update_person(chat_id, &person);
        state.migrate(chat_id, to, &person);
    });
    StatusCode::NO_CONTENT
}
