//! One chat with the bot through the simulator's control API, printed as it happens.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use crate::stop::Stop;

/// How long the bot may take for one answer.
pub(crate) const ANSWER_BOUND: Duration = Duration::from_secs(30);
/// One long poll; short, so that Ctrl-C is noticed.
const POLL_MS: u64 = 1_000;

/// A message of the bot as the user sees it now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) text: String,
    /// Each button's text and data. A button with an address has no data.
    pub(crate) buttons: Vec<(String, Option<String>)>,
    /// Whether it replaced what the message said before.
    pub(crate) edited: bool,
}

impl Message {
    /// The button whose text contains `text`.
    pub(crate) fn button(&self, text: &str) -> Option<&(String, Option<String>)> {
        self.buttons.iter().find(|(label, _)| label.contains(text))
    }
}

/// The user's side of one chat.
#[derive(Debug)]
pub(crate) struct Chat {
    agent: Agent,
    base: String,
    id: i64,
    seq: u64,
    /// Read from the simulator, and not looked at yet.
    unread: VecDeque<Message>,
    /// How long the bot may take for one answer.
    bound: Duration,
    is_shown: bool,
    stop: Stop,
}

impl Chat {
    /// Opens a chat and ignores its earlier messages.
    pub(crate) fn open(base: &str, id: i64, stop: &Stop) -> anyhow::Result<Self> {
        let agent = agent();
        let base = base.to_owned();
        let stop = stop.clone();
        let mut chat = Self {
            agent,
            base,
            id,
            seq: 0,
            unread: VecDeque::new(),
            bound: ANSWER_BOUND,
            is_shown: true,
            stop,
        };
        chat.events(0)?;
        Ok(chat)
    }

    /// The same chat, which prints nothing and waits for no longer than `bound` for an answer.
    pub(crate) fn unseen(self, bound: Duration) -> Self {
        Self { bound, is_shown: false, ..self }
    }

    /// Writes a message to the bot.
    pub(crate) fn say(&self, text: &str) -> anyhow::Result<()> {
        self.show(|| println!("\n  you │ {text}"));
        self.post("/sim/messages", &json!({"chat_id": self.id, "text": text}))
    }

    /// Presses the button of `message` whose text contains `label`.
    pub(crate) fn press(&self, message: &Message, label: &str) -> anyhow::Result<()> {
        let (text, data) =
            message.button(label).with_context(|| format!("there is no button `{label}`"))?;
        let data = data.as_ref().with_context(|| format!("button `{text}` has no data"))?;
        self.show(|| println!("\n  you │ ▸ {text}"));
        let body = json!({"chat_id": self.id, "message_id": message.id, "data": data});
        self.post("/sim/callbacks", &body)
    }

    /// Waits for a message or an edit that `accept`s; prints all that come until then, and leaves what follows to the next call.
    pub(crate) fn expect(
        &mut self,
        what: &str,
        accept: impl Fn(&Message) -> bool,
    ) -> anyhow::Result<Message> {
        let deadline = Instant::now() + self.bound;
        let mut last = None;
        while Instant::now() < deadline {
            ensure!(!self.stop.requested(), "interrupted");
            if self.unread.is_empty() {
                self.unread = self.events(POLL_MS)?.into();
            }
            // What comes after the message is for the next call: both may arrive together.
            while let Some(message) = self.unread.pop_front() {
                self.show(|| print_message(&message));
                if accept(&message) {
                    return Ok(message);
                }
                last = Some(message);
            }
        }
        match last {
            None => bail!("expected {what}, but the bot said nothing within {:?}", self.bound),
            Some(message) => bail!(
                "expected {what} within {:?}; the bot's last message was:\n{}\nbuttons: {}",
                self.bound,
                message.text,
                labels(&message)
            ),
        }
    }

    /// What the bot wrote and changed since the last call; waits for a second if there is nothing.
    pub(crate) fn news(&mut self) -> anyhow::Result<Vec<Message>> {
        ensure!(!self.stop.requested(), "interrupted");
        if self.unread.is_empty() {
            return self.events(POLL_MS);
        }
        Ok(self.unread.drain(..).collect())
    }

