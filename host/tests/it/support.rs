//! A worker process with its own folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use queue::{QueueConfig, Task, TaskQueue, TaskResult};
use serde_json::Value;
use test_kit::{PATIENCE, TestRedis, root};

pub(crate) use test_kit::{Process, eventually};

/// A built component; see [`test_kit::component`].
pub(crate) fn component(name: &str) -> PathBuf {
    test_kit::component(env!("CARGO_BIN_EXE_worker"), name)
}

/// A component that was built once, for a contract that was released.
pub(crate) fn fixture(name: &str) -> PathBuf {
    root().join("host/tests/fixtures").join(name)
}

/// A folder with plugins, for one worker.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// Holds the named components, with the shipped settings and data where there are any.
    pub(crate) fn with(names: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("data")).unwrap();
        for file in ["creators.csv", "content.csv"] {
            std::fs::copy(
                root().join("plugins/data").join(file),
                folder.path().join("data").join(file),
            )
            .unwrap();
        }
        for name in names {
            folder.put(name, &std::fs::read(component(name)).unwrap());
            let settings = ["plugins", "plugins/examples"]
                .map(|folder| root().join(folder).join(format!("{name}.toml")));
            match settings.iter().find(|settings| settings.is_file()) {
                Some(settings) => {
                    std::fs::copy(settings, folder.path().join(format!("{name}.toml"))).unwrap();
                }
                // The probe imports HTTP, so it needs the grant, even an empty one.
                None => folder.settings(name, "[grants]\nnet = []\n"),
            }
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a component in place as an operator would: written beside, then renamed.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let beside = self.path().join(format!(".{name}.part"));
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(beside, self.path().join(format!("{name}.wasm"))).unwrap();
    }

    /// Adds a creator to the catalogue.
    pub(crate) fn add_creator(&self, name: &str) {
        let catalogue = self.path().join("data/creators.csv");
        let mut text = std::fs::read_to_string(&catalogue).unwrap();
        text.push_str(&format!("{name},https://creators.example/{},,1\n", name.replace(' ', "-")));
        std::fs::write(catalogue, text).unwrap();
    }

    pub(crate) fn settings(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(format!("{name}.toml")), text).unwrap();
    }
}

/// Starts a worker and waits until it is ready.
pub(crate) async fn start_worker(redis: &TestRedis, folder: &Folder) -> Process {
    start_worker_with(redis, folder, &[]).await
}

/// Starts a worker with variables in its environment.
pub(crate) async fn start_worker_with(
    redis: &TestRedis,
    folder: &Folder,
    environment: &[(&str, &str)],
) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command
        .arg("--plugins")
        .arg(folder.path())
        .args(["--redis-url", &redis.url(), "--drain-seconds", "5"])
        .env_remove("RUST_LOG")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env("PLUGIN_CACHE", folder.path().join("cache"))
        .env_remove("SUPABASE_URL")
        .env_remove("EXTENDED_SEARCH_URL")
        .envs(environment.iter().copied());
    Process::start_until(&mut command, "ready: ").await
}

/// Redis and a queue on it.
pub(crate) async fn redis() -> (TestRedis, TaskQueue) {
    let redis = TestRedis::start();
    let config = QueueConfig { user_cap: 10_000, ..QueueConfig::default() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    (redis, queue)
}

pub(crate) fn task(task_type: &str, params: &Value) -> Task {
    let params = params.as_object().unwrap().clone();
    Task::new(task_type.parse().unwrap(), 7, params)
}

/// Submits a task and waits for its result.
pub(crate) async fn run(queue: &TaskQueue, task_type: &str, params: Value) -> TaskResult {
    let task = task(task_type, &params);
    queue.submit_task(&task).await.unwrap();
    let result = queue.get_result(&task.task_id, PATIENCE).await.unwrap();
    result.unwrap_or_else(|| panic!("no result for {task_type} {params}"))
}

/// `worker plugins …` with the worker's folder of archived versions.
pub(crate) fn plugins(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg("plugins").args(arguments).env_remove("RUST_LOG").env("PLUGINS", folder.path());
    command.env_remove("EXTENDED_SEARCH_URL").env_remove("SUPABASE_URL");
    command.env("PLUGIN_CACHE", folder.path().join("cache")).output().unwrap()
}

/// What a program wrote to standard output and standard error.
pub(crate) fn said(output: &Output) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The metrics of a worker that was started with `LISTEN=127.0.0.1:0`.
pub(crate) async fn metrics(worker: &Process) -> String {
    let log = worker.log();
    let (_, address) = log.split_once("serving health and metrics address=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    answer.text().await.unwrap()
}
