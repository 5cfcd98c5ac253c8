//! The dashboard: the real coordinator, a real Redis, and a real browser.

mod browser;
mod http;
mod plugins;
mod task;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use queue::history::HistorySettings;
use queue::{
    DistributedWorkerRegistry, FailureCode, Finish, Handled, Lease, OfferedPlugin, QueueConfig,
    Task, TaskHandler, TaskQueue, TaskResult, TaskType,
};
use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Map, Value, json};
use test_kit::{Process, TestRedis, eventually};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Telegram, coordinator_command, free_address};

const ADMIN: &str = "an-admin-token-of-many-letters";
const READ: &str = "a-read-token-of-many-letters";
/// Largest first load of a page, with its style, script and icon.
const FIRST_LOAD: usize = 60 << 10;
const PAGES: &[&str] =
    &["/", "/tasks", "/finished", "/types", "/dead", "/workers", "/plugins", "/chats", "/audit"];
/// Params, results and names that would be code if they were not escaped.
const HOSTILE: &str = "<script>document.title='taken'</script>\"'><img src=x onerror=alert(1)>";

/// A coordinator with a dashboard.
struct Dashboard {
    base: String,
    address: String,
    http: reqwest::Client,
    queue: TaskQueue,
    redis: TestRedis,
    process: Process,
    _telegram: Telegram,
}

impl Dashboard {
    async fn start(with_tokens: bool) -> Self {
        let redis = TestRedis::start();
        let queue = queue_with_history(&redis).await;
        Self::start_with(redis, queue, with_tokens, &[]).await
    }

    /// As the shipped user of the coordinator, with that user's rights alone. The test itself may do everything.
    async fn start_with_shipped_rights() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = std::fs::read_to_string(test_kit::root().join("docs/redis.acl")).unwrap();
        let acl = folder.path().join("redis.acl");
        std::fs::write(&acl, format!("{shipped}user test on >test ~* &* +@all\n")).unwrap();
        let redis = TestRedis::start_secured(&acl);
        let redis_ca = Some(std::fs::read(redis.ca()).unwrap());
        let config = QueueConfig { redis_ca, ..QueueConfig::default() };
        let queue = TaskQueue::connect(&redis.secured_url("test", "test"), config).await.unwrap();
        let url = redis.secured_url("coordinator", "change-me-coordinator");
        let ca = redis.ca().display().to_string();
        Self::start_with(redis, queue, true, &[("REDIS_URL", &url), ("REDIS_CA", &ca)]).await
    }

    async fn start_with(
        redis: TestRedis,
        queue: TaskQueue,
        with_tokens: bool,
        settings: &[(&str, &str)],
    ) -> Self {
        let telegram = Telegram::start().await;
        let address = free_address();
        let mut command = coordinator_command(&redis, &telegram);
        command.env("ADMIN_LISTEN", &address).envs(settings.iter().copied());
        if with_tokens {
            command.env("ADMIN_TOKEN", ADMIN).env("ADMIN_READ_TOKEN", READ);
        }
        let process = Process::start_until(&mut command, "coordinator ready").await;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            base: format!("http://{address}"),
            address,
            http: http.build().unwrap(),
            queue,
            redis,
            process,
            _telegram: telegram,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn page(&self, path: &str, cookie: &str) -> String {
        let response = self.http.get(self.url(path)).header(COOKIE, cookie).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }

    async fn post(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let request = self.http.post(self.url(path)).header(COOKIE, cookie).form(fields);
        request.send().await.unwrap()
    }

    /// Logs in and returns the cookie.
    async fn log_in(&self, token: &str) -> String {
        let response = self.post("/login", "", &[("name", "Ada"), ("token", token)]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn csrf(&self, cookie: &str) -> String {
        // Figures may be two seconds old, and without a type there is no form.
        eventually("a form", async || {
            let page = self.page("/types", cookie).await;
            let (_, rest) = page.split_once("name=\"csrf\" value=\"")?;
            rest.split('"').next().map(str::to_owned)
        })
        .await
    }

    /// Changes a setting of its Redis.
    async fn set_redis(&self, name: &str, value: &str) {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg(name).arg(value);
        set.query_async::<()>(&mut self.queue.connection()).await.unwrap();
    }

    /// Makes dead letters of tasks with a param.
    async fn dead_letters(&self, count: usize, code: FailureCode, why: &str) {
        let kind = search();
        for n in 0..count {
            let params = Map::from_iter([("query".to_owned(), format!("{HOSTILE} {n}").into())]);
            self.queue.submit_task(&Task::new(kind.clone(), 7, params)).await.unwrap();
            let lease =
                self.queue.claim(std::slice::from_ref(&kind), "w", 1).await.unwrap().remove(0);
            let failed = of_plugin(TaskResult::failure(code, why));
            self.queue.store_result(lease, Finish::Failed, failed).await.unwrap();
        }
    }

    /// Asks a question of a running worker, and waits for its end. Those that begin with `fail` do.
    async fn asks(&self, query: &str) {
        let params = Map::from_iter([("query".to_owned(), query.into())]);
        let task = Task::new(search(), 7, params);
        self.queue.submit_task(&task).await.unwrap();
        let result = self.queue.get_result(&task.task_id, Duration::from_secs(20)).await.unwrap();
        assert!(result.is_some(), "{query} was not answered");
    }

    /// A worker that writes the history; it ends with the guard.
    fn worker(&self) -> DropGuard {
        worker_of(&self.queue)
    }

    async fn waiting_task(&self) -> Task {
        let params = Map::from_iter([("query".to_owned(), HOSTILE.into())]);
        let task = Task::new(search(), 7, params);
        self.queue.submit_task(&task).await.unwrap();
        task
    }
}

/// As [`Dashboard::worker`].
fn worker_of(queue: &TaskQueue) -> DropGuard {
    let plugin = OfferedPlugin {
        name: "search".to_owned(),
        version: "1.2.3".to_owned(),
        digest: String::new(),
        task_types: vec![search()],
        commands: Vec::new(),
    };
    let handler = Arc::new(Plugin { offered: watch::Sender::new(vec![plugin]) });
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        registry.process_tasks(handler, WORKER, 4, Duration::ZERO, stopped).await;
    });
    stop.drop_guard()
}

