//! A simulated Telegram, a coordinator process, and a worker that answers from a script.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use queue::{
    DistributedWorkerRegistry, FailureCode, Finish, Handled, Lease, OfferedPlugin, QueueConfig,
    TaskHandler, TaskQueue, TaskResult,
};
use serde_json::{Value, json};
use simulator::Simulator;
use test_kit::{Process, TestRedis, eventually};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const COORDINATOR: &str = env!("CARGO_BIN_EXE_coordinator");
const TOKEN: &str = "123456:SIMULATOR";

/// The simulated Telegram. The test plays the people.
pub(crate) struct Telegram {
    base: String,
    http: reqwest::Client,
    _stop: DropGuard,
}

impl Telegram {
    pub(crate) async fn start() -> Self {
        Self::serve(Simulator::new(TOKEN).with_http_webhooks()).await
    }

    /// One that enforces Telegram's limits.
    pub(crate) async fn start_with_limits() -> Self {
        Self::serve(Simulator::new(TOKEN).with_limits()).await
    }

    async fn serve(simulator: Simulator) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(simulator::serve(listener, simulator, stop.clone()));
        Self { base, http: reqwest::Client::new(), _stop: stop.drop_guard() }
    }

    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let response = request.send().await.unwrap().error_for_status().unwrap();
        response.json().await.unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// Writes a message and returns its update id; 0 when the bot does not get it.
    pub(crate) async fn write(&self, chat: i64, text: &str) -> i64 {
        let body = json!({"chat_id": chat, "text": text});
        self.post("/sim/messages", &body).await["update_id"].as_i64().unwrap_or(0)
    }

    /// Delivers a raw update; `%ID%` in it stands for its update id.
    pub(crate) async fn raw_update(&self, json: &[u8]) {
        let request = self.http.post(format!("{}/sim/updates", self.base)).body(json.to_vec());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// Presses the button of `message` whose text contains `label`, as the person `user`.
    pub(crate) async fn press(&self, chat: i64, user: i64, message: &Value, label: &str) {
        let rows = message["buttons"].as_array().unwrap();
        let mut buttons = rows.iter().flat_map(|row| row.as_array().unwrap());
        let found = buttons.find(|button| button["text"].as_str().unwrap().contains(label));
        let data = &found.unwrap_or_else(|| panic!("no button `{label}` in {message}"))["data"];
        let body = json!({
            "chat_id": chat, "user_id": user, "message_id": message["message_id"], "data": data,
        });
        self.post("/sim/callbacks", &body).await;
    }

    /// Calls a method of the Bot API.
    pub(crate) async fn call(&self, method: &str, params: &Value) -> Value {
        self.post(&format!("/bot{TOKEN}/{method}"), params).await
    }

    /// Makes the next calls of a method fail.
    pub(crate) async fn fault(&self, fault: Value) {
        self.post("/sim/faults", &fault).await;
    }

    /// Polls with the bot's token, as another program would; confirms no updates.
    pub(crate) async fn fetch_as_a_stranger(&self) {
        self.get(&format!("/bot{TOKEN}/getUpdates")).await;
    }

    pub(crate) async fn clear_faults(&self) {
        self.http.delete(format!("{}/sim/faults", self.base)).send().await.unwrap();
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/sim/stats").await
    }

    /// A chat as a person sees it.
    pub(crate) async fn chat(&self, chat: i64, user: i64) -> Value {
        self.get(&format!("/sim/chat?chat_id={chat}&user_id={user}")).await
    }

    /// Everything that happened in a chat.
    pub(crate) async fn transcript(&self, chat: i64) -> Vec<Value> {
        self.get(&format!("/sim/transcript?chat_id={chat}")).await.as_array().unwrap().clone()
    }

    /// The bot's messages as they are now.
    pub(crate) async fn bot_messages(&self, chat: i64) -> Vec<Value> {
        let chat = self.get(&format!("/sim/chat?chat_id={chat}")).await;
        let messages = chat["messages"].as_array().unwrap().iter();
        messages.filter(|message| message["from"] == "bot").cloned().collect()
    }

    /// Waits for a message of the bot that contains `part` and returns it.
    pub(crate) async fn bot_says(&self, chat: i64, part: &str) -> Value {
        eventually(&format!("`{part}` from the bot"), async || {
            let messages = self.bot_messages(chat).await;
            messages.into_iter().find(|message| message["text"].as_str().unwrap().contains(part))
        })
        .await
    }

    /// Waits until the bot has sent just these messages and sends no more.
    pub(crate) async fn bot_said_only(&self, chat: i64, parts: &[&str]) {
        let fits = |messages: &[Value]| {
            messages.len() == parts.len()
                && messages.iter().zip(parts).all(|(message, part)| {
                    message["text"].as_str().is_some_and(|text| text.contains(part))
                })
        };
        eventually(&format!("only {parts:?} in chat {chat}"), async || {
            fits(&self.bot_messages(chat).await).then_some(())
        })
        .await;
    }
}

/// A free port of this machine.
pub(crate) fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

