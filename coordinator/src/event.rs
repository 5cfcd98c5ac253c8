//! What a person did, free of Telegram's types, and what is to be done about it.

use crate::question::Question;
use crate::render::Screen;
use crate::session::store::Who;

/// Something that happened in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The update's number.
    pub update_id: u32,
    /// The message or press behind it. With the number it names the update for ever: numbers alone come again.
    pub origin: String,
    /// Where and by whom.
    pub who: Who,
    /// What.
    pub event: Event,
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
    NoText,
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
    pub fn read_text(text: &str, username: &str, private: bool) -> Option<Self> {
        let Some(command) = text.strip_prefix('/') else {
            return private.then(|| Self::Text(text.to_owned()));
        };
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
            addressed: private || addressee.is_some(),
        })
    }
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
    fn check(text: &str, private: bool, expected: Option<(&str, &str)>) {
        let read = Event::read_text(text, "freefans_bot", private).map(|event| match event {
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
    fn in_a_group_only_commands_for_this_bot_count() {
        check("luna marlow", false, None);
        check("/search@FreeFans_bot luna", false, Some(("search", "luna")));
        check("/search@other_bot luna", false, None);
        check("/random", false, Some(("random", "")));
    }
}
