//! Where a message goes, and whose session belongs to it.

use serde::{Deserialize, Serialize};

/// Where in Telegram a message goes, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChatAddress {
    /// The chat.
    pub chat_id: i64,
    /// The person it is for: only they may press the buttons.
    #[serde(rename = "user_id")]
    pub owner: i64,
    /// The topic, in a group that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i32>,
    /// In a group, the message that it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<i32>,
}

impl ChatAddress {
    /// The session of this person in this chat.
    pub fn session_key(&self) -> SessionKey {
        SessionKey { chat_id: self.chat_id, user_id: self.owner }
    }

    /// Whether it is a private chat. Bot API: a private chat has the person's id, groups have negative ids.
    pub fn private(&self) -> bool {
        self.chat_id > 0
    }
}

/// Names a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The chat.
    pub chat_id: i64,
    /// The person in it.
    pub user_id: i64,
}

impl std::fmt::Display for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.chat_id, self.user_id)
    }
}
