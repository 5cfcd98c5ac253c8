//! The format of a conversation.
//!
//! ```text
//! # A comment. The lines after it belong together until the next line of a person.
//! * Ann speaks de                      what happens around the chat, see `stage`
//! Ann: luna marlow                     Ann writes to the bot
//! Ann in Fans: /search luna            … in the group Fans, or in its topic: Ann in Fans/News: …
//! Ann in Fans, to the bot: luna        … as an answer to the bot's last message there
//! Ann, 31 times: hello                 … again and again
//! Ann presses [Luna …]                 the newest button that fits; … on (a): of the message named (a)
//! Ann presses [A] 31 times             … again and again
//! Ann taps [🎲 Random]                 a key of the bot's keyboard
//! Ann sends a photo: who is it         also: Ann sends a sticker 🙂
//! bot:  🔎 Closest to luna marlow:     a new message of the bot, as it is in the end
//!
//!       1. Luna Marlowe (Luna M)       all of its lines, indented by six
//!       …                              any lines
//!       [Luna Marlowe · … items]       rows of buttons; … stands for anything within a line
//! bot*: …                              the message that was pressed, or the bot's last, is now this
//! bot-:                                … is gone
//! bot in Fans (a): …                   elsewhere than where the last person acted; with a name for later
//! note: Opening Luna Marlowe…          the note that a press shows; alert: if it has to be closed
//! menu: /search Find a creator         what `/` shows to the person who acted last
//! ```
//!
//! What the bot says in between (a placeholder, for example) may be left out. The end of each step must match exactly: a
//! message too many is a failure.

use std::fmt::Write as _;
use std::path::Path;

/// How far a message's further lines are indented.
const INDENT: &str = "      ";

/// A whole conversation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// Comments after the last step.
    tail: Vec<String>,
}

/// An action and its consequences.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Comments and empty lines before it.
    lead: Vec<String>,
    /// Its lines in the file.
    raw: Vec<String>,
    /// Its line number, from 1.
    pub(super) line: usize,
    pub(super) act: Act,
    pub(super) expected: Vec<Expected>,
}

impl Step {
    /// The line of the action.
    pub(super) fn title(&self) -> &str {
        self.raw.first().map_or("", String::as_str)
    }
}

/// An action.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// By a person in a chat.
    Person {
        name: String,
        /// A group, without it their chat with the bot.
        group: Option<String>,
        topic: Option<String>,
        deed: Deed,
    },
    /// Around the chat.
    Stage(String),
}

/// What a person does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Writes { text: String, to: Option<Target>, times: usize },
    Presses { label: String, on: Target, times: usize },
    Taps(String),
    SendsPhoto(String),
    SendsSticker(String),
}

/// One of the bot's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The newest that matches.
    Newest,
    /// The one with this name.
    Named(String),
}

/// What is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) kind: Kind,
    /// The person's or group's name; without it where the last person acted.
    pub(super) chat: Option<String>,
    /// The message's name.
    pub(super) tag: Option<String>,
    pub(super) lines: Vec<String>,
}

/// The kind of an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Said,
    Edited,
    Gone,
    Note,
    Alert,
    Menu,
}