pub(crate) fn coordinator_command(redis: &TestRedis, telegram: &Telegram) -> Command {
    let mut command = Command::new(COORDINATOR);
    command
        .env("TELEGRAM_BOT_TOKEN", TOKEN)
        .env("TELEGRAM_API_URL", telegram.address())
        .env("REDIS_URL", redis.url())
        .env_remove("REDIS_CA")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env_remove("LISTEN")
        .env_remove("RUST_LOG");
    command
}

pub(crate) async fn coordinator(redis: &TestRedis, telegram: &Telegram) -> Process {
    Process::start_until(&mut coordinator_command(redis, telegram), "coordinator ready").await
}

/// Puts the shipped plugins into `folder`.
pub(crate) fn plugin_folder(folder: &Path) {
    test_kit::copy_shipped_plugins(folder).unwrap();
}

/// The real worker with the plugins in `folder`.
pub(crate) fn worker_command(redis: &TestRedis, folder: &Path) -> Command {
    let mut command = Command::new(test_kit::program(COORDINATOR, "worker"));
    command
        .arg("--plugins")
        .arg(folder)
        .env("REDIS_URL", redis.url())
        // One for all tests, so that each component is compiled once; not that of whoever runs them.
        .env("PLUGIN_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/plugin-cache"))
        .env_remove("REDIS_CA")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env_remove("RUST_LOG")
        .env_remove("LISTEN")
        .env_remove("SUPABASE_URL")
        .env_remove("EXTENDED_SEARCH_URL");
    command
}

/// A real worker with the shipped plugins, which are put into `folder`.
pub(crate) fn real_worker_command(redis: &TestRedis, folder: &Path) -> Command {
    plugin_folder(folder);
    worker_command(redis, folder)
}

pub(crate) async fn real_worker(redis: &TestRedis, folder: &Path) -> Process {
    Process::start_until(&mut real_worker_command(redis, folder), "ready: ").await
}

/// Answers like the plugins, from a script, after a while.
struct Script {
    takes: Duration,
    offered: watch::Sender<Vec<OfferedPlugin>>,
}

impl TaskHandler for Script {
    async fn handle(&self, lease: &Lease, cancelled: CancellationToken) -> Handled {
        if cancelled.run_until_cancelled(tokio::time::sleep(self.takes)).await.is_none() {
            let result = TaskResult::failure(FailureCode::Cancelled, "cancelled");
            return Handled::new(result, Finish::Cancelled);
        }
        let query = lease.task.params.get("query").and_then(Value::as_str).unwrap_or_default();
        let result = match lease.task.task_type.as_str() {
            "search_creator" => {
                // More than one page holds, if many are asked for.
                let creators: Vec<Value> = match query {
                    "many" => (1..=11).map(|number| creator(&format!("Number {number}"))).collect(),
                    _ => vec![creator(&format!("The {query}"))],
                };
                TaskResult::success(json!({"exact_match": true, "creators": creators}))
            }
            "load_content" => TaskResult::success(json!({"content_directory": {
                "items": [{"id": "1", "title": "An item", "url": "https://m.example/1"}],
                "total_items": 1, "has_more": false,
            }})),
            _ => TaskResult::failure(FailureCode::PluginFailed, "not in the script"),
        };
        Handled::new(result, Finish::Done)
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }
}

fn creator(name: &str) -> Value {
    json!({"name": name, "url": format!("https://c.example/{name}"), "item_count": 12})
}

/// A scripted worker; ends with the test.
pub(crate) struct Scripted {
    _stop: DropGuard,
}

/// Starts a scripted worker whose answers take `takes`.
pub(crate) async fn scripted_worker(redis: &TestRedis, takes: Duration) -> Scripted {
    start_scripted(redis, takes, Vec::new()).await
}

/// Starts a scripted worker that offers chat commands.
pub(crate) async fn scripted_worker_with(redis: &TestRedis, commands: &Value) -> Scripted {
    let commands = serde_json::from_value(commands.clone()).unwrap();
    start_scripted(redis, Duration::ZERO, commands).await
}

async fn start_scripted(redis: &TestRedis, takes: Duration, commands: Vec<Value>) -> Scripted {
    let queue = queue_on(redis).await;
    let types = ["search_creator", "load_content", "get_random_creator"];
    let plugin = OfferedPlugin {
        name: "script".to_owned(),
        version: "1.0.0".to_owned(),
        digest: String::new(),
        task_types: types.iter().map(|name| name.parse().unwrap()).collect(),
        commands,
    };
    let handler = Arc::new(Script { takes, offered: watch::Sender::new(vec![plugin]) });
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let registry = DistributedWorkerRegistry::new(queue);
        registry.process_tasks(handler, "script", 32, Duration::ZERO, stopped).await;
    });
    Scripted { _stop: stop.drop_guard() }
}

pub(crate) async fn queue_on(redis: &TestRedis) -> TaskQueue {
    TaskQueue::connect(&redis.url(), QueueConfig::default()).await.unwrap()
}
