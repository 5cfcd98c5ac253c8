//! The running system, under load, and the ways to break and mend it.

mod admin;
mod broken;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;
use services::{Answer, Server};
use tempfile::TempDir;

use self::admin::Admin;
use super::overview::Overview;
use crate::command::run;
use crate::load::Load;
use crate::redis::Connection;
use crate::stop::Stop;
use crate::system::{Place, System};

pub(super) use broken::{half_of, search_that_traps};

/// As many as there are workers; a worker's files lie in a folder of its name.
const WORKERS: [&str; 3] = ["worker-1", "worker-2", "worker-3"];
/// What the system looks at, in a second instead of in ten.
const LOOK_SECONDS: &str = "1";
/// A task that waits for longer is too old. As by default, longer than a silent worker counts as running: else its type is called
/// late before it is called without a worker.
const OLDEST_SECONDS: &str = "20";

/// Everything that runs; dropping it ends it all.
#[derive(Debug)]
pub(super) struct Stage {
    // Dropped in this order: who asks, what answers, and its folders.
    _load: Load,
    system: System,
    admin: Admin,
    coordinator: PathBuf,
    dashboard: String,
    forum: Forum,
    plugins: TempDir,
    stop: Stop,
}

impl Stage {
    /// Starts a coordinator with a dashboard, three workers with plugins of their own, a forum, and people who ask.
    pub(super) fn start(root: &Path, people: u16, stop: &Stop) -> anyhow::Result<Self> {
        let plugins = tempfile::tempdir().context("creating a folder for plugins")?;
        for worker in WORKERS {
            test_kit::copy_shipped_plugins(&plugins.path().join(worker))
                .context("copying the plugins")?;
        }
        let forum = Forum::start();
        let place = Place::built(root);
        let coordinator = place.programs.join("coordinator");
        let mut system = System::start(place, true, stop)?;
        let simulator = system.simulator().context("it was just started")?.to_owned();
        let admin = Admin::write(&simulator, stop)?;
        for worker in WORKERS {
            start_worker(&mut system, worker, plugins.path(), &forum)?;
        }
        let dashboard = format!("127.0.0.1:{}", test_kit::free_port());
        let settings = [
            ("ADMIN_LISTEN", dashboard.as_str()),
            ("ADMIN_IDS", admin::ID_TEXT),
            ("ALERT_LOOK_SECONDS", LOOK_SECONDS),
            ("ALERT_OLDEST_SECONDS", OLDEST_SECONDS),
            ("FOREIGN_WEBHOOK", "leave"),
        ];
        system.start_coordinator(None, &settings)?;
        let load = Load::start(&simulator, people, stop)?;
        let dashboard = format!("http://{dashboard}");
        let stop = stop.clone();
        Ok(Self { _load: load, system, admin, coordinator, dashboard, forum, plugins, stop })
    }

    /// The dashboard's address.
    pub(super) fn dashboard(&self) -> &str {
        &self.dashboard
    }

    /// The end of each program's log.
    pub(super) fn logs(&self) -> String {
        self.system.logs()
    }

    /// Waits until the administrator was told something with these parts.
    pub(super) fn admin_is_told(&mut self, parts: &[&str]) -> anyhow::Result<()> {
        self.admin.is_told(parts)
    }

    /// The administrator presses a button of the last message that [`Stage::admin_is_told`] found.
    pub(super) fn admin_presses(&self, label: &str) -> anyhow::Result<()> {
        self.admin.presses(label)
    }

    /// A picture of the administrator's chat.
    pub(super) fn picture_of_chat(&self, overview: &Overview) -> anyhow::Result<()> {
        let simulator = self.system.simulator().context("the simulator was started")?;
        overview.picture_of(&format!("{simulator}/?chat={}", admin::ID_TEXT), "messages")
    }

    /// Kills the last worker.
    pub(super) fn kill_one_worker(&mut self) {
        let [.., last] = WORKERS;
        self.system.kill(last);
    }

