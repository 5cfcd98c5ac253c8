//! Pictures and videos by address. Nothing is fetched: a fault simulates a wrong address.

use serde_json::Value;

use super::messages::{count, destination, edit, formatted, post, writable_chat};
use crate::keyboard::Markup;
use crate::markup::Formatted;
use crate::message::{Content, Media, MediaKind};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::simulator::Simulator;

/// Bot API: a caption has at most 1024 characters after entities parsing.
const MAX_CAPTION_UNITS: usize = 1_024;
/// Bot API, `sendMediaGroup`: at most ten.
const MAX_ALBUM: usize = 10;

fn media(kind: MediaKind, source: Option<&str>) -> Result<Media, Refusal> {
    let source = source.unwrap_or_default();
    let known = ["https://", "http://", "file:"].iter().any(|start| source.starts_with(start));
    if !known {
        return Err(Refusal::bad("wrong file identifier/HTTP URL specified"));
    }
    // The id of a file contains its address.
    let source = source.strip_prefix("file:").unwrap_or(source).to_owned();
    Ok(Media { kind, source })
}

fn caption(text: Option<&str>, parse_mode: Option<&str>) -> Result<Formatted, Refusal> {
    let text = text.unwrap_or_default();
    formatted(text, parse_mode, MAX_CAPTION_UNITS, "message caption is too long")
}

fn caption_of(params: &Params) -> Result<Formatted, Refusal> {
    caption(params.text("caption").as_deref(), params.text("parse_mode").as_deref())
}

/// One `InputMedia`.
fn input_media(value: &Value) -> Result<(Media, Formatted), Refusal> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let kind = match text("type") {
        Some("photo") => MediaKind::Photo,
        Some("video") => MediaKind::Video,
        _ => {
            return Err(Refusal::bad(
                "can't parse InputMedia: the simulator knows photo and video",
            ));
        }
    };
    Ok((media(kind, text("media"))?, caption(text("caption"), text("parse_mode"))?))
}

pub(super) fn send(
    simulator: &Simulator,
    kind: MediaKind,
    params: &Params,
) -> Result<Value, Refusal> {
    let media = media(kind, params.text(kind.name()).as_deref())?;
    let body = caption_of(params)?;
    let markup = Markup::read(params)?;
    simulator.change(|state| {
        let chat_id = writable_chat(state, params)?;
        let (reply_to, thread) = destination(state, chat_id, params)?;
        count(state, "sendPhoto", chat_id, 1)?;
        let draft = Content { body, media: Some(media), reply_to, thread, ..Content::default() };
        Ok(post(state, chat_id, draft, markup))
    })
}

pub(super) fn send_album(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let list = params.json("media")?;
    let list = list.as_ref().and_then(Value::as_array);
    let list = list.ok_or_else(|| Refusal::bad("parameter \"media\" is required"))?;
    let parts: Vec<_> = list.iter().map(input_media).collect::<Result<_, _>>()?;
    match parts.len() {
        0 => return Err(Refusal::bad("there are no messages to send")),
        1..=MAX_ALBUM => {}
        _ => return Err(Refusal::bad("too many messages to send as an album")),
    }
    simulator.change(|state| {
        let chat_id = writable_chat(state, params)?;
        let (reply_to, thread) = destination(state, chat_id, params)?;
        count(state, "sendMediaGroup", chat_id, parts.len())?;
        // A single one is an ordinary message.
        let album = (parts.len() > 1).then(|| format!("album{}", state.seq()));
        let sent = parts.into_iter().map(|(media, body)| {
            let album = album.clone();
            let draft =
                Content { body, media: Some(media), reply_to, thread, album, ..Content::default() };
            post(state, chat_id, draft, None)
        });
        Ok(sent.collect::<Vec<_>>().into())
    })
}

pub(super) fn edit_media(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let value =
        params.json("media")?.ok_or_else(|| Refusal::bad("parameter \"media\" is required"))?;
    let (media, body) = input_media(&value)?;
    let keyboard = Markup::read_inline(params)?;
    edit(simulator, "editMessageMedia", params, |content| {
        let media = Some(media);
        let changed =
            content.media != media || content.body != body || content.keyboard != keyboard;
        content.media = media;
        content.body = body;
        content.keyboard = keyboard;
        Ok(changed)
    })
}

pub(super) fn edit_caption(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let body = caption_of(params)?;
    let keyboard = Markup::read_inline(params)?;
    edit(simulator, "editMessageCaption", params, |content| {
        if content.media.is_none() {
            return Err(Refusal::bad("there is no caption in the message to edit"));
        }
        let changed = content.body != body || content.keyboard != keyboard;
        content.body = body;
        content.keyboard = keyboard;
        Ok(changed)
    })
}
