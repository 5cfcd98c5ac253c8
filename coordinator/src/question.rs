//! What a person asked for, from the message to the answer: it travels with the task and comes back with the result.

use queue::TaskType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::render::{Screen, clean, shown};
use crate::session::Creator;
use crate::text;

/// Pages that "Load more" asks for.
const PAGES_AT_ONCE: u64 = 3;
/// Fewest items of a creator by chance: fewer are no surprise worth having.
const RANDOM_MIN_ITEMS: u64 = 25;

/// One question. Its JSON form is stored in tasks, so a change has to read the old form too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Question {
    /// Creators by name.
    Search {
        /// The name.
        query: String,
    },
    /// The operator's forum, for the same name.
    Extended {
        /// The name.
        query: String,
        /// The result set that it was asked from.
        back: String,
    },
    /// A creator by chance.
    Random {
        /// Addresses of those that came up already.
        exclude: Vec<String>,
    },
    /// A creator's items.
    Content {
        /// Whose.
        creator: Creator,
        /// The result set that they were chosen from.
        back: String,
    },
    /// The items behind those that are loaded.
    More {
        /// The content view that they are added to.
        view: String,
        /// Whose.
        creator: Creator,
        /// Where to go on.
        cursor: String,
    },
}

impl Question {
    /// The task type that answers it.
    pub fn task_type(&self) -> Option<TaskType> {
        let name = match self {
            Self::Search { .. } => "search_creator",
            Self::Extended { .. } => "search_simpcity",
            Self::Random { .. } => "get_random_creator",
            Self::Content { .. } => "load_content",
            Self::More { .. } => "load_more_pages",
        };
        name.parse().ok()
    }

    /// The task's params.
    pub fn params(&self) -> Map<String, Value> {
        let params = match self {
            Self::Search { query } | Self::Extended { query, .. } => json!({"query": query}),
            Self::Random { exclude } => {
                json!({"min_items": RANDOM_MIN_ITEMS, "exclude": exclude})
            }
            Self::Content { creator, .. } => {
                json!({"creator_name": creator.name, "creator_url": creator.url})
            }
            Self::More { creator, cursor, .. } => json!({
                "creator_name": creator.name, "creator_url": creator.url, "cursor": cursor,
                "pages_to_fetch": PAGES_AT_ONCE,
            }),
        };
        match params {
            Value::Object(params) => params,
            _ => Map::new(),
        }
    }

    /// The message that stands where the answer will be.
    pub fn placeholder(&self) -> Screen {
        Screen::plain(match self {
            Self::Search { query } | Self::Extended { query, .. } => {
                format!("🔎 Looking for <b>{}</b>…", shown(query, 60))
            }
            Self::Random { .. } => text::PICKING.to_owned(),
            Self::Content { creator, .. } | Self::More { creator, .. } => {
                format!("📂 Opening <b>{}</b>…", shown(&creator.name, 60))
            }
        })
    }

    /// The short note that a pressed button gives at once.
    pub fn note(&self) -> String {
        match self {
            Self::Search { query } | Self::Extended { query, .. } => {
                format!("Looking for {}…", clean(query, 60))
            }
            Self::Random { .. } => text::PICKING.to_owned(),
            Self::Content { creator, .. } => format!("Opening {}…", clean(&creator.name, 60)),
            Self::More { .. } => text::LOADING_MORE.to_owned(),
        }
    }
}

/// Where an answer goes: the task's `reply_to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The chat.
    pub chat_id: i64,
    /// Who asked.
    pub user_id: i64,
    /// The message whose button was pressed; absent when the answer has a placeholder of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<i64>,
    /// When in the conversation it was asked.
    #[serde(default)]
    pub turn: u64,
    /// What was asked.
    pub question: Question,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_answer_goes_reads_back_from_its_json() {
        let reply_to = ReplyTo {
            chat_id: -7,
            user_id: 7,
            message_id: Some(3),
            turn: 1,
            question: Question::Content { creator: Creator::default(), back: "ab".to_owned() },
        };
        let json = serde_json::to_value(&reply_to).unwrap();
        assert_eq!(json["question"]["kind"], "content");
        assert_eq!(serde_json::from_value::<ReplyTo>(json).unwrap(), reply_to);
    }

    #[test]
    fn every_question_has_a_task_type() {
        for kind in [
            Question::Search { query: String::new() },
            Question::Extended { query: String::new(), back: String::new() },
            Question::Random { exclude: Vec::new() },
            Question::Content { creator: Creator::default(), back: String::new() },
            Question::More {
                view: String::new(),
                creator: Creator::default(),
                cursor: String::new(),
            },
        ] {
            assert!(kind.task_type().is_some(), "{kind:?}");
        }
    }
}
