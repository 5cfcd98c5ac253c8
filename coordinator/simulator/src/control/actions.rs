//! What people do: write, press, block the bot, add it to a group.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::markup;
use crate::message::{Draft, Media, MediaKind};
use crate::people::{Introduction, Standing};
use crate::simulator::Simulator;

#[derive(Debug, Deserialize)]
pub(super) struct Writing {
    chat_id: i64,
    #[serde(flatten)]
    person: Introduction,
    /// What is written, or the caption of a picture.
    #[serde(default)]
    text: String,
    /// A picture is sent.
    #[serde(default)]
    photo: bool,
    /// A sticker is sent, the one for this emoji.
    sticker: Option<String>,
    /// The message that is answered.
    reply_to: Option<i64>,
    /// The forum topic that it is written in.
    thread: Option<i64>,
}

pub(super) async fn write(
    Shared(simulator): Shared<Simulator>,
    Json(writing): Json<Writing>,
) -> Response {
    let Writing { chat_id, person, text, photo, sticker, reply_to, thread } = writing;
    let media = match sticker {
        Some(emoji) => Some(Media { kind: MediaKind::Sticker, source: emoji }),
        None => photo.then(|| Media { kind: MediaKind::Photo, source: String::new() }),
    };
    if media.is_none() && text.trim().is_empty() {
        return (StatusCode::BAD_REQUEST, "a message needs a text").into_response();
    }
    let (update_id, message_id) = simulator.change(|state| {
        let person = state.meet(chat_id, &person);
        let body = markup::plain(&text);
        let draft = Draft { body, media, reply_to, thread, ..Draft::default() };
        state.person_writes(chat_id, person, draft)
    });
    Json(json!({"update_id": update_id, "message_id": message_id})).into_response()
}

/// An update as it is written in the request's body, also one that Telegram would not send.
pub(super) async fn raw_update(
    Shared(simulator): Shared<Simulator>,
    json: axum::body::Bytes,
) -> Response {
    let update_id = simulator.change(|state| state.updates.push_raw(&json));
    Json(json!({"update_id": update_id})).into_response()
}

#[derive(Debug, Deserialize)]
pub(super) struct Appointing {
    chat_id: i64,
    user_id: i64,
}

/// Makes somebody an administrator of a group.
pub(super) async fn administrator(
    Shared(simulator): Shared<Simulator>,
    Json(Appointing { chat_id, user_id }): Json<Appointing>,
) -> StatusCode {
    simulator.change(|state| state.administrators.insert((chat_id, user_id)));
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
pub(super) struct Pressing {
    chat_id: i64,
    #[serde(flatten)]
    person: Introduction,
    message_id: i64,
    data: String,
}

pub(super) async fn press(
    Shared(simulator): Shared<Simulator>,
    Json(pressing): Json<Pressing>,
) -> Response {
    let Pressing { chat_id, person, message_id, data } = pressing;
    let pressed = simulator.change(|state| {
        let person = state.meet(chat_id, &person);
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
pub(super) struct Describing {
    chat_id: i64,
    title: Option<String>,
    /// A group that is no supergroup yet.
    #[serde(default)]
    basic: bool,
    /// A supergroup with topics.
    #[serde(default)]
    forum: bool,
}

pub(super) async fn describe(
    Shared(simulator): Shared<Simulator>,
    Json(describing): Json<Describing>,
) -> StatusCode {
    let Describing { chat_id, title, basic, forum } = describing;
    simulator.change(|state| {
        let about = &mut state.chats.entry(chat_id).or_default().about;
        (about.title, about.basic, about.forum) = (title, basic, forum);
    });
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
pub(super) struct Presence {
    chat_id: i64,
    #[serde(flatten)]
    person: Introduction,
    /// `kicked`: blocked in a private chat, banned from a group.
    standing: Standing,
}

pub(super) async fn presence(
    Shared(simulator): Shared<Simulator>,
    Json(presence): Json<Presence>,
) -> StatusCode {
    let Presence { chat_id, person, standing } = presence;
    simulator.change(|state| {
        let person = state.meet(chat_id, &person);
        state.change_standing(chat_id, &person, standing);
    });
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
pub(super) struct Migration {
    chat_id: i64,
    #[serde(flatten)]
    person: Introduction,
    to: i64,
}

pub(super) async fn migrate(
    Shared(simulator): Shared<Simulator>,
    Json(migration): Json<Migration>,
) -> StatusCode {
    let Migration { chat_id, person, to } = migration;
    simulator.change(|state| {
        let person = state.meet(chat_id, &person);
        state.migrate(chat_id, to, &person);
    });
    StatusCode::NO_CONTENT
}
