//! The surroundings of a conversation: processes, Redis, Telegram, people and groups, and what happens to them.
//!
//! Unless a file begins with `* nothing runs yet`, a coordinator and a worker with the shipped plugins run from the first
//! message on. [`Stage::happens`] lists all events.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use queue::TaskQueue;
use serde_json::{Value, json};
use services::{Answer, Server};
use test_kit::{Process, TestRedis, component, eventually};

use crate::support::{
    COORDINATOR, Telegram, coordinator_command, plugin_folder, queue_on, worker_command,
};

/// The first person's number; the others follow.
const FIRST_PERSON: i64 = 101;
/// The first group's number; the others follow downwards.
const FIRST_GROUP: i64 = -1_001;
/// Lines of a program's log that a failure prints.
const LOG_LINES: usize = 15;

/// What the forum does when it is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Answers,
    FindsNothing,
    Hangs,
    IsDown,
}

/// A person as their Telegram introduces them.
#[derive(Debug, Clone)]
struct Person {
    id: i64,
    language: String,
    username: String,
}

/// The running parts.
pub(super) struct Stage {
    pub(super) telegram: Telegram,
    redis: TestRedis,
    queue: TaskQueue,
    folder: tempfile::TempDir,
    coordinators: Vec<Process>,
    workers: Vec<Process>,
    coordinator_settings: Vec<(String, String)>,
    worker_settings: Vec<(String, String)>,
    mood: Arc<Mutex<Mood>>,
    forum: Option<Server>,
    started: bool,
    people: BTreeMap<String, Person>,
    groups: BTreeMap<String, i64>,
    topics: BTreeMap<String, i64>,
}

impl Stage {
    /// Telegram, and a Redis that keeps everything on disk when it is to be killed.
    pub(super) async fn new(durable: bool) -> Self {
        let redis = if durable { TestRedis::start_durable() } else { TestRedis::start() };
        let queue = queue_on(&redis).await;
        let folder = tempfile::tempdir().unwrap();
        plugin_folder(folder.path());
        Self {
            telegram: Telegram::start().await,
            redis,
            queue,
            folder,
            coordinators: Vec::new(),
            workers: Vec::new(),
            coordinator_settings: Vec::new(),
            worker_settings: Vec::new(),
            mood: Arc::new(Mutex::new(Mood::Answers)),
            forum: None,
            started: false,
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            topics: BTreeMap::new(),
        }
    }

