//! Plays a conversation and compares what the bot does with the file, step by step.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use test_kit::PATIENCE;
use tokio::time::Instant;

use super::blessing;
use super::script::{Act, Deed, Expected, Kind, Script, Step, Target};
use super::stage::{self, Stage};
use super::talk::{self, Message, Talk, fit, line_fits};

/// One long poll for events.
const POLL_MS: u64 = 500;

/// One of the bot's messages, as the file describes it by now.
#[derive(Debug, Clone)]
struct Written {
    number: usize,
    /// Its message id, when the file is being rewritten.
    id: Option<i64>,
    chat: i64,
    tag: Option<String>,
    lines: Vec<String>,
    /// How often it was edited when the last step was over.
    edits: u32,
    /// Whether this step edits it: the old text may fit what is written as well.
    edited: bool,
}

/// A conversation that is being played.
pub(super) struct Player {
    pub(super) stage: Stage,
    pub(super) talk: Talk,
    /// Events that were not looked at yet.
    unheard: VecDeque<Value>,
    /// The number of the last event that was fetched.
    fetched: u64,
    /// Chat and person of the last act.
    pub(super) here: (i64, i64),
    /// Chat and message of the last press.
    pub(super) pressed: Option<(i64, i64)>,
    presses: Vec<u64>,
    written: Vec<Written>,
    counted: usize,
    notes: Vec<(bool, String)>,
    menu: Option<Vec<String>>,
    /// The message that was pressed or sent last, by chat.
    newest: BTreeMap<i64, usize>,
}

/// Plays a file and fails where the bot does something else.
pub(super) async fn play(path: &Path) {
    let script = Script::read(path);
    let mut player = Player {
        stage: Stage::new(stage::is_durable(path)).await,
        talk: Talk::default(),
        unheard: VecDeque::new(),
        fetched: 0,
        here: (0, 0),
        pressed: None,
        presses: Vec::new(),
        written: Vec::new(),
        counted: 0,
        notes: Vec::new(),
        menu: None,
        newest: BTreeMap::new(),
    };
    if std::env::var_os("BLESS").is_some() {
        return blessing::bless(&mut player, script, path).await;
    }
    let place = |step: &Step| format!("{}:{}: `{}`", path.display(), step.line, step.title());
    for step in &script.steps {
        player.act(step).await;
        for expected in &step.expected {
            player.expect(expected);
        }
        player.agree(&place(step)).await;
    }
    player.come_to_rest().await;
    if let Some(difference) = player.difference().await {
        player.fail(&format!("{}: what came after the last line", path.display()), &difference);
    }
}

impl Player {
    /// Does what the step says.
    pub(super) async fn act(&mut self, step: &Step) {
        match &step.act {
            Act::Stage(what) => {
                if !Stage::prepares(what) {
                    self.stage.start().await;
                }
                if what.ends_with(" unblocks the bot") {
                    // Attempts that failed until then leave nothing in the chat to wait for.
                    self.come_to_rest().await;
                }
                self.stage.happens(what).await;
            }
            Act::Person { name, group, topic, deed } => {
                self.stage.start().await;
                let who = self.stage.who(name, group.as_deref(), topic.as_deref()).await;
                self.here = (who["chat_id"].as_i64().unwrap(), who["user_id"].as_i64().unwrap());
                self.does(who, deed).await;
            }
        }
    }

    async fn does(&mut self, mut body: Value, deed: &Deed) {
        let fields = body.as_object_mut().unwrap();
        match deed {
            Deed::Writes { text, to, .. } => {
                let to = to.as_ref().map(|to| self.message(to, |_| true).id);
                fields
                    .extend([("text".to_owned(), json!(text)), ("reply_to".to_owned(), json!(to))]);
            }
            Deed::Taps(key) => {
                let chat = self.stage.telegram.chat(self.here.0, self.here.1).await;
                let rows = chat["reply_keyboard"]["rows"].as_array().cloned().unwrap_or_default();
                let mut keys = rows.iter().flat_map(|row| row.as_array().unwrap());
                let found = keys.find(|found| line_fits(key, found.as_str().unwrap()));
                let text = found.unwrap_or_else(|| panic!("no key [{key}] in {rows:?}")).clone();
                fields.insert("text".to_owned(), text);
            }
            Deed::SendsPhoto(caption) => {
                fields.extend([
                    ("photo".to_owned(), json!(true)),
                    ("text".to_owned(), json!(caption)),
                ]);
            }
            Deed::SendsSticker(emoji) => {
                fields.insert("sticker".to_owned(), json!(emoji));
            }
            Deed::Presses { label, on, times } => {
                for _ in 0..*times {
                    self.presses(body.clone(), label, on).await;
                }
                return;
            }
        }
        let times = if let Deed::Writes { times, .. } = deed { *times } else { 1 };
        for _ in 0..times {
            self.stage.telegram.post("/sim/messages", &body).await;
        }
    }

