//! People, kinds of chats, and whether the bot may write there.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) first_name: String,
    pub(crate) username: Option<String>,
    pub(crate) language_code: Option<String>,
}

impl Person {
    /// A person of whom only the id is known.
    pub(crate) fn unknown(id: i64) -> Self {
        Self {
            id,
            first_name: format!("User {id}"),
            username: None,
            language_code: Some("en".to_owned()),
        }
    }

    /// Telegram's `User`.
    pub(crate) fn user(&self) -> Value {
        let mut user = Map::new();
        user.insert("id".to_owned(), self.id.into());
        user.insert("is_bot".to_owned(), false.into());
        user.insert("first_name".to_owned(), self.first_name.clone().into());
        for (name, value) in [("username", &self.username), ("language_code", &self.language_code)]
        {
            if let Some(value) = value {
                user.insert(name.to_owned(), value.clone().into());
            }
        }
        Value::Object(user)
    }
}

/// What a control call says about a person. Missing fields keep their values.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct PersonFields {
    /// Default: the person of the private chat.
    pub(crate) user_id: Option<i64>,
    pub(crate) first_name: Option<String>,
    pub(crate) username: Option<String>,
    /// Empty when the person's app has no language.
    pub(crate) language_code: Option<String>,
}

impl PersonFields {
    pub(crate) fn id(&self, chat_id: i64) -> i64 {
        self.user_id.unwrap_or(chat_id.abs())
    }

    /// Writes the fields into `person`.
    pub(crate) fn apply_to(&self, person: &mut Person) {
        if let Some(name) = self.first_name.as_ref().filter(|name| !name.is_empty()) {
            person.first_name.clone_from(name);
        }
        if let Some(username) = &self.username {
            person.username = Some(username.clone()).filter(|name| !name.is_empty());
        }
        if let Some(language) = &self.language_code {
            person.language_code = Some(language.clone()).filter(|code| !code.is_empty());
        }
    }
}

/// The status of the bot in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberStatus {
    /// It may write.
    #[default]
    Member,
    /// It left, or was removed and may be added again.
    Left,
    /// It was banned from the group, or blocked by the person.
    Kicked,
}

impl MemberStatus {
    /// Telegram's `ChatMember` of the bot.
    pub(crate) fn chat_member(self, bot: &Value) -> Value {
        match self {
            Self::Member => json!({"user": bot, "status": "member"}),
            Self::Left => json!({"user": bot, "status": "left"}),
            Self::Kicked => json!({"user": bot, "status": "kicked", "until_date": 0}),
        }
    }
}

/// What is known about a chat besides its messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChatInfo {
    pub(crate) title: Option<String>,
    /// Whether it is a basic group, which may become a supergroup.
    pub(crate) basic: bool,
    /// Whether it is a supergroup with topics.
    pub(crate) forum: bool,
    pub(crate) bot_status: MemberStatus,
    /// The supergroup that this group has become.
    pub(crate) moved_to: Option<i64>,
}

impl ChatInfo {
    /// Whether the bot may write.
    pub(crate) fn check(&self, chat_id: i64) -> Result<(), Refusal> {
        if let Some(to) = self.moved_to {
            return Err(Refusal::moved(to));
        }
        let group = if self.basic { "group" } else { "supergroup" };
        match (self.bot_status, chat_id < 0) {
            (MemberStatus::Member, _) => Ok(()),
            (_, false) => Err(Refusal::new(403, "Forbidden: bot was blocked by the user")),
            (MemberStatus::Left, true) => Err(Refusal::new(
                403,
                format!("Forbidden: bot is not a member of the {group} chat"),
            )),
            (MemberStatus::Kicked, true) => {
                Err(Refusal::new(403, format!("Forbidden: bot was kicked from the {group} chat")))
            }
        }
    }

    /// Telegram's `Chat`. `person` is the other side of a private chat.
    pub(crate) fn chat(&self, chat_id: i64, person: Option<&Person>) -> Value {
        let mut chat = Map::new();
        chat.insert("id".to_owned(), chat_id.into());
        if chat_id < 0 {
            let kind = if self.basic { "group" } else { "supergroup" };
            let title = self.title.clone().unwrap_or_else(|| format!("Group {}", -chat_id));
            chat.insert("type".to_owned(), kind.into());
            chat.insert("title".to_owned(), title.into());
            if self.forum {
                chat.insert("is_forum".to_owned(), true.into());
            }
        } else {
            let unknown = Person::unknown(chat_id);
            let person = person.unwrap_or(&unknown);
            chat.insert("type".to_owned(), "private".into());
            chat.insert("first_name".to_owned(), person.first_name.clone().into());
            if let Some(username) = &person.username {
                chat.insert("username".to_owned(), username.clone().into());
            }
        }
        Value::Object(chat)
    }
}
