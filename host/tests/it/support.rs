//! A worker process on a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use queue::{QueueConfig, Task, TaskQueue, TaskResult};
use serde_json::Value;
use test_redis::TestRedis;

const PATIENCE: Duration = Duration::from_secs(40);

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A built component: `search`, `content`, `probe`, or a marked twin such as `marked/search`.
pub(crate) fn component(name: &str) -> PathBuf {
    let shipped = root().join("plugins").join(format!("{name}.wasm"));
    // Next to the worker's binary, wherever the target directory is.
    let target = Path::new(env!("CARGO_BIN_EXE_worker")).parent().unwrap().parent().unwrap();
    let guest = target.join("guests").join(format!("{name}.wasm"));
    let found = [shipped, guest].into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no component `{name}`: run `cargo xtask build-plugins` and `cargo xtask build-plugins --marked`")
    })
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
            let settings = root().join("plugins").join(format!("{name}.toml"));
            if settings.is_file() {
                std::fs::copy(settings, folder.path().join(format!("{name}.toml"))).unwrap();
            } else {
                // The probe can send requests, so it takes the grant, empty as it is.
                folder.settings(name, "[grants]\nnet = []\n");
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

    pub(crate) fn settings(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(format!("{name}.toml")), text).unwrap();
    }
}

/// A running `worker`. Killed when dropped.
pub(crate) struct Worker {
    process: Child,
    log: Arc<Mutex<String>>,
}

impl Worker {
    /// Starts a worker and waits until it is ready.
    pub(crate) fn start(redis: &TestRedis, folder: &Folder) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_worker"))
            .arg("--plugins")
            .arg(folder.path())
            .args(["--redis-url", &redis.url(), "--drain-seconds", "5"])
            .env_remove("RUST_LOG")
            .env_remove("SUPABASE_URL")
            .env_remove("EXTENDED_SEARCH_URL")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, collected) = (process.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let mut log = collected.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let worker = Self { process, log };
        assert!(ready.starts_with("ready: "), "the worker is not ready: {ready}{}", worker.log());
        worker
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends it as a supervisor would; gives its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }

    pub(crate) fn alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits until the log has a line with all `parts`.
    pub(crate) async fn says(&self, parts: &[&str]) {
        eventually(&format!("a log line with {parts:?}"), async || {
            let log = self.log();
            log.lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
        })
        .await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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

/// Waits until `condition` gives something.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let until = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < until {
        if let Some(found) = condition().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("{what} did not happen within {PATIENCE:?}")
}