    async fn presses(&mut self, mut body: Value, label: &str, on: &Target) {
        let has =
            |message: &Message| message.buttons.iter().any(|(text, _)| line_fits(label, text));
        let message = self.message(on, has).clone();
        let (_, data) = message.buttons.iter().find(|(text, _)| line_fits(label, text)).unwrap();
        let press = [("message_id", json!(message.id)), ("data", data.clone())];
        for (name, value) in press {
            body[name] = value;
        }
        let place = self.of_chat(message.chat).position(|known| known.id == message.id).unwrap();
        let written = self.written.iter().filter(|written| written.chat == message.chat).nth(place);
        if let Some(number) = written.map(|written| written.number) {
            self.newest.insert(self.here.0, number);
        }
        self.pressed = Some((message.chat, message.id));
        let pressed = self.stage.telegram.post("/sim/callbacks", &body).await;
        self.presses.push(talk::press_number(&pressed["callback_query_id"]));
    }

    fn of_chat(&self, chat: i64) -> impl Iterator<Item = &Message> {
        self.talk.messages.iter().filter(move |message| message.chat == chat)
    }

    /// The newest message here that matches, or the one with a name.
    fn message(&self, target: &Target, will_do: impl Fn(&Message) -> bool) -> &Message {
        let here: Vec<&Message> = self.of_chat(self.here.0).collect();
        let found = match target {
            Target::Newest => here.iter().rev().copied().find(|message| will_do(message)),
            Target::Named(tag) => {
                let mut written = self.written.iter().filter(|written| written.chat == self.here.0);
                let place = written.position(|written| written.tag.as_ref() == Some(tag));
                place.and_then(|place| here.get(place).copied()).filter(|message| will_do(message))
            }
        };
        found.unwrap_or_else(|| panic!("there is no such message or button: {target:?}\n{here:#?}"))
    }

    /// Adds what is expected.
    fn expect(&mut self, expected: &Expected) {
        let Expected { kind, chat, tag, lines } = expected.clone();
        let chat = chat.map_or(self.here.0, |name| self.stage.chat(&name));
        match kind {
            Kind::Said => {
                self.counted += 1;
                let number = self.counted;
                self.newest.insert(chat, number);
                self.written.push(Written {
                    number,
                    id: None,
                    chat,
                    tag,
                    lines,
                    edits: 0,
                    edited: false,
                });
            }
            Kind::Edited => {
                let place = self.which(chat, tag.as_deref());
                self.written[place].lines = lines;
                self.written[place].edited = true;
            }
            Kind::Gone => {
                let place = self.which(chat, tag.as_deref());
                self.written.remove(place);
            }
            Kind::Note => self.notes.push((false, lines.join("\n"))),
            Kind::Alert => self.notes.push((true, lines.join("\n"))),
            Kind::Menu => self.menu = Some(lines),
        }
    }

    /// Takes a message as it is for the expected one, while the file is being rewritten.
    pub(super) fn believe(&mut self, id: i64, seen: &Expected) {
        match seen.kind {
            Kind::Said => {
                self.expect(seen);
                if let Some(written) = self.written.last_mut() {
                    written.id = Some(id);
                }
            }
            Kind::Gone => self.written.retain(|written| written.id != Some(id)),
            Kind::Edited | Kind::Note | Kind::Alert | Kind::Menu => {}
        }
    }

    fn which(&self, chat: i64, tag: Option<&str>) -> usize {
        let newest = self.newest.get(&chat).copied();
        let found = self.written.iter().position(|written| match tag {
            Some(tag) => written.chat == chat && written.tag.as_deref() == Some(tag),
            None => Some(written.number) == newest,
        });
        found.unwrap_or_else(|| panic!("no message was written before to be changed: {tag:?}"))
    }

    /// Waits until the chats match the file. Compares after every event, so that short-lived states are seen too.
    async fn agree(&mut self, place: &str) {
        let until = Instant::now() + PATIENCE;
        while let Some(difference) = self.difference().await {
            if !self.listen(POLL_MS).await && until < Instant::now() {
                self.fail(place, &difference);
            }
        }
        self.menu = None;
        self.note_edits();
    }

