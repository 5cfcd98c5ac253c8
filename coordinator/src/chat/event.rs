//! What a person did, free of Telegram's types.

use super::address::ChatAddress;
use super::text::Lang;

/// Something that happened in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The update's id.
    pub update_id: u32,
    /// The message or press. Together with the id it names the update for ever: ids alone come again.
    pub origin: String,
    /// The chat, and who did it.
    pub address: ChatAddress,
    /// The language of the person's Telegram.
    pub language: Lang,
    /// What happened.
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
        /// Whether it is for this bot without doubt.
        addressed: bool,
    },
    /// Wrote another text.
    Text(String),
    /// Sent something other than text.
    NoText {
        /// The album that it is a part of.
        album: Option<String>,
    },
    /// Sent something that cannot be read.
    Unreadable,
    /// Pressed a button.
    Press {
        /// The callback query's id.
        query_id: String,
        /// The message with the button.
        message_id: i64,
        /// The button's callback data.
        data: String,
    },
}

impl Event {
    /// Reads a message's text. None when it is a command for another bot, or not addressed to this bot in a group.
    ///
    /// `to_us`: in a private chat, or a reply to one of our messages.
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