impl Kind {
    const ALL: [(&'static str, Self); 6] = [
        ("bot", Self::Said),
        ("bot*", Self::Edited),
        ("bot-", Self::Gone),
        ("note", Self::Note),
        ("alert", Self::Alert),
        ("menu", Self::Menu),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

impl Script {
    pub(super) fn read(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self::parse(&text).unwrap_or_else(|problem| panic!("{}:{problem}", path.display()))
    }

    /// The problem begins with its line's number.
    fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        let mut lead: Vec<String> = Vec::new();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let mut at = 0;
        while let Some(first) = lines.get(at) {
            let number = at + 1;
            at += 1;
            if first.is_empty() || first.starts_with('#') {
                lead.push((*first).to_owned());
                continue;
            }
            let mut block = vec![(*first).to_owned()];
            while let Some(further) = lines.get(at).and_then(|_| continuation(&lines, at)) {
                block.push(further);
                at += 1;
            }
            match expected(&block) {
                Some(expected) => {
                    let step = script.steps.last_mut();
                    let step = step.ok_or_else(|| format!("{number}: nothing was done before"))?;
                    // Comments between expected lines would be lost when the file is rewritten.
                    if lead.iter().any(|line| !line.is_empty()) {
                        return Err(format!("{number}: comments belong before what is done"));
                    }
                    lead.clear();
                    step.expected.push(expected);
                }
                None => {
                    let act = act(&block)
                        .ok_or_else(|| format!("{number}: `{first}` is not understood"))?;
                    let lead = std::mem::take(&mut lead);
                    let line = number;
                    let expected = Vec::new();
                    script.steps.push(Step { lead, raw: block, line, act, expected });
                }
            }
        }
        script.tail = lead;
        Ok(script)
    }

    /// As a file.
    pub(super) fn print(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            for line in &step.lead {
                let _ = writeln!(text, "{line}");
            }
            for (n, line) in step.raw.iter().enumerate() {
                let indent = if n == 0 || line.is_empty() { "" } else { INDENT };
                let _ = writeln!(text, "{indent}{line}");
            }
            for expected in &step.expected {
                text.push_str(&expected.print());
            }
        }
        for line in &self.tail {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

impl Expected {
    pub(super) fn print(&self) -> String {
        let mut head = self.kind.word().to_owned();
        if let Some(chat) = &self.chat {
            let _ = write!(head, " in {chat}");
        }
        if let Some(tag) = &self.tag {
            let _ = write!(head, " ({tag})");
        }
        head.push(':');
        let mut text = String::new();
        for (n, line) in self.lines.iter().enumerate() {
            let line = match (n, line.is_empty()) {
                (0, _) => format!("{head:<5} {line}"),
                (_, true) => String::new(),
                (_, false) => format!("{INDENT}{line}"),
            };
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if self.lines.is_empty() {
            let _ = writeln!(text, "{head}");
        }
        text
    }
}

/// The line at `at` as a further line of a message; an empty one only if the message continues after it.
fn continuation(lines: &[&str], at: usize) -> Option<String> {
    let next = lines.iter().skip(at).find(|line| !line.is_empty())?;
    if !next.starts_with(INDENT) {
        return None;
    }
    let line = lines.get(at)?;
    Some(line.strip_prefix(INDENT).unwrap_or("").to_owned())
}

fn expected(block: &[String]) -> Option<Expected> {
    let (head, rest) = block.first()?.split_once(':')?;
    let (head, tag) = match head.strip_suffix(')').and_then(|head| head.rsplit_once(" (")) {
        Some((head, tag)) => (head, Some(tag.to_owned())),
        None => (head, None),
    };
    let (word, chat) = match head.split_once(" in ") {
        Some((word, chat)) => (word, Some(chat.to_owned())),
        None => (head, None),
    };
    let (_, kind) = Kind::ALL.iter().find(|(known, _)| *known == word)?;
    let mut lines = vec![rest.trim().to_owned()];
    lines.extend(block.iter().skip(1).cloned());
    if lines == [""] {
        lines.clear();
    }
    Some(Expected { kind: *kind, chat, tag, lines })
}

fn act(block: &[String]) -> Option<Act> {
    let first = block.first()?;
    if let Some(happens) = first.strip_prefix("* ") {
        return Some(Act::Stage(happens.to_owned()));
    }
    if let Some((who, rest)) = first.split_once(" presses [") {
        let (label, rest) = rest.rsplit_once(']')?;
        let (rest, times) = match rest.strip_suffix(" times").and_then(|rest| rest.rsplit_once(' '))
        {
            Some((rest, times)) => (rest, times.parse().ok()?),
            None => (rest, 1),
        };
        let on = match rest.strip_prefix(" on (").and_then(|rest| rest.strip_suffix(')')) {
            Some(tag) => Target::Named(tag.to_owned()),
            None if rest.is_empty() => Target::Newest,
            None => return None,
        };
        return Some(by(who, Deed::Presses { label: label.to_owned(), on, times }));
    }
    if let Some((who, rest)) = first.split_once(" taps [") {
        return Some(by(who, Deed::Taps(rest.strip_suffix(']')?.to_owned())));
    }
    if let Some((who, rest)) = first.split_once(" sends a photo") {
        let caption = rest.strip_prefix(": ").unwrap_or_default();
        return Some(by(who, Deed::SendsPhoto(caption.to_owned())));
    }
    if let Some((who, emoji)) = first.split_once(" sends a sticker ") {
        return Some(by(who, Deed::SendsSticker(emoji.to_owned())));
    }
    let (who, text) = first.split_once(": ")?;
    let (who, times) = match who.strip_suffix(" times").and_then(|who| who.split_once(", ")) {
        Some((who, times)) => (who, times.parse().ok()?),
        None => (who, 1),
    };
    let (who, to) = match who.split_once(", to ") {
        Some((who, "the bot")) => (who, Some(Target::Newest)),
        Some((who, tag)) => {
            let tag = tag.strip_prefix('(')?.strip_suffix(')')?;
            (who, Some(Target::Named(tag.to_owned())))
        }
        None => (who, None),
    };
    let mut text = text.to_owned();
    for line in block.iter().skip(1) {
        let _ = write!(text, "\n{line}");
    }
    Some(by(who, Deed::Writes { text, to, times }))
}

/// `Ann`, `Ann in Fans`, `Ann in Fans/News`.
fn by(who: &str, deed: Deed) -> Act {
    let (name, place) = match who.split_once(" in ") {
        Some((name, place)) => (name, Some(place)),
        None => (who, None),
    };
    let (group, topic) = match place.map(|place| place.split_once('/').ok_or(place)) {
        Some(Ok((group, topic))) => (Some(group), Some(topic)),
        Some(Err(group)) => (Some(group), None),
        None => (None, None),
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Act::Person { name: name.to_owned(), group: owned(group), topic: owned(topic), deed }
}

#[test]
fn what_is_read_is_printed_as_it_was() {
    let text = "\
# A title.
* Ann speaks de

Ann in Fans/News, to (a): two
      lines
bot:  🔎 First

      1. Second
          indented
      [A] [B]
note: Opening…

# Press.
Bob in Fans presses [A] on (a) 2 times
bot* in Fans (b): …
bot-:
Bob taps [🎲]
Bob sends a photo: who
Bob sends a sticker 🙂
";
    let script = Script::parse(text).unwrap();
    assert_eq!(script.print(), text);
    assert_eq!(script.steps.len(), 6);
    let said = &script.steps[1].expected[0];
    assert_eq!(said.lines, ["🔎 First", "", "1. Second", "    indented", "[A] [B]"]);
    let Act::Person { name, group, topic, deed } = &script.steps[1].act else { panic!() };
    assert_eq!(
        (name.as_str(), group.as_deref(), topic.as_deref()),
        ("Ann", Some("Fans"), Some("News"))
    );
    let to = Some(Target::Named("a".to_owned()));
    assert_eq!(*deed, Deed::Writes { text: "two\nlines".to_owned(), to, times: 1 });
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line() {
    for (text, problem) in [
        ("bot: hello", "1: nothing was done before"),
        ("Ann: hi\nnonsense", "2: `nonsense` is not understood"),
        ("Ann: hi\n# why\nbot: hello", "3: comments belong before"),
    ] {
        let found = Script::parse(text).unwrap_err();
        assert!(found.starts_with(problem), "{found}");
    }
}