    /// Remembers how often each message was edited: an edit in the next step is one more.
    fn note_edits(&mut self) {
        for written in &mut self.written {
            written.edited = false;
        }
        let mut chats: Vec<i64> = self.written.iter().map(|written| written.chat).collect();
        chats.dedup();
        for chat in chats {
            let seen = self.talk.messages.iter().filter(|message| message.chat == chat);
            let written = self.written.iter_mut().filter(|written| written.chat == chat);
            for (written, seen) in written.zip(seen) {
                written.edits = seen.edits;
            }
        }
    }

    fn fail(&self, place: &str, difference: &str) -> ! {
        panic!(
            "{place} did not lead to what is written (-) but to this (+):\n{difference}{}\n\
             when this is as it should be: BLESS=1 rewrites the file",
            self.stage.logs()
        );
    }

    /// Waits until nothing is in progress and every press is answered, and reads all events.
    async fn come_to_rest(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.stage.at_rest().await || self.talk.unanswered(&self.presses) > 0 {
            assert!(
                Instant::now() < until,
                "it does not come to rest; {} presses have no answer{}",
                self.talk.unanswered(&self.presses),
                self.stage.logs()
            );
            self.listen(POLL_MS / 10).await;
        }
        while self.listen(0).await {}
    }

    /// Reads the next event; waits for it for a while.
    pub(super) async fn listen(&mut self, wait_ms: u64) -> bool {
        if self.unheard.is_empty() {
            let path = format!("/sim/events?since={}&timeout_ms={wait_ms}", self.fetched);
            let mut events = self.stage.telegram.get(&path).await;
            self.fetched = events["seq"].as_u64().unwrap();
            self.unheard.extend(std::mem::take(events["events"].as_array_mut().unwrap()));
        }
        let event = self.unheard.pop_front();
        if let Some(event) = &event {
            self.talk.hear(event);
        }
        event.is_some()
    }

    /// What `/` shows to the last person here.
    pub(super) async fn menu(&self) -> Vec<String> {
        let chat = self.stage.telegram.chat(self.here.0, self.here.1).await;
        let commands = chat["commands"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        commands
            .map(|command| {
                format!("/{} {}", text(&command["command"]), text(&command["description"]))
            })
            .collect()
    }

    /// How the chats differ from the file; none when they match.
    async fn difference(&self) -> Option<String> {
        let mut text = String::new();
        let mut chats: Vec<i64> = self.talk.messages.iter().map(|message| message.chat).collect();
        chats.extend(self.written.iter().map(|written| written.chat));
        chats.sort_unstable();
        chats.dedup();
        let mut same = true;
        for chat in chats {
            let _ = writeln!(text, "chat with {}:", self.stage.chat_name(chat));
            let seen: Vec<&Message> = self.of_chat(chat).collect();
            let written: Vec<&Written> =
                self.written.iter().filter(|written| written.chat == chat).collect();
            for place in 0..seen.len().max(written.len()) {
                let written = written.get(place);
                let seen = seen.get(place);
                if let Some((written, seen)) = written.zip(seen)
                    && written.edited
                    && seen.edits <= written.edits
                {
                    let _ = writeln!(text, "not edited yet:");
                    same = false;
                }
                let written = written.map(|written| written.lines.as_slice());
                let seen = seen.map(|message| message.lines.as_slice());
                same &= compare(&mut text, written, seen);
            }
        }
        let notes = self.talk.notes();
        for place in 0..notes.len().max(self.notes.len()) {
            let line = |note: &(bool, String)| {
                vec![format!("{}: {}", if note.0 { "alert" } else { "note" }, note.1)]
            };
            let written = self.notes.get(place).map(line);
            let seen = notes.get(place).map(line);
            same &= compare(&mut text, written.as_deref(), seen.as_deref());
        }
        if let Some(menu) = &self.menu {
            same &= compare(&mut text, Some(menu), Some(&self.menu().await));
        }
        (!same).then_some(text)
    }
}

/// Prints both, or one when they are equal.
fn compare(text: &mut String, written: Option<&[String]>, seen: Option<&[String]>) -> bool {
    let same = written.zip(seen).is_some_and(|(written, seen)| fit(written, seen));
    let mut put = |mark: &str, lines: Option<&[String]>| {
        for (n, line) in lines.unwrap_or_default().iter().enumerate() {
            let bullet = if n == 0 { "•" } else { " " };
            let _ = writeln!(text, "{mark} {bullet} {line}");
        }
    };
    if !same {
        put("-", written);
    }
    put(if same { " " } else { "+" }, seen);
    same
}
