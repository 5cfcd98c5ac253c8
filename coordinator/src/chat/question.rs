//! What a person asked. It travels with the task and comes back with the result.

use queue::TaskType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::address::ChatAddress;
use super::callback::ButtonAction;
use super::filter::Filter;
use super::results::Creator;
use super::sanitize::{clean, safe_html};
use super::screen::{Button, Screen};
use super::text::{Arg, Lang};

/// Most creators in a search's answer.
const SEARCH_LIMIT: u64 = 30;
/// Pages that "Load more" loads.
const PAGES_AT_ONCE: u64 = 3;
/// Fewest items of a random creator: fewer are not worth showing.
const RANDOM_MIN_ITEMS: u64 = 25;
/// Longest name in a placeholder, in characters.
const NAME_CHARS: usize = 60;

/// One question. Tasks store its JSON form, so a change has to read the old form too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Question {
    /// Creators by name.
    Search {
        /// The name.
        query: String,
    },
    /// Search the operator's forum for the same name.
    Extended {
        /// The name.
        query: String,
        /// The result set that it was asked from.
        back: String,
        /// The forum's page, from 1.
        #[serde(default = "first_page")]
        page: u64,
    },
    /// A random creator.
    Random {
        /// URLs of creators that were shown already.
        exclude: Vec<String>,
    },
    /// A creator's items.
    Content {
        /// Whose.
        creator: Creator,
        /// The result set that they were chosen from.
        back: String,
        /// Which of them.
        #[serde(default)]
        filter: Filter,
    },
    /// More items of a creator.
    More {
        /// The content view that they are added to.
        view: String,
        /// Whose.
        creator: Creator,
        /// Where to continue.
        cursor: String,
        /// Which of them.
        #[serde(default)]
        filter: Filter,
    },
    /// What a plugin's command or button asks.
    Plugin {
        /// The task type.
        task_type: TaskType,
        /// Its params.
        params: Map<String, Value>,
        /// Its title, as plain text.
        title: String,
        /// The view with its button; empty without one.
        #[serde(default)]
        back: String,
    },
}

fn first_page() -> u64 {
    1
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
            Self::Plugin { task_type, .. } => return Some(task_type.clone()),
        };
        name.parse().ok()
    }

    /// The task's params.
    pub fn params(&self) -> Map<String, Value> {
        let params = match self {
            Self::Search { query } => json!({"query": query, "limit": SEARCH_LIMIT}),
            Self::Extended { query, page, .. } => json!({"query": query, "page": page}),
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
            Self::Plugin { params, .. } => return params.clone(),
        };
        let Value::Object(mut params) = params else { return Map::new() };
        if let Self::Content { filter, .. } | Self::More { filter, .. } = self
            && *filter != Filter::All
        {
            params.insert("filters".to_owned(), filter.params().into());
        }
        params
    }

    /// The placeholder. `view` names the task in its cancel button.
    pub fn placeholder(&self, lang: Lang, view: &str) -> Screen {
        Self::waiting(lang, view, self.waits_for(lang))
    }

    /// A sentence that says what is being done.
    pub fn waits_for(&self, lang: Lang) -> String {
        match self {
            Self::Search { query } | Self::Extended { query, .. } => {
                lang.format("looking-for", &[("query", Arg::Text(&safe_html(query, NAME_CHARS)))])
            }
            Self::Random { .. } => lang.text("picking"),
            Self::Content { creator, .. } | Self::More { creator, .. } => lang
                .format("opening", &[("name", Arg::Text(&safe_html(&creator.name, NAME_CHARS)))]),
            Self::Plugin { title, .. } => {
                lang.format("working-on", &[("what", Arg::Text(&safe_html(title, NAME_CHARS)))])
            }
        }
    }

    /// A message with a cancel button, shown until the answer comes.
    pub fn waiting(lang: Lang, view: &str, html: String) -> Screen {
        let stop = ButtonAction::Cancel { view: view.to_owned() };
        let buttons = vec![vec![Button::press(&lang.text("button-cancel"), stop)]];
        Screen { html, buttons, ..Screen::default() }
    }

    /// The notification for a pressed button.
    pub fn note(&self, lang: Lang) -> String {
        match self {
            Self::Search { query } | Self::Extended { query, .. } => {
                lang.format("note-looking-for", &[("query", Arg::Text(&clean(query, NAME_CHARS)))])
            }
            Self::Random { .. } => lang.text("picking"),
            Self::Content { creator, .. } => lang
                .format("note-opening", &[("name", Arg::Text(&clean(&creator.name, NAME_CHARS)))]),
            Self::More { .. } => lang.text("note-more"),
            Self::Plugin { .. } => lang.text("note-working"),
        }
    }

    /// Its name in `/status`, as plain text.
    pub fn called(&self, lang: Lang) -> String {
        match self {
            Self::Search { query } => {
                lang.format("what-search", &[("query", Arg::Text(&clean(query, NAME_CHARS)))])
            }
            Self::Extended { query, .. } => {
                lang.format("what-extended", &[("query", Arg::Text(&clean(query, NAME_CHARS)))])
            }
            Self::Random { .. } => lang.text("what-random"),
            Self::Content { creator, .. } | Self::More { creator, .. } => lang
                .format("what-content", &[("name", Arg::Text(&clean(&creator.name, NAME_CHARS)))]),
            Self::Plugin { title, .. } => clean(title, NAME_CHARS),
        }
    }
}

/// Where an answer goes: the task's `reply_to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The chat, and who asked.
    #[serde(flatten)]
    pub address: ChatAddress,
    /// The message whose button was pressed; absent when the answer has a placeholder of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<i64>,
    /// The turn that asked it.
    #[serde(default)]
    pub turn: u64,
    /// The language of the placeholder and of progress.
    #[serde(default)]
    pub lang: Lang,
    /// What was asked.
    pub question: Question,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_answer_goes_reads_back_from_its_json() {
        let reply_to = ReplyTo {
            address: ChatAddress { chat_id: -7, owner: 7, thread: Some(3), reply_to: Some(9) },
            message_id: Some(3),
            turn: 1,
            lang: Lang::De,
            question: Question::Content {
                creator: Creator::default(),
                back: "ab".to_owned(),
                filter: Filter::Videos,
            },
        };
        let json = serde_json::to_value(&reply_to).unwrap();
        assert_eq!(json["question"]["kind"], "content");
        assert_eq!(json["user_id"], 7);
        assert_eq!(serde_json::from_value::<ReplyTo>(json).unwrap(), reply_to);
    }

    #[test]
    fn what_an_older_coordinator_wrote_is_read() {
        let json = json!({"chat_id": 7, "user_id": 7, "turn": 2, "question":
            {"kind": "extended", "query": "luna", "back": "ab"}});
        let read: ReplyTo = serde_json::from_value(json).unwrap();
        assert_eq!(read.address, ChatAddress { chat_id: 7, owner: 7, ..ChatAddress::default() });
        assert!(matches!(read.question, Question::Extended { page: 1, .. }));
    }

    #[test]
    fn every_question_has_a_task_type() {
        for kind in [
            Question::Search { query: String::new() },
            Question::Extended { query: String::new(), back: String::new(), page: 1 },
            Question::Random { exclude: Vec::new() },
            Question::Content {
                creator: Creator::default(),
                back: String::new(),
                filter: Filter::All,
            },
            Question::More {
                view: String::new(),
                creator: Creator::default(),
                cursor: String::new(),
                filter: Filter::All,
            },
        ] {
            assert!(kind.task_type().is_some(), "{kind:?}");
        }
    }
}
