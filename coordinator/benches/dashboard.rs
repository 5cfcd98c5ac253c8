//! How long the dashboard's pages take with 1,000,000 tasks waiting and 100,000 finished. Run it with `cargo xtask bench dashboard`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    reason = "a bench prints figures and stops at the first surprise"
)]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use queue::history::{HistorySettings, Texts};
use queue::{
    DistributedWorkerRegistry, Finish, Handled, Lease, OfferedPlugin, QueueConfig, SubmitOptions,
    Task, TaskHandler, TaskQueue, TaskResult, TaskType,
};
use serde_json::{Map, json};
use test_kit::{Process, TestRedis, record_figure};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const FINISHED: usize = 100_000;
const WAITING: usize = 1_000_000;
const SUBMIT_AT_ONCE: usize = 1_000;
/// Each person has asked this many times.
const PER_PERSON: usize = 4;
const AT_ONCE: usize = 64;
const OPENED: usize = 21;
const ADDRESS: &str = "127.0.0.1:7397";
/// Nobody listens there: a coordinator serves its pages without Telegram too.
const NO_TELEGRAM: &str = "http://127.0.0.1:9";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
    test_kit::write_figures();
}

async fn measure() {
    let redis = TestRedis::start();
    let history = Some(HistorySettings { texts: Texts::Short, ..HistorySettings::default() });
    let config = QueueConfig {
        history,
        user_cap: 10_000_000,
        max_pending: 10_000_000,
        time_to_live: Duration::from_secs(3_600),
        ..QueueConfig::default()
    };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    submit(&queue, FINISHED).await;
    drain(&queue).await;
    submit(&queue, WAITING).await;
    let waiting = queue.queue_size(&kind()).await.unwrap();
    let finished = queue.history().count().await.unwrap();
    println!("{waiting} tasks wait, {finished} have finished; each page opened {OPENED} times:");
    record_figure("waiting tasks", waiting as f64, "");
    record_figure("finished tasks", finished as f64, "");
    let task = queue.list(&kind(), 100).await.unwrap().pop().unwrap().task_id;

    let mut coordinator = Command::new(env!("CARGO_BIN_EXE_coordinator"));
    coordinator
        .env("TELEGRAM_BOT_TOKEN", "1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
        .env("TELEGRAM_API_URL", NO_TELEGRAM)
        .env("REDIS_URL", redis.url())
        .env("ADMIN_LISTEN", ADDRESS)
        .env_remove("LISTEN")
        .env_remove("RUST_LOG");
    let _coordinator = Process::start_until(&mut coordinator, "serving the dashboard").await;
    let http = reqwest::Client::new();
    let person = FINISHED / PER_PERSON / 2;
    let task = task.to_string().replace('{', "%7B").replace('}', "%7D");
    let pages = [
        ("the overview", "/".to_owned()),
        ("waiting tasks of a type", format!("/tasks?type={}", kind())),
        ("waiting tasks of a type and a person", format!("/tasks?type={}&user={person}", kind())),
        ("a waiting task", format!("/task?id={task}")),
        ("the newest finished tasks", "/finished".to_owned()),
        ("finished tasks of a person", format!("/finished?user={person}")),
        ("types", "/types".to_owned()),
        ("dead letters", "/dead".to_owned()),
        ("workers", "/workers".to_owned()),
        ("plugins", "/plugins".to_owned()),
        ("chats", "/chats".to_owned()),
        ("changes", "/audit".to_owned()),
    ];
    for (name, path) in pages {
        let mut times = Vec::with_capacity(OPENED);
        let mut bytes = 0;
        for _ in 0..OPENED {
            let started = Instant::now();
            let page = http.get(format!("http://{ADDRESS}{path}")).send().await.unwrap();
            bytes = page.error_for_status().unwrap().bytes().await.unwrap().len();
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let median = times[OPENED / 2];
        let most = times[OPENED - 1];
        record_figure(&format!("{name}: median"), median, "ms");
        record_figure("most", most, "ms");
        println!("  {name}: median {median:.1} ms, most {most:.1} ms, {bytes} bytes");
    }
}

fn kind() -> TaskType {
    "bench".parse().unwrap()
}

async fn submit(queue: &TaskQueue, count: usize) {
    let params = Map::from_iter([("query".to_owned(), json!("luna marlow"))]);
    for first in (0..count).step_by(SUBMIT_AT_ONCE) {
        let tasks: Vec<_> = (first..count.min(first + SUBMIT_AT_ONCE))
            .map(|number| Task::new(kind(), (number / PER_PERSON) as i64, params.clone()))
            .map(|task| (task, SubmitOptions::default()))
            .collect();
        queue.submit_tasks(&tasks).await.unwrap();
    }
}

/// Answers what waits, and writes it to the history.
async fn drain(queue: &TaskQueue) {
    let plugin = OfferedPlugin {
        name: "bench".to_owned(),
        version: "1".to_owned(),
        digest: String::new(),
        task_types: vec![kind()],
        commands: Vec::new(),
    };
    let handler = Arc::new(NoOp(watch::Sender::new(vec![plugin])));
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let running = tokio::spawn(async move {
        registry.process_tasks(handler, "bench", AT_ONCE, Duration::ZERO, stopping).await;
    });
    while queue.queue_size(&kind()).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    running.await.unwrap();
}

/// A worker's plugin that does nothing.
struct NoOp(watch::Sender<Vec<OfferedPlugin>>);

impl TaskHandler for NoOp {
    async fn handle(&self, _: &Lease, _: CancellationToken) -> Handled {
        Handled::new(TaskResult::success(json!({"creators": []})), Finish::Done)
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.0.subscribe()
    }
}
