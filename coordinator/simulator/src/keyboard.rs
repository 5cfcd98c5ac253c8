//! `reply_markup`: buttons under a message, or in place of the person's keyboard.

use serde_json::{Map, Value, json};

use crate::params::Params;
use crate::refusal::Refusal;

/// Bot API: `callback_data` is 1–64 bytes.
const MAX_CALLBACK_BYTES: usize = 64;
/// Telegram takes at most this many buttons under a message.
const MAX_BUTTONS: usize = 100;
/// Telegram takes about this much of a keyboard as JSON, in bytes.
const MAX_MARKUP_BYTES: usize = 10 << 10;

/// A checked `reply_markup`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Markup {
    /// Buttons under the message.
    Inline(Value),
    /// Buttons in place of the person's keyboard.
    Reply(Value),
    /// Removes the reply keyboard.
    Remove,
    /// The person's app opens a reply.
    ForceReply,
}

impl Markup {
    /// The call's `reply_markup`; none when it has none, or an inline keyboard without rows.
    pub(crate) fn read(params: &Params) -> Result<Option<Self>, Refusal> {
        let Some(markup) = params.json("reply_markup")? else { return Ok(None) };
        let kinds = ["inline_keyboard", "keyboard", "remove_keyboard", "force_reply"];
        let mut present = kinds.iter().filter(|kind| markup.get(**kind).is_some());
        let kind = present.next();
        let more = present.next();
        if more.is_some() {
            return Err(Refusal::bad("object expected as reply markup: it is of several kinds"));
        }
        match kind.copied() {
            Some("inline_keyboard") => inline(&markup),
            Some("keyboard") => reply(&markup),
            Some("remove_keyboard") => Ok(Some(Self::Remove)),
            Some("force_reply") => Ok(Some(Self::ForceReply)),
            _ => Err(Refusal::bad("object expected as reply markup")),
        }
    }

    /// The inline keyboard of an edit. Edits take no other kind.
    pub(crate) fn read_inline(params: &Params) -> Result<Option<Value>, Refusal> {
        match Self::read(params)? {
            None => Ok(None),
            Some(Self::Inline(keyboard)) => Ok(Some(keyboard)),
            Some(Self::Reply(_) | Self::Remove | Self::ForceReply) => {
                Err(Refusal::bad("inline keyboard expected"))
            }
        }
    }
}

fn rows<'a>(markup: &'a Value, name: &str) -> Result<Vec<&'a Vec<Value>>, Refusal> {
    let refusal = || Refusal::bad(format!("field \"{name}\" must be of type Array of Arrays"));
    let rows = markup.get(name).and_then(Value::as_array).ok_or_else(refusal)?;
    let rows: Vec<_> =
        rows.iter().map(|row| row.as_array().ok_or_else(refusal)).collect::<Result<_, _>>()?;
    let buttons: usize = rows.iter().map(|row| row.len()).sum();
    if buttons > MAX_BUTTONS || markup.to_string().len() > MAX_MARKUP_BYTES {
        return Err(Refusal::bad("reply markup is too long"));
    }
    Ok(rows)
}

fn inline(markup: &Value) -> Result<Option<Markup>, Refusal> {
    let rows = rows(markup, "inline_keyboard")?;
    rows.iter().flat_map(|row| row.iter()).try_for_each(check_button)?;
    Ok((!rows.is_empty()).then(|| Markup::Inline(markup.clone())))
}

fn check_button(button: &Value) -> Result<(), Refusal> {
    let text = |name: &str| button.get(name).and_then(Value::as_str);
    if text("text").is_none_or(str::is_empty) {
        return Err(Refusal::bad(
            "can't parse inline keyboard button: text buttons must have a text",
        ));
    }
    match (text("callback_data"), text("url")) {
        (Some(data), None) if (1..=MAX_CALLBACK_BYTES).contains(&data.len()) => Ok(()),
        (Some(_), None) => Err(Refusal::bad("BUTTON_DATA_INVALID")),
        (None, Some(url)) => {
            let host =
                ["https://", "http://", "tg://"].iter().find_map(|scheme| url.strip_prefix(scheme));
            if host.is_some_and(|host| host.starts_with(|first: char| first.is_alphanumeric())) {
                Ok(())
            } else {
                Err(Refusal::bad(format!(
                    "inline keyboard button URL '{url}' is invalid: Wrong HTTP URL"
                )))
            }
        }
        _ => Err(Refusal::bad(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        )),
    }
}

/// A reply keyboard in the form that the chat stores: rows of texts, and its flags.
fn reply(markup: &Value) -> Result<Option<Markup>, Refusal> {
    let rows = rows(markup, "keyboard")?;
    let mut texts: Vec<Vec<&str>> = Vec::new();
    for row in rows {
        let row: Option<Vec<&str>> = row
            .iter()
            .map(|button| {
                let text = button.as_str().or_else(|| button.get("text")?.as_str());
                text.filter(|text| !text.is_empty())
            })
            .collect();
        texts.push(row.ok_or_else(|| {
            Refusal::bad("can't parse keyboard button: Field \"text\" must be a non-empty String")
        })?);
    }
    if texts.iter().all(Vec::is_empty) {
        return Err(Refusal::bad("reply keyboard must have at least one button"));
    }
    let flag = |name: &str| markup.get(name).and_then(Value::as_bool).unwrap_or(false);
    Ok(Some(Markup::Reply(json!({
        "rows": texts,
        "is_persistent": flag("is_persistent"),
        "resize_keyboard": flag("resize_keyboard"),
        "one_time_keyboard": flag("one_time_keyboard"),
        "placeholder": markup.get("input_field_placeholder"),
    }))))
}

/// The button that carries `data`, by its text.
pub(crate) fn pressed(keyboard: Option<&Value>, data: &str) -> Option<String> {
    let rows = buttons(keyboard);
    let mut all = rows.iter().flatten();
    let button = all.find(|button| button.get("data").and_then(Value::as_str) == Some(data))?;
    Some(button.get("text").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// An inline keyboard as rows of `{text, data?, url?}`.
pub(crate) fn buttons(keyboard: Option<&Value>) -> Vec<Vec<Value>> {
    let rows = keyboard.and_then(|keyboard| keyboard.get("inline_keyboard")?.as_array());
    rows.into_iter()
        .flatten()
        .map(|row| {
            row.as_array()
                .into_iter()
                .flatten()
                .map(|button| {
                    let mut shown = Map::new();
                    for (from, to) in [("text", "text"), ("callback_data", "data"), ("url", "url")]
                    {
                        if let Some(value) = button.get(from) {
                            shown.insert(to.to_owned(), value.clone());
                        }
                    }
                    Value::Object(shown)
                })
                .collect()
        })
        .collect()
}
