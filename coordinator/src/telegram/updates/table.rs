//! Every kind of update and every field of a message that the Bot API publishes, and what the bot does about it.
//!
//! The list is `tests/fixtures/bot_api.json`, with the version and date of its specification. The table in
//! `docs/telegram.md` is generated here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::incoming::{self, BotIdentity};
use super::service::SERVICE;
use super::update::{self, Update};
use crate::chat::event::{Event, Incoming};

const ME: BotIdentity<'_> = BotIdentity { id: 1, username: "freefans_bot" };

/// The kind of chat a message is in.
#[derive(Clone, Copy, PartialEq)]
enum ChatKind {
    Private,
    Group,
}

fn specification() -> Map<String, Value> {
    serde_json::from_str(include_str!("../../../tests/fixtures/bot_api.json")).unwrap()
}

fn fields(of: &str) -> Map<String, Value> {
    specification()[of].as_object().unwrap().clone()
}

/// What the bot does about one update, in the words of the table.
fn outcome(update: &Value) -> String {
    let parsed = update::read(update.to_string().as_bytes());
    let read = match parsed.update {
        Ok(Update::Membership { .. }) => return "noted".to_owned(),
        Ok(update) => update,
        Err(error) => return format!("unreadable: {error}"),
    };
    match incoming::read(5, read, ME).map(|Incoming { event, .. }| event) {
        Ok(Event::NoText { .. }) => "told: text only".to_owned(),
        Ok(Event::Unreadable) => "told: unreadable".to_owned(),
        Ok(Event::Command { .. } | Event::Text(_) | Event::Press { .. }) => "answered".to_owned(),
        Err(reason) => format!("silent: {}", reason.label()),
    }
}

fn message(kind: ChatKind, text: Option<&str>, more: Option<(&str, &Value)>) -> Value {
    let chat = match kind {
        ChatKind::Private => json!({"id": 77, "type": "private", "first_name": "Ann"}),
        ChatKind::Group => json!({"id": -1_007, "type": "supergroup", "title": "G"}),
    };
    let from = json!({"id": 77, "is_bot": false, "first_name": "Ann"});
    let mut message = json!({"message_id": 5, "date": 1, "chat": chat, "from": from});
    if let Some(text) = text {
        message["text"] = text.into();
    }
    if let Some((name, value)) = more {
        message[name] = value.clone();
    }
    json!({"update_id": 5, "message": message})
}

#[test]
fn a_text_is_a_text_whatever_hangs_on_it() {
    for (name, value) in fields("message") {
        let carries = |kind, text| outcome(&message(kind, Some(text), Some((&name, &value))));
        // Telegram sends no message with both text and caption, or with two texts.
        if matches!(name.as_str(), "text" | "caption") {
            continue;
        }
        assert_eq!(carries(ChatKind::Private, "luna marlow"), "answered", "{name}");
        assert_eq!(carries(ChatKind::Group, "/search@freefans_bot luna"), "answered", "{name}");
    }
}

#[test]
fn a_field_of_any_other_kind_changes_nothing() {
    for (name, _) in fields("message") {
        for junk in [json!(null), json!(1e300), json!("x"), json!([[[]]]), json!({"a": {}})] {
            let said = outcome(&message(ChatKind::Private, Some("luna"), Some((&name, &junk))));
            let unreadable = name == "text" && !junk.is_string() && !junk.is_null();
            let expected = match name.as_str() {
                "text" if junk.is_null() => "told: text only",
                _ if unreadable => "unreadable: `text` cannot be read",
                _ => "answered",
            };
            assert_eq!(said, expected, "{name}: {junk}");
        }
    }
}

#[test]
fn every_content_in_a_private_chat_gets_an_answer_or_a_word_or_is_a_service_message() {
    for (name, value) in fields("message") {
        let said = outcome(&message(ChatKind::Private, None, Some((&name, &value))));
        let expected = match name.as_str() {
            "text" | "caption" | "rich_message" => "answered",
            name if SERVICE.contains(&name) => "silent: service",
            _ => "told: text only",
        };
        assert_eq!(said, expected, "{name}");
    }
    let future = json!({"a": 1});
    assert_eq!(
        outcome(&message(ChatKind::Private, None, Some(("hologram", &future)))),
        "told: text only"
    );
}