    /// Starts it again.
    pub(super) fn start_one_worker(&mut self) -> anyhow::Result<()> {
        let [.., last] = WORKERS;
        start_worker(&mut self.system, last, self.plugins.path(), &self.forum)
    }

    /// Kills every worker.
    pub(super) fn kill_all_workers(&mut self) {
        WORKERS.iter().for_each(|worker| self.system.kill(worker));
    }

    /// Starts every worker again.
    pub(super) fn start_all_workers(&mut self) -> anyhow::Result<()> {
        for worker in WORKERS {
            start_worker(&mut self.system, worker, self.plugins.path(), &self.forum)?;
        }
        Ok(())
    }

    /// The search plugin's file.
    pub(super) fn search(&self) -> anyhow::Result<Vec<u8>> {
        let [first, ..] = WORKERS;
        fs::read(self.plugins.path().join(first).join("search.wasm")).context("reading a plugin")
    }

    /// Puts a file into each worker's folder in place of the search plugin, as an operator does.
    pub(super) fn drop_in(&self, component: &[u8]) -> anyhow::Result<()> {
        for worker in WORKERS {
            let folder = self.plugins.path().join(worker);
            let next = folder.join("search.next");
            fs::write(&next, component).context("writing a plugin")?;
            fs::rename(next, folder.join("search.wasm")).context("replacing a plugin")?;
        }
        Ok(())
    }

    /// From now on the forum answers 429, or answers again.
    pub(super) fn set_forum_busy(&self, is_busy: bool) {
        self.forum.is_busy.store(is_busy, Ordering::Relaxed);
    }

    /// From now on Redis has no memory for writes, or has it again.
    pub(super) fn set_redis_full(&self, is_full: bool) -> anyhow::Result<()> {
        let redis = self.system.redis().context("REDIS_URL is set; unset it for this test")?;
        let bytes = if is_full { "1" } else { "0" };
        let answer = Connection::open(redis.port())?.ask(&["CONFIG", "SET", "maxmemory", bytes])?;
        ensure!(answer == "OK", "Redis answers `{answer}`");
        Ok(())
    }

    /// Somebody else sets a webhook for the bot, or takes it away.
    pub(super) fn set_foreign_webhook(&self, is_set: bool) -> anyhow::Result<()> {
        let simulator = self.system.simulator().context("the simulator was started")?;
        let (method, params) = if is_set {
            ("setWebhook", json!({"url": "https://other.example/hook"}))
        } else {
            ("deleteWebhook", json!({}))
        };
        let address = format!("{simulator}/bot{}/{method}", crate::system::SIMULATED_TOKEN);
        ureq::post(&address).send_json(params).with_context(|| format!("calling {method}"))?;
        Ok(())
    }

    /// `coordinator queue …`
    pub(super) fn queue(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let redis = self.system.redis().context("REDIS_URL is set; unset it for this test")?;
        let mut command = Command::new(&self.coordinator);
        run(command.env("REDIS_URL", redis.url()).arg("queue").args(arguments))
    }

    /// Lets time pass.
    pub(super) fn pause(&self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            ensure!(!self.stop.requested(), "interrupted");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

fn start_worker(
    system: &mut System,
    worker: &'static str,
    plugins: &Path,
    forum: &Forum,
) -> anyhow::Result<()> {
    let settings = [("EXTENDED_SEARCH_URL", forum.server.address())];
    system.start_worker_with(worker, &plugins.join(worker), &settings)
}

/// A forum that the extended search asks.
#[derive(Debug)]
struct Forum {
    server: Server,
    is_busy: Arc<AtomicBool>,
}

impl Forum {
    fn start() -> Self {
        let is_busy = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&is_busy);
        let topics = json!({
            "topics": [{"id": 5, "title": "Luna, a thread", "slug": "luna", "posts_count": 4}],
            "posts": [{"topic_id": 5, "blurb": "so they say"}],
        });
        let server = Server::start(move |_| {
            if busy.load(Ordering::Relaxed) {
                return Answer::new(429, "");
            }
            Answer::new(200, &topics.to_string()).with("content-type", "application/json")
        });
        Self { server, is_busy }
    }
}