/// The name of [`Dashboard::worker`].
const WORKER: &str = "worker-alive";

/// Answers every question, except those that are to fail.
struct Plugin {
    offered: watch::Sender<Vec<OfferedPlugin>>,
}

impl TaskHandler for Plugin {
    async fn handle(&self, lease: &Lease, _cancelled: CancellationToken) -> Handled {
        let query = lease.task.params.get("query").and_then(Value::as_str).unwrap_or_default();
        let (result, finish) = if query.starts_with("fail") {
            let failed = TaskResult::failure(FailureCode::PluginFailed, "the forum answers 429");
            (failed, Finish::Failed)
        } else {
            (TaskResult::success(json!({"creators": []})), Finish::Done)
        };
        let log = Some(format!("info: asked for {query}\nwarn: {HOSTILE}"));
        Handled { result: of_plugin(result), finish, log }
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }
}

fn of_plugin(mut result: TaskResult) -> TaskResult {
    result.metadata.insert("plugin".to_owned(), "search".into());
    result.metadata.insert("plugin_version".to_owned(), "1.2.3".into());
    result
}

fn search() -> TaskType {
    "search_creator".parse().unwrap()
}

/// A queue that writes the history, as a worker does.
async fn queue_with_history(redis: &TestRedis) -> TaskQueue {
    queue_with(redis, HistorySettings::default()).await
}

async fn queue_with(redis: &TestRedis, history: HistorySettings) -> TaskQueue {
    let history = Some(history);
    let config = QueueConfig { history, ..QueueConfig::default() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    tokio::spawn(queue::history::write_until(queue.clone(), CancellationToken::new()));
    queue
}
