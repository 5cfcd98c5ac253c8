//! One message: its text, its media, and how Telegram renders it.

use serde_json::{Map, Value, json};

use crate::clock::now_ms;
use crate::keyboard::buttons;
use crate::markup::Formatted;
use crate::people::Person;

/// Characters of a message in a list of chats.
const SUMMARY_CHARS: usize = 60;

/// The kind of a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Photo,
    Video,
    Sticker,
}

impl MediaKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Sticker => "sticker",
        }
    }
}

/// A picture, video or sticker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) kind: MediaKind,
    /// The address that the bot gave, or a sticker's emoji.
    pub(crate) source: String,
}

impl Media {
    /// Telegram's fields for it. Sizes are made up: nothing is fetched.
    fn fields(&self) -> (String, Value) {
        let file = json!({
            "file_id": format!("file:{}", self.source), "file_unique_id": "u", "file_size": 1_000,
            "width": 512, "height": 512,
        });
        let body = match self.kind {
            MediaKind::Photo => json!([file]),
            MediaKind::Video => with(file, &json!({"duration": 10})),
            MediaKind::Sticker => with(
                file,
                &json!({
                    "type": "regular", "is_animated": false, "is_video": false,
                    "emoji": self.source,
                }),
            ),
        };
        (self.kind.name().to_owned(), body)
    }
}

fn with(mut object: Value, more: &Value) -> Value {
    if let (Some(fields), Some(more)) = (object.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
    object
}

/// The content of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    /// The text, or the caption of the medium.
    pub(crate) body: Formatted,
    pub(crate) media: Option<Media>,
    pub(crate) keyboard: Option<Value>,
    /// The message that it replies to.
    pub(crate) reply_to: Option<i64>,
    /// The forum topic.
    pub(crate) thread: Option<i64>,
    /// The album that it belongs to.
    pub(crate) album: Option<String>,
}

/// One message in a chat.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) from_bot: bool,
    pub(crate) author: Person,
    pub(crate) date_ms: u64,
    pub(crate) edits: u32,
    pub(crate) content: Content,
}

impl Message {
    /// The first characters, for the list of chats.
    pub(crate) fn summary(&self) -> String {
        let media = self.content.media.as_ref().map(|media| media.kind.name());
        let text = &self.content.body.text;
        match media {
            Some(kind) if text.is_empty() => kind.to_owned(),
            Some(_) | None => text.chars().take(SUMMARY_CHARS).collect(),
        }
    }

    /// The message for the control API.
    pub(crate) fn control_json(&self) -> Value {
        let content = &self.content;
        let mut shown = Map::new();
        shown.insert("message_id".to_owned(), self.id.into());
        shown.insert("text".to_owned(), content.body.text.clone().into());
        if self.from_bot {
            shown.insert("buttons".to_owned(), json!(buttons(content.keyboard.as_ref())));
        }
        if let Some(media) = &content.media {
            let media = json!({"kind": media.kind.name(), "source": media.source});
            shown.insert("media".to_owned(), media);
        }
        for (name, value) in [("reply_to", content.reply_to), ("thread", content.thread)] {
            if let Some(value) = value {
                shown.insert(name.to_owned(), value.into());
            }
        }
        if let Some(album) = &content.album {
            shown.insert("album".to_owned(), album.clone().into());
        }
        Value::Object(shown)
    }

    /// Telegram's `Message`. `from` is its author and `chat` its chat, as Telegram shows them; `answered` is the message
    /// that it answers, rendered in the same way.
    pub(crate) fn render(&self, from: Value, chat: Value, answered: Option<Value>) -> Value {
        let content = &self.content;
        let mut fields = Map::new();
        fields.insert("message_id".to_owned(), self.id.into());
        fields.insert("from".to_owned(), from);
        fields.insert("chat".to_owned(), chat);
        fields.insert("date".to_owned(), (self.date_ms / 1_000).into());
        let (text, entities) = match &content.media {
            Some(media) => {
                fields.extend([media.fields()]);
                ("caption", "caption_entities")
            }
            None => ("text", "entities"),
        };
        if content.media.is_none() || !content.body.text.is_empty() {
            fields.insert(text.to_owned(), content.body.text.clone().into());
        }
        if !content.body.entities.is_empty() {
            fields.insert(entities.to_owned(), content.body.entities.clone().into());
        }
        if let Some(keyboard) = &content.keyboard {
            fields.insert("reply_markup".to_owned(), keyboard.clone());
        }
        if let Some(thread) = content.thread {
            fields.insert("message_thread_id".to_owned(), thread.into());
            fields.insert("is_topic_message".to_owned(), true.into());
        }
        if let Some(album) = &content.album {
            fields.insert("media_group_id".to_owned(), album.clone().into());
        }
        if self.edits > 0 {
            fields.insert("edit_date".to_owned(), (now_ms() / 1_000).into());
        }
        if let Some(answered) = answered {
            fields.insert("reply_to_message".to_owned(), answered);
        }
        Value::Object(fields)
    }
}