    /// Starts the coordinator and the worker that every conversation has by default.
    pub(super) async fn start(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            // In this order: a coordinator looks for new task types every 2 s only, and at its start.
            self.workers.push(start(self.worker(), "ready: ").await);
            self.coordinators.push(start(self.coordinator(), "coordinator ready").await);
        }
    }

    fn worker(&self) -> Command {
        let mut command = worker_command(&self.redis, self.folder.path());
        if let Some(forum) = &self.forum {
            command.env("EXTENDED_SEARCH_URL", forum.address());
        }
        command.envs(self.worker_settings.iter().cloned());
        command
    }

    fn coordinator(&self) -> Command {
        let mut command = coordinator_command(&self.redis, &self.telegram);
        // A conversation that is played in a second would wait for minutes.
        command.envs([("LIMIT_OVERALL", "0"), ("LIMIT_CHAT", "0"), ("LIMIT_GROUP", "0")]);
        command.envs(self.coordinator_settings.iter().cloned());
        command
    }

    /// Something happens around the chat.
    pub(super) async fn happens(&mut self, what: &str) {
        match what {
            // Before anything runs.
            "nothing runs yet" => self.started = true,
            "the operator has a forum" => {
                let mood = Arc::clone(&self.mood);
                self.forum = Some(Server::start(move |asked| {
                    let page = if asked.target.contains("page=2") { 2 } else { 1 };
                    forum_answer(*mood.lock().unwrap(), page)
                }));
            }
            "Telegram brings the updates" => {
                let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let address = free.local_addr().unwrap();
                let url = ("WEBHOOK_URL".to_owned(), format!("http://{address}/updates"));
                let listen = ("WEBHOOK_LISTEN".to_owned(), address.to_string());
                self.coordinator_settings.extend([url, listen]);
            }
            // Programs.
            "a coordinator starts" => {
                let started = start(self.coordinator(), "coordinator ready").await;
                self.coordinators.push(started);
            }
            // An earlier crash would leave a placeholder behind: ARCHITECTURE.md, I5.
            "the coordinator has noted where the answer goes" => {
                let keys = || self.redis.ask(&["KEYS", "freefans:tasks:placeholder:*"]);
                let noted = async || keys().contains("placeholder").then_some(());
                eventually("a noted placeholder", noted).await;
            }
            "the coordinator is killed" => self.coordinators.remove(0).kill(),
            "the coordinator ends" => {
                assert_eq!(self.coordinators.remove(0).terminate(), Some(0));
            }
            "a worker starts" => {
                let started = start(self.worker(), "ready: ").await;
                self.workers.push(started);
            }
            "the worker is killed" => self.workers.remove(0).kill(),
            "the worker ends" => assert_eq!(self.workers.remove(0).terminate(), Some(0)),
            "Redis goes away" => self.redis.kill(),
            "Redis comes back" => self.redis.revive(),
            "sessions are forgotten" => self.forget_sessions(),
            // The forum.
            "the forum answers" => self.feel(Mood::Answers),
            "the forum finds nothing" => self.feel(Mood::FindsNothing),
            "the forum hangs" => self.feel(Mood::Hangs),
            "the forum is down" => self.feel(Mood::IsDown),
            "the forum is being asked" => {
                let forum = self.forum.as_ref().unwrap();
                let asked = async || (!forum.asked().is_empty()).then_some(());
                eventually("a request to the forum", asked).await;
            }
            "Telegram is well again" => self.telegram.clear_faults().await,
            _ => self.happens_to(what).await,
        }
    }

    /// An event that names a person, a group or a plugin.
    async fn happens_to(&mut self, what: &str) {
        if let Some(settings) = what.strip_prefix("the coordinator's settings: ") {
            self.coordinator_settings = read_settings(settings);
        } else if let Some(settings) = what.strip_prefix("the worker's settings: ") {
            self.worker_settings = read_settings(settings);
        } else if let Some(setting) = what.strip_prefix("in search.toml: ") {
            self.set_in_search(setting);
        } else if let Some(fault) = what.strip_prefix("Telegram: ") {
            let fault =
                serde_json::from_str(fault).unwrap_or_else(|error| panic!("{what}: {error}"));
            self.telegram.fault(fault).await;
        } else if let Some(method) = what.strip_prefix("Telegram has been asked for ") {
            let method = method.to_ascii_lowercase();
            let asked = async || self.telegram.stats().await["calls"][&method].as_u64();
            eventually(what, asked).await;
        } else if let Some((name, language)) = what.split_once(" speaks ") {
            self.person(name).language = language.to_owned();
        } else if let Some((name, username)) = what.split_once(" is @") {
            self.person(name).username = username.to_owned();
        } else if let Some(group) = what.strip_suffix(" has topics") {
            let chat_id = self.group(group).await;
            let about = json!({"chat_id": chat_id, "title": group, "forum": true});
            self.telegram.post("/sim/chats", &about).await;
        } else if let Some(plugin) = what.strip_suffix(" is put into the plugin folder") {
            self.put_plugin(plugin);
        } else if let Some(plugin) = what.strip_suffix(" is taken out of the plugin folder") {
            std::fs::remove_file(self.folder.path().join(format!("{plugin}.wasm"))).unwrap();
        } else {
            self.happens_in_a_chat(what).await;
        }
    }

    async fn happens_in_a_chat(&mut self, what: &str) {
        let standing = |chat_id: i64, user_id: i64, standing: &str| json!({"chat_id": chat_id, "user_id": user_id, "standing": standing});
        let body = if let Some(name) = what.strip_suffix(" blocks the bot") {
            let id = self.person(name).id;
            standing(id, id, "kicked")
        } else if let Some(name) = what.strip_suffix(" unblocks the bot") {
            let id = self.person(name).id;
            standing(id, id, "member")
        } else if let Some(group) = what.strip_prefix("the bot is removed from ") {
            standing(self.group(group).await, FIRST_PERSON, "left")
        } else if let Some(group) = what.strip_prefix("the bot is added to ") {
            standing(self.group(group).await, FIRST_PERSON, "member")
        } else if let Some(name) = what.strip_suffix(" deletes the bot's message") {
            let id = self.person(name).id;
            let messages = self.telegram.bot_messages(id).await;
            let message_id = &messages.last().unwrap()["message_id"];
            let which = json!({"chat_id": id, "message_id": message_id});
            self.telegram.post("/bot123456:SIMULATOR/deleteMessage", &which).await;
            return;
        } else if let Some(group) = what.strip_suffix(" becomes a supergroup") {
            let chat_id = self.group(group).await;
            let to = chat_id - 1_000_000;
            self.groups.insert(group.to_owned(), to);
            let body = json!({"chat_id": chat_id, "user_id": FIRST_PERSON, "to": to});
            self.telegram.post("/sim/migrations", &body).await;
            return;
        } else {
            panic!("nothing like `{what}` can happen: see {}", file!());
        };
        self.telegram.post("/sim/presence", &body).await;
    }

    /// Whether an event only prepares what is started later.
    pub(super) fn prepares(what: &str) -> bool {
        let first = ["nothing runs yet", "the operator has a forum", "Telegram brings the updates"];
        let first = first.contains(&what);
        let settings =
            ["in search.toml: ", "'s settings: ", "Telegram: ", " speaks ", " is @", " has topics"];
        first || settings.iter().any(|part| what.contains(part))
    }

    fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// In one rename, as the documents ask operators to do.
    fn put_plugin(&self, name: &str) {
        let settings = test_kit::root().join("plugins").join(format!("{name}.toml"));
        if settings.is_file() {
            std::fs::copy(settings, self.folder.path().join(format!("{name}.toml"))).unwrap();
        }
        let part = self.folder.path().join("part");
        std::fs::copy(component(COORDINATOR, name), &part).unwrap();
        std::fs::rename(part, self.folder.path().join(format!("{name}.wasm"))).unwrap();
    }

    /// Replaces a line of the search plugin's settings.
    fn set_in_search(&self, setting: &str) {
        let path = self.folder.path().join("search.toml");
        let key = setting.split('=').next().unwrap();
        let before = std::fs::read_to_string(&path).unwrap();
        let same = |line: &str| if line.starts_with(key) { setting } else { line }.to_owned();
        let after: Vec<String> = before.lines().map(same).collect();
        assert_ne!(after.join("\n"), before.trim_end(), "search.toml has no other {key}");
        std::fs::write(path, after.join("\n")).unwrap();
    }

    fn forget_sessions(&self) {
        let script =
            "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";
        self.redis.ask(&["EVAL", script, "0", "freefans:session:*"]);
    }

    /// The chat with this name: a group's, or a person's with the bot.
    pub(super) fn chat(&mut self, name: &str) -> i64 {
        match self.groups.get(name) {
            Some(id) => *id,
            None => self.person(name).id,
        }
    }

    /// The name of a chat.
    pub(super) fn chat_name(&self, chat: i64) -> String {
        let groups = self.groups.iter().map(|(name, id)| (name, *id));
        let people = self.people.iter().map(|(name, person)| (name, person.id));
        let mut all = groups.chain(people);
        all.find(|(_, id)| *id == chat).map_or_else(|| chat.to_string(), |(name, _)| name.clone())
    }

    fn person(&mut self, name: &str) -> &mut Person {
        let id = FIRST_PERSON + i64::try_from(self.people.len()).unwrap();
        let new = || Person { id, language: "en".to_owned(), username: String::new() };
        self.people.entry(name.to_owned()).or_insert_with(new)
    }

    async fn group(&mut self, title: &str) -> i64 {
        if let Some(id) = self.groups.get(title) {
            return *id;
        }
        let chat_id = FIRST_GROUP - i64::try_from(self.groups.len()).unwrap();
        self.groups.insert(title.to_owned(), chat_id);
        let about = json!({"chat_id": chat_id, "title": title});
        self.telegram.post("/sim/chats", &about).await;
        chat_id
    }

    /// The chat and the person of an action, as the simulator's control interface takes them.
    pub(super) async fn who(
        &mut self,
        name: &str,
        group: Option<&str>,
        topic: Option<&str>,
    ) -> Value {
        let Person { id, language, username } = self.person(name).clone();
        let chat_id = match group {
            Some(title) => self.group(title).await,
            None => id,
        };
        let thread = topic.map(|topic| {
            let next = 11 + i64::try_from(self.topics.len()).unwrap();
            *self.topics.entry(topic.to_owned()).or_insert(next)
        });
        json!({
            "chat_id": chat_id, "user_id": id, "first_name": name, "username": username,
            "language_code": language, "thread": thread,
        })
    }

    /// Whether nothing is in progress that could still change a chat.
    pub(super) async fn at_rest(&self) -> bool {
        let telegram = self.telegram.stats().await;
        let fetched = self.coordinators.is_empty() || telegram["pending_updates"] == 0;
        // Without Redis nothing happens.
        let Ok(types) = self.queue.stats(Duration::from_secs(60)).await else { return true };
        // Nothing happens to a task that hangs, either.
        let hangs = *self.mood.lock().unwrap() == Mood::Hangs;
        let idle = types.iter().all(|of_type| {
            let shown = self.coordinators.is_empty() || of_type.replies == 0;
            let waits = of_type.offered && of_type.ready + of_type.delayed > 0;
            let runs = of_type.active > 0 && !hangs;
            shown && (self.workers.is_empty() || !(runs || waits))
        });
        fetched && idle
    }

    /// The last log lines of all programs.
    pub(super) fn logs(&self) -> String {
        let mut text = String::new();
        for (name, programs) in [("coordinator", &self.coordinators), ("worker", &self.workers)] {
            for program in programs {
                let log = program.log();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines.len().saturating_sub(LOG_LINES);
                text.push_str(&format!("\n{name}:\n{}\n", lines[last..].join("\n")));
            }
        }
        text
    }
}

async fn start(mut command: Command, ready: &str) -> Process {
    Process::start_until(&mut command, ready).await
}

/// `NAME=value`, with spaces between.
fn read_settings(text: &str) -> Vec<(String, String)> {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A Discourse forum's result; it has two pages.
fn forum_answer(mood: Mood, page: u64) -> Answer {
    match mood {
        Mood::Answers => {
            let title = if page == 1 { "Luna, a thread" } else { "More about Luna" };
            let found = json!({
                "topics": [{"id": page, "title": title, "slug": "luna", "posts_count": 4}],
                "posts": [{"topic_id": page, "blurb": "so they say"}],
                "grouped_search_result": {"more_full_page_results": page == 1},
            });
            Answer::new(200, &found.to_string())
        }
        Mood::FindsNothing => Answer::new(200, r#"{"topics": [], "posts": []}"#),
        // Never answered.
        Mood::Hangs => Answer::new(0, ""),
        Mood::IsDown => Answer::new(503, ""),
    }
}

/// Whether a conversation kills Redis, which then has to store everything on disk.
pub(super) fn is_durable(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("Redis goes away"))
}
