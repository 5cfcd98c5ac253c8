//! Where something is said, and whose session that is.

use serde::{Deserialize, Serialize};

/// Where in Telegram something is said, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChatAddress {
    /// The chat.
    pub chat_id: i64,
    /// Whom it is said to: only they may press the buttons.
    #[serde(rename = "user_id")]
    pub owner: i64,
    /// The topic, in a group that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i32>,
    /// In a group, the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<i32>,
}

impl ChatAddress {
    /// Whose session it belongs to.
    pub fn session_key(&self) -> SessionKey {
        SessionKey { chat_id: self.chat_id, user_id: self.owner }
    }

    /// Whether nobody else is there. Bot API: the id of a chat with one person is theirs, those of groups are negative.
    pub fn private(&self) -> bool {
        self.chat_id > 0
    }
}

/// Whose session.
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
