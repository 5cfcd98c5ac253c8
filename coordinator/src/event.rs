//! What a person did, free of Telegram's types, and what is to be done about it.

use queue::TaskId;
use serde::{Deserialize, Serialize};

use crate::question::Question;
use crate::render::{Media, Screen};
use crate::session::store::Who;
use crate::text::Lang;

/// Something that happened in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The update's number.
    pub update_id: u32,
    /// The message or press behind it. With the number it names the update for ever: numbers alone come again.
    pub origin: String,
    /// Where, and by whom.
    pub place: Place,
    /// The language that the person's Telegram speaks.
    pub language: Lang,
    /// What.
    pub event: Event,
}

/// Where in Telegram something is said, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
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

impl Place {
    /// Whose session it belongs to.
    pub fn who(&self) -> Who {
        Who { chat_id: self.chat_id, user_id: self.owner }
    }

    /// Whether nobody else is there. Bot API: the id of a chat with one person is theirs, those of groups are negative.
    pub fn private(&self) -> bool {
        0 < self.chat_id
    }
}

/// What a person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Wrote `/name argument`.
    Command {
        /// In lower case, without `/`.
        name: String,
        /// The rest of the message.
        argument: String,
        /// Whether it can only be meant for this bot.
        addressed: bool,
    },
    /// Wrote something else.
    Text(String),
    /// Sent something that is no text.
    NoText {
        /// The album that it is a part of.
        album: Option<String>,
    },
    /// Sent something that cannot be read.
    Unreadable,
    /// Pressed a button.
    Press {
        /// What the answer to the press has to name.
        query_id: String,
        /// The message that the button sits on.
        message_id: i64,
        /// What the button carries.
        data: String,
    },
}

impl Event {
    /// Reads a message's text. None when it is a command for another bot, or ordinary talk in a group.
    ///
    /// `to_us` says that nobody else can be meant: a chat of two, or a reply to one of our messages.
    pub fn read_text(text: &str, username: &str, to_us: bool) -> Option<Self> {
        if let Some(command) = text.strip_prefix('/') {
            return Self::read_command(command, username, to_us);
        }
        match without_mention(text, username) {
            Some(rest) if rest.is_empty() => Some(Self::Command {
                name: "help".to_owned(),
                argument: String::new(),
                addressed: true,
            }),
            Some(rest) => match rest.strip_prefix('/') {
                Some(command) => Self::read_command(command, username, true),
                None => Some(Self::Text(rest)),
            },
            None => to_us.then(|| Self::Text(text.to_owned())),
        }
    }

    fn read_command(command: &str, username: &str, to_us: bool) -> Option<Self> {
        let (word, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let (name, addressee) = match word.split_once('@') {
            Some((name, addressee)) => (name, Some(addressee)),
            None => (word, None),
        };
        if addressee.is_some_and(|addressee| !addressee.eq_ignore_ascii_case(username)) {
            return None;
        }
        Some(Self::Command {
            name: name.to_ascii_lowercase(),
            argument: argument.trim().to_owned(),
            addressed: to_us || addressee.is_some(),
        })
    }
}

/// The text without `@username`; none when the bot is not mentioned.
fn without_mention(text: &str, username: &str) -> Option<String> {
    let mut mentioned = false;
    let rest: Vec<&str> = text
        .split_whitespace()
        .filter(|word| {
            let around = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
            let name = word.trim_matches(|letter| around(letter) && letter != '@');
            let name = name.strip_prefix('@');
            let ours = name.is_some_and(|name| name.eq_ignore_ascii_case(username));
            mentioned |= ours;
            !ours
        })
        .collect();
    mentioned.then(|| rest.join(" "))
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a new message.
    Say(Screen),
    /// Replace a message's text and buttons.
    Show {
        /// Which message.
        message_id: i64,
        /// With what.
        screen: Screen,
        /// When in the conversation; what was asked later is not covered by it.
        turn: u64,
    },
    /// End the waiting mark of a pressed button.
    AnswerButton {
        /// Which press.
        query_id: String,
        /// A short note to show.
        note: Option<String>,
    },
    /// Submit a task; its answer comes later.
    Ask {
        /// What is asked.
        question: Question,
        /// The press that asked it; a new message gets a placeholder instead.
        pressed: Option<Pressed>,
        /// When in the conversation.
        turn: u64,
    },
    /// Stop tasks and say how many were stopped.
    Cancel {
        /// Which.
        tasks: Vec<TaskId>,
        /// The press that asked for it.
        pressed: Option<Pressed>,
    },
    /// Say how far tasks have come.
    Status(Vec<crate::session::Pending>),
    /// Send pictures and videos themselves, or their addresses when Telegram cannot load them.
    Album {
        /// Which.
        media: Vec<Media>,
        /// The message whose button was pressed.
        message_id: i64,
        /// The page that it showed.
        page: usize,
    },
    /// Remember a choice for longer than a session lives; none forgets it.
    Choose(Option<Lang>),
    /// Stop what is under way and forget the session.
    Forget {
        /// What is under way.
        tasks: Vec<TaskId>,
    },
    /// Tell an administrator how the queue is.
    Stats,
    /// Tell an administrator which workers and plugins there are.
    Plugins,
}

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// What the answer to the press has to name.
    pub query_id: String,
    /// The message that it sits on, which becomes the answer.
    pub message_id: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, to_us: bool, expected: Option<(&str, &str)>) {
        let read = Event::read_text(text, "freefans_bot", to_us).map(|event| match event {
            Event::Command { name, argument, .. } => (name, argument),
            Event::Text(text) => (String::new(), text),
            other => unreachable!("{other:?}"),
        });
        let expected = expected.map(|(name, argument)| (name.to_owned(), argument.to_owned()));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn commands_are_told_from_talk() {
        check("luna marlow", true, Some(("", "luna marlow")));
        check("/search  luna marlow ", true, Some(("search", "luna marlow")));
        check("/Search\nluna", true, Some(("search", "luna")));
        check("/", true, Some(("", "")));
    }

    #[test]
    fn in_a_group_only_what_is_for_this_bot_counts() {
        check("luna marlow", false, None);
        check("/search@FreeFans_bot luna", false, Some(("search", "luna")));
        check("/search@other_bot luna", false, None);
        check("/random", false, Some(("random", "")));
        check("@FreeFans_bot luna marlow", false, Some(("", "luna marlow")));
        check("luna marlow @freefans_bot", false, Some(("", "luna marlow")));
        check("@freefans_bot: luna", false, Some(("", "luna")));
        check("(@freefans_bot) luna?", false, Some(("", "luna?")));
        check("@freefans_bot. /search luna", false, Some(("search", "luna")));
        check("@freefans_bot", false, Some(("help", "")));
        check("@freefans_bots luna", false, None);
        check("luna marlow", true, Some(("", "luna marlow")));
    }
}
