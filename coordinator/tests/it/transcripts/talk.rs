//! What the bot really said, from the simulator's events, and whether it matches the file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Matches any text within a line or, alone on a line, any lines.
const ANYTHING: char = '…';

/// One of the bot's messages as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) chat: i64,
    pub(super) id: i64,
    pub(super) lines: Vec<String>,
    /// How often it was edited.
    pub(super) edits: u32,
    /// Texts and their buttons.
    pub(super) buttons: Vec<(String, Value)>,
    /// What an edit does not change: the message that it replies to, and the reply keyboard.
    head: Vec<String>,
    foot: Vec<String>,
}

/// All chats, from their first message.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// The bot's messages, by chat in their order.
    pub(super) messages: Vec<Message>,
    /// Notes and alerts, by press.
    notes: BTreeMap<u64, (bool, String)>,
    /// Presses that the bot has answered.
    answered: BTreeSet<u64>,
    /// First lines of all messages, for quotes.
    quotes: BTreeMap<(i64, i64), String>,
}

impl Talk {
    /// Adds an event.
    pub(super) fn hear(&mut self, event: &Value) {
        let chat = event["chat_id"].as_i64().unwrap();
        let id = event["message_id"].as_i64();
        match (event["kind"].as_str().unwrap(), id) {
            ("user_message", Some(id)) => {
                let text = event["text"].as_str().unwrap().lines().next().unwrap_or_default();
                let name = event["name"].as_str().unwrap();
                self.quotes.insert((chat, id), format!("{name}: {text}"));
            }
            ("bot_message", Some(id)) => {
                let message = self.read(chat, id, event, 0, head(event, &self.quotes), foot(event));
                let place =
                    self.messages.partition_point(|known| (known.chat, known.id) < (chat, id));
                self.messages.insert(place, message);
            }
            ("edit", Some(id)) => {
                let known =
                    self.messages.iter().position(|known| (known.chat, known.id) == (chat, id));
                let known = known.unwrap();
                let Message { edits, head, foot, .. } = self.messages[known].clone();
                self.messages[known] = self.read(chat, id, event, edits + 1, head, foot);
            }
            ("delete", Some(id)) => {
                self.messages.retain(|message| (message.chat, message.id) != (chat, id));
            }
            ("callback_answer", _) => {
                let press = press_number(&event["callback_query_id"]);
                self.answered.insert(press);
                let text = event["text"].as_str().unwrap();
                if !text.is_empty() {
                    self.notes.insert(press, (event["alert"] == true, text.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn read(
        &mut self,
        chat: i64,
        id: i64,
        event: &Value,
        edits: u32,
        head: Vec<String>,
        foot: Vec<String>,
    ) -> Message {
        let text = event["text"].as_str().unwrap();
        self.quotes.insert((chat, id), format!("bot: {}", text.lines().next().unwrap_or_default()));
        let mut lines = head.clone();
        if let Some(media) = event["media"].as_object() {
            lines.push(format!("({} {})", word(&media["kind"]), word(&media["source"])));
        }
        lines.extend(text.lines().map(|line| line.trim_end().to_owned()));
        let mut buttons = Vec::new();
        for row in event["buttons"].as_array().unwrap() {
            let mut labels = Vec::new();
            for button in row.as_array().unwrap() {
                let text = word(&button["text"]);
                let mark = if button["url"].is_string() { " ↗" } else { "" };
                labels.push(format!("[{text}{mark}]"));
                buttons.push((text.to_owned(), button["data"].clone()));
            }
            lines.push(labels.join(" "));
        }
        lines.extend(foot.iter().cloned());
        Message { chat, id, lines, edits, buttons, head, foot }
    }

    /// Notes and alerts, in the order of the presses.
    pub(super) fn notes(&self) -> Vec<(bool, String)> {
        self.notes.values().cloned().collect()
    }

    /// Those of `presses` that the bot has not answered.
    pub(super) fn unanswered(&self, presses: &[u64]) -> usize {
        presses.iter().filter(|press| !self.answered.contains(press)).count()
    }
}

/// The number in a callback query's id.
pub(super) fn press_number(id: &Value) -> u64 {
    word(id).strip_prefix("cb").unwrap().parse().unwrap()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The message that it replies to, and its topic.
fn head(event: &Value, quotes: &BTreeMap<(i64, i64), String>) -> Vec<String> {
    let chat = event["chat_id"].as_i64().unwrap();
    let answers = event["reply_to"].as_i64().map(|id| {
        let quote = quotes.get(&(chat, id)).map_or("a message", String::as_str);
        format!("(to {quote})")
    });
    let topic = event["thread"].as_i64().map(|_| "(in the topic)".to_owned());
    topic.into_iter().chain(answers).collect()
}

/// Its reply keyboard.
fn foot(event: &Value) -> Vec<String> {
    let Some(rows) = event.get("reply_keyboard") else { return Vec::new() };
    let Some(rows) = rows.as_array() else { return vec!["(no keys)".to_owned()] };
    let row = |row: &Value| {
        let keys = row.as_array().unwrap().iter().map(|key| format!("[{}]", word(key)));
        format!("(keys) {}", keys.collect::<Vec<_>>().join(" "))
    };
    rows.iter().map(row).collect()
}

/// Whether lines match a pattern.
pub(super) fn fit(written: &[String], seen: &[String]) -> bool {
    match written.split_first() {
        None => seen.is_empty(),
        Some((line, rest)) if line.chars().eq([ANYTHING]) => {
            (0..=seen.len()).any(|skipped| fit(rest, &seen[skipped..]))
        }
        Some((line, rest)) => seen
            .split_first()
            .is_some_and(|(first, others)| line_fits(line, first) && fit(rest, others)),
    }
}

/// Whether one line matches a pattern.
pub(super) fn line_fits(written: &str, seen: &str) -> bool {
    let Some((start, rest)) = written.split_once(ANYTHING) else { return written == seen };
    let Some(mut seen) = seen.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split(ANYTHING).collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = seen.split_once(part) else { return false };
        seen = after;
    }
    seen.ends_with(end)
}

#[test]
fn anything_stands_for_anything() {
    let check = |written: &str, seen: &str, fits: bool| {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(fit(&lines(written), &lines(seen)), fits, "{written:?} {seen:?}");
    };
    check("Page 1 of …", "Page 1 of 10", true);
    check("Page … of …!", "Page 1 of 10!", true);
    check("Page … of …!", "Page 1 of 10", false);
    check("Looking…", "Looking…", true);
    check("aba…ba", "aba", false);
    check("a\n…\nd", "a\nb\nc\nd", true);
    check("a\n…\nd", "a\nd", true);
    check("a\n…\nd", "a\nb", false);
    check("…", "", true);
    check("a", "a\nb", false);
}