/// The event of a message in a private chat, or in a group.
fn event(kind: ChatKind, more: &Value) -> Option<Event> {
    let mut update = message(kind, None, None);
    for (name, value) in more.as_object().unwrap() {
        update["message"][name] = value.clone();
    }
    let parsed = update::read(update.to_string().as_bytes());
    incoming::read(5, parsed.update.unwrap(), ME).ok().map(|incoming| incoming.event)
}

#[test]
fn what_is_decided_about_commands_is_what_happens() {
    let command = |name: &str, argument: &str| Event::Command {
        name: name.to_owned(),
        argument: argument.to_owned(),
        addressed: true,
    };
    let start = json!({"text": "/start from_a_link"});
    assert_eq!(event(ChatKind::Private, &start), Some(command("start", "from_a_link")));
    let caption = json!({"caption": "/search luna", "photo": []});
    assert_eq!(event(ChatKind::Private, &caption), Some(command("search", "luna")));
    let named = json!({"caption": "luna", "photo": []});
    assert_eq!(event(ChatKind::Private, &named), Some(Event::Text("luna".to_owned())));
    let middle = json!({"text": "who is @freefans_bot luna"});
    assert_eq!(event(ChatKind::Group, &middle), Some(Event::Text("who is luna".to_owned())));
    let reply = json!({"sticker": {}, "reply_to_message": {"from": {"id": 1, "is_bot": true}}});
    assert_eq!(event(ChatKind::Group, &reply), None, "a sticker is thanks, not a question");
    let other = json!({"text": "/search@other_bot luna"});
    assert_eq!(event(ChatKind::Group, &other), None);
    let channels = json!({"sender_chat": {"id": -5}, "is_automatic_forward": true});
    let post = |text: &str| {
        let mut post = channels.clone();
        post["text"] = text.into();
        post
    };
    assert_eq!(event(ChatKind::Group, &post("ask @freefans_bot for luna")), None);
    let asked = event(ChatKind::Group, &post("/search@freefans_bot luna"));
    assert_eq!(asked, Some(command("search", "luna")));
}

#[test]
fn service_messages_are_ones_that_the_specification_has() {
    let known = fields("message");
    for name in SERVICE {
        assert!(known.contains_key(name), "{name}");
    }
}

/// The rows of the table: outcome in a private chat and in a group, and the fields for which they hold.
fn rows(of: impl Fn(&str, &Value) -> String, fields: &Map<String, Value>) -> String {
    let mut by_outcome: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in fields {
        by_outcome.entry(of(name, value)).or_default().push(name);
    }
    let row = |(outcome, mut names): (String, Vec<&str>)| {
        names.sort_unstable();
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("| {} | {outcome} |\n", names.join(" "))
    };
    by_outcome.into_iter().map(row).collect()
}

#[test]
fn the_table_in_the_documentation_says_what_happens() {
    let specification = specification();
    let text = |name: &str| specification[name].as_str().unwrap().to_owned();
    let contents = |name: &str, value: &Value| {
        let said = |kind| outcome(&message(kind, None, Some((name, value))));
        format!("{} | {}", said(ChatKind::Private), said(ChatKind::Group))
    };
    let kinds = |name: &str, value: &Value| {
        let mut update = json!({"update_id": 5});
        update[name] = value.clone();
        outcome(&update)
    };
    let table = format!(
        "Bot API {} of {}:\n\n| kind of update | what the bot does |\n|---|---|\n{}\n\
         | a message without a text that carries | in a private chat | in a group, not addressed |\n|---|---|---|\n{}",
        text("version"),
        text("published"),
        rows(kinds, &fields("update")),
        rows(contents, &fields("message")),
    );
    let documentation = include_str!("../../../../docs/telegram.md");
    assert!(
        documentation.contains(&table),
        "docs/telegram.md, \"What gets an answer\", has to say:\n\n{table}"
    );
}