    /// Whether somebody asked for the end.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.requested()
    }

    fn show(&self, print: impl FnOnce()) {
        if self.is_shown {
            print();
        }
    }

    /// The bot's messages and edits since the last call.
    fn events(&mut self, timeout_ms: u64) -> anyhow::Result<Vec<Message>> {
        let base = &self.base;
        let id = self.id;
        let seq = self.seq;
        let address = format!("{base}/sim/events?chat_id={id}&since={seq}&timeout_ms={timeout_ms}");
        let answer = get_json(&self.agent, &address)?;
        let seq = answer.get("seq").and_then(Value::as_u64);
        self.seq = seq.context("the simulator's events have no `seq`")?;
        let events = answer.get("events").and_then(Value::as_array);
        let events = events.context("the simulator's answer has no `events`")?;
        Ok(events.iter().filter_map(bot_message).collect())
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let address = format!("{}{path}", self.base);
        self.agent.post(&address).send_json(body).with_context(|| format!("POST {address}"))?;
        Ok(())
    }
}

/// Whether a bot fetches updates from the simulator at the moment.
pub(crate) fn bot_is_there(base: &str) -> bool {
    let stats = get_json(&agent(), &format!("{base}/sim/stats"));
    stats.is_ok_and(|stats| stats.get("polling") == Some(&Value::Bool(true)))
}

fn agent() -> Agent {
    // Longer than any long poll here; a stuck simulator must not hang the command.
    Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().new_agent()
}

fn get_json(agent: &Agent, address: &str) -> anyhow::Result<Value> {
    let mut response = agent.get(address).call().with_context(|| format!("GET {address}"))?;
    response.body_mut().read_json().with_context(|| format!("reading {address}"))
}

/// The message that an event is about, if the bot wrote or changed one.
fn bot_message(event: &Value) -> Option<Message> {
    let edited = match event.get("kind")?.as_str()? {
        "bot_message" => false,
        "edit" => true,
        _ => return None,
    };
    let rows = event.get("buttons").and_then(Value::as_array).into_iter().flatten();
    let buttons = rows.filter_map(Value::as_array).flatten().filter_map(|button| {
        let text = |key: &str| button.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("text")?, text("data")))
    });
    Some(Message {
        id: event.get("message_id")?.as_i64()?,
        text: event.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        buttons: buttons.collect(),
        edited,
    })
}

fn print_message(message: &Message) {
    let mut lines = message.text.lines();
    let mark = if message.edited { "✎ " } else { "" };
    println!("  bot │ {mark}{}", lines.next().unwrap_or_default());
    for line in lines {
        println!("      │ {line}");
    }
    if !message.buttons.is_empty() {
        println!("      │ {}", labels(message));
    }
}

fn labels(message: &Message) -> String {
    let labels: Vec<_> = message.buttons.iter().map(|(text, _)| format!("[ {text} ]")).collect();
    labels.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_and_messages_are_read_with_their_buttons() {
        let event = json!({"seq": 4, "kind": "edit", "message_id": 7, "text": "Found",
            "buttons": [[{"text": "Luna Marlowe", "data": "a1"}], [{"text": "Open", "url": "https://x.example"}]]});
        let message = bot_message(&event).unwrap();
        assert!(message.edited);
        assert_eq!(message.button("Luna").unwrap().1.as_deref(), Some("a1"));
        assert_eq!(message.button("Open").unwrap().1, None);
        assert_eq!(labels(&message), "[ Luna Marlowe ] [ Open ]");
    }

    #[test]
    fn an_answer_that_arrives_with_its_placeholder_is_not_lost() {
        let message = |edited| Message { id: 7, edited, ..Message::default() };
        let mut chat = Chat {
            agent: agent(),
            base: "http://127.0.0.1:9".to_owned(),
            id: 1,
            seq: 0,
            unread: [message(false), message(true)].into(),
            bound: ANSWER_BOUND,
            is_shown: false,
            stop: Stop::default(),
        };
        assert!(!chat.expect("a placeholder", |message| !message.edited).unwrap().edited);
        assert!(chat.expect("its answer", |message| message.edited).unwrap().edited);
    }

    #[test]
    fn what_is_not_the_bots_is_passed_over() {
        assert_eq!(bot_message(&json!({"kind": "user_message", "message_id": 1})), None);
        assert_eq!(bot_message(&json!({"kind": "chat_action"})), None);
    }
}
