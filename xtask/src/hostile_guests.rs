//! `cargo xtask hostile-guests`: what hostile guests do to a worker, as a table in docs/security.md.
//!
//! The guests and how each must end come from `host/tests/guests/hostile`. This measures their cost with a real worker, a
//! real Redis, and a bystander: a task whose lease must be renewed all the time.

mod table;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_kit::{Ending, TestRedis, harmless_guest, hostile_guests};

use crate::build_plugins::BuildPlugins;
use crate::command::run;
use crate::paths::target_dir;
use crate::service::{Service, shut_down};
use crate::stop::Stop;
use crate::{redis, toolchain};
use table::Row;

const READY_BOUND: Duration = Duration::from_secs(60);
/// How long to wait for anything that must happen.
const BOUND: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);
/// For how long each guest runs again and again: time for some heartbeats.
const AT_LEAST: Duration = Duration::from_secs(6);
/// After this time the memory of a guest's last task is free again.
const SETTLE: Duration = Duration::from_millis(500);
/// The task type of the bystander, how long it runs, and when the next one starts.
const BYSTANDER: &str = "probe_sleep";
const BYSTANDS: Duration = Duration::from_secs(60);
const NEXT_BYSTANDER: Duration = Duration::from_secs(30);
/// The list onto which any producer may push a task.
const INGRESS: &str = "freefans:tasks:queue";
const UNKNOWN_MEMORY: &str = "the system does not say how much memory the worker takes";
/// With more busy guests than cores, 0.3 s of processor time take a while.
const LIMITS: &str = "[grants]\n[limits]\nwall_ms = 8000\ncpu_ms = 300\nmax_memory_mb = 64\n";

/// Runs hostile guests on a worker and writes the results into docs/security.md.
#[derive(Debug, clap::Args)]
pub(crate) struct HostileGuests {
    /// Run only these guests, and do not write the table.
    names: Vec<String>,
}

/// A guest and how it must end.
struct Guest {
    name: String,
    what: String,
    task_type: String,
    /// None for a damaged file, which may be refused or harmless.
    ending: Option<Ending>,
    /// The content of its file for the next run.
    wasm: Box<dyn FnMut() -> Vec<u8>>,
}

impl HostileGuests {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        redis::ensure_installed()?;
        BuildPlugins::for_tests().run(root)?;
        let mut cargo = toolchain::clean_cargo(root);
        run(cargo.args(["build", "--locked", "--package", "host", "--bins"]))?;
        let mut guests = guests(root)?;
        if !self.names.is_empty() {
            guests.retain(|guest| self.names.contains(&guest.name));
            ensure!(!guests.is_empty(), "there is no such guest in host/tests/guests/hostile");
        }
        let stop = Stop::on_signals()?;
        let mut bed = TestBed::start(root, &stop)?;
        let mut rows = Vec::new();
        for guest in &mut guests {
            ensure!(!stop.requested(), "interrupted");
            let row = bed.run_guest(guest).with_context(|| bed.worker.tail())?;
            println!("{}", row.in_brief());
            rows.push(row);
        }
        let broken: Vec<String> = rows.iter().flat_map(Row::broken).collect();
        shut_down(vec![bed.worker, bed.monitor], Duration::from_secs(10));
        ensure!(
            broken.is_empty(),
            "{} promises were broken:\n  {}",
            broken.len(),
            broken.join("\n  ")
        );
        if self.names.is_empty() {
            table::write(root, &rows)?;
        }
        println!("every guest ended as it must");
        Ok(())
    }
}

/// The guests of the suite, and damaged files of a real plugin.
fn guests(root: &Path) -> anyhow::Result<Vec<Guest>> {
    let mut guests: Vec<Guest> = hostile_guests()
        .into_iter()
        .map(|guest| Guest {
            name: guest.name,
            what: guest.what,
            task_type: guest.task_type,
            ending: Some(guest.ending),
            wasm: Box::new(move || guest.wasm.clone()),
        })
        .collect();
    let whole = std::fs::read(root.join("plugins/search.wasm")).context("reading search.wasm")?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default().to_vec();
    guests.push(Guest {
        name: "half-a-file".to_owned(),
        what: "The first half of `search.wasm`.".to_owned(),
        task_type: String::new(),
        ending: Some(Ending::Refused("plugin-invalid".to_owned())),
        wasm: Box::new(move || half.clone()),
    });
    let whole = harmless_guest();
    let mut place = 0;
    guests.push(Guest {
        name: "flipped-bit".to_owned(),
        what: "A file that means no harm, with one bit flipped, each time another one.".to_owned(),
        task_type: "hostile".to_owned(),
        ending: None,
        wasm: Box::new(move || {
            // A prime step reaches all parts of the file.
            place = (place + 1_009) % whole.len();
            let mut flipped = whole.clone();
            if let Some(byte) = flipped.get_mut(place) {
                *byte ^= 1 << (place % 8);
            }
            flipped
        }),
    });
    Ok(guests)
}

/// A worker, its Redis and its plugins.
struct TestBed {
    worker: Service,
    /// Prints every command that Redis receives, with Redis' own time.
    monitor: Service,
    redis: TestRedis,
    plugins: TempDir,
    stop: Stop,
    number: u64,
    bystander_since: Option<Instant>,
    _logs: TempDir,
}

impl TestBed {
    fn start(root: &Path, stop: &Stop) -> anyhow::Result<Self> {
        let logs = tempfile::tempdir().context("creating a folder for logs")?;
        let plugins = plugins(root)?;
        let redis = TestRedis::start();
        let url = redis.url();
        let port = url.rsplit(':').next().context("a port")?;
        let mut command = Command::new("redis-cli");
        command.args(["-p", port, "MONITOR"]);
        let mut monitor = Service::start("monitor", &mut command, logs.path())?;
        monitor.wait_for_line("its first line", READY_BOUND, stop, |line| {
            line.starts_with("OK").then_some(())
        })?;
        let mut command = Command::new(target_dir(root).join("debug").join("worker"));
        command.arg("--plugins").arg(plugins.path()).args(["--redis-url", &url]);
        command.env("PLUGIN_CACHE", "none").env("NO_COLOR", "1").current_dir(plugins.path());
        for variable in ["RUST_LOG", "EXTENDED_SEARCH_URL", "LOG_FORMAT"] {
            command.env_remove(variable);
        }
        let mut worker = Service::start("worker", &mut command, logs.path())?;
        worker.wait_for_line("its `ready:` line", READY_BOUND, stop, |line| {
            line.starts_with("ready:").then_some(())
        })?;
        let stop = stop.clone();
        Ok(Self {
            worker,
            monitor,
            redis,
            plugins,
            stop,
            number: 0,
            bystander_since: None,
            _logs: logs,
        })
    }

    /// Installs a guest, gives it tasks for a while, and removes it.
    fn run_guest(&mut self, guest: &mut Guest) -> anyhow::Result<Row> {
        self.start_next_bystander()?;
        let before_mib = self.rss()?;
        self.worker.forget_peak().context(UNKNOWN_MEMORY)?;
        let began = Instant::now();
        let since = self.monitor.output().len();
        let mut row =
            Row::new(guest.name.clone(), guest.what.clone(), guest.ending.clone(), before_mib);
        // More than the machine has cores.
        let at_once = 2 * std::thread::available_parallelism()?.get() + 2;
        while began.elapsed() < AT_LEAST {
            let refused = self.install(&(guest.wasm)())?;
            let mut tasks = Vec::new();
            if refused.is_none() {
                for _ in 0..at_once {
                    tasks.push(self.push(&guest.task_type, &json!({}))?);
                }
            }
            let next = self.push("search_creator", &json!({"query": "luna"}))?;
            let next = self.result(&next)?;
            row.next_well &= next.get("success") == Some(&Value::Bool(true));
            for task in tasks {
                let result = self.result(&task)?;
                row.ended(ending(&result));
            }
            self.remove(refused.is_none())?;
            if let Some(code) = refused {
                row.ended(format!("refused: {code}"));
            }
        }
        row.most_mib = self.worker.peak_mib().context(UNKNOWN_MEMORY)?;
        std::thread::sleep(SETTLE);
        row.after_mib = self.rss()?;
        row.apart = self.longest_between_heartbeats(since);
        Ok(row)
    }

    /// Installs a file and waits until the worker has checked it; returns the code when it was refused.
    fn install(&mut self, wasm: &[u8]) -> anyhow::Result<Option<String>> {
        let known = self.worker.output().len();
        let part = self.plugins.path().join(".part");
        let place = self.plugins.path().join("hostile.wasm");
        std::fs::write(&part, wasm).and_then(|()| std::fs::rename(&part, &place))?;
        self.worker.wait_until("a look at the guest", BOUND, &self.stop, |worker| {
            let log = worker.output();
            log.get(known..)?.lines().find_map(|line| {
                if line.contains("plugin published") {
                    return Some(None);
                }
                let (_, code) = line.split_once("plugin refused")?.1.split_once("code=\"")?;
                Some(Some(code.split_once('"')?.0.to_owned()))
            })
        })
    }

    /// Removes the file. If it was in force, waits until the worker has noticed.
    fn remove(&mut self, in_force: bool) -> anyhow::Result<()> {
        let known = self.worker.output().len();
        std::fs::remove_file(self.plugins.path().join("hostile.wasm"))?;
        if !in_force {
            return Ok(());
        }
        self.worker.wait_until("its removal", BOUND, &self.stop, |worker| {
            worker.output().get(known..)?.contains("plugin removed").then_some(())
        })
    }

    fn push(&mut self, task_type: &str, params: &Value) -> anyhow::Result<String> {
        self.number += 1;
        let id = format!("{{{task_type}}}{}", self.number);
        // Each has another user, so that no user's limit is reached.
        let task = json!({"task_id": id, "user_id": self.number, "task_type": task_type, "params": params});
        let pushed = self.redis.ask(&["RPUSH", INGRESS, &task.to_string()]);
        ensure!(pushed.parse::<u64>().is_ok(), "the task was not taken: {pushed}");
        Ok(id)
    }

    fn result(&mut self, task: &str) -> anyhow::Result<Value> {
        let until = Instant::now() + BOUND;
        while Instant::now() < until {
            ensure!(!self.stop.requested(), "interrupted");
            ensure!(self.worker.ended().is_none(), "the worker ended");
            let found = self.redis.ask(&["GET", &format!("freefans:tasks:result:{task}")]);
            if !found.is_empty() {
                return serde_json::from_str(&found).context("a result is JSON");
            }
            std::thread::sleep(TICK);
        }
        bail!("no result for {task} within {BOUND:?}")
    }

    fn rss(&self) -> anyhow::Result<f64> {
        self.worker.rss_mib().context(UNKNOWN_MEMORY)
    }

    /// Starts the next bystander in time.
    fn start_next_bystander(&mut self) -> anyhow::Result<()> {
        if self.bystander_since.is_some_and(|at| at.elapsed() < NEXT_BYSTANDER) {
            return Ok(());
        }
        self.bystander_since = Some(Instant::now());
        self.push(BYSTANDER, &json!({"ms": u64::try_from(BYSTANDS.as_millis())?}))?;
        let since = self.monitor.output().len();
        self.monitor.wait_until("a heartbeat", BOUND, &self.stop, |monitor| {
            monitor.output().get(since..)?.lines().find_map(heartbeat)
        })?;
        Ok(())
    }

    /// The longest time between two renewals of the bystander's lease, after the first `since` bytes of the monitor's log.
    fn longest_between_heartbeats(&self, since: usize) -> Option<Duration> {
        let log = self.monitor.output();
        let times: Vec<f64> = log.get(since..)?.lines().filter_map(heartbeat).collect();
        let longest = times.windows(2).map(|pair| match pair {
            [one, next] => next - one,
            _ => 0.0,
        });
        longest.reduce(f64::max).map(Duration::from_secs_f64)
    }
}

/// The time of a renewal of a bystander's lease, if the monitor's line is one: only renewals write with `XX`.
fn heartbeat(line: &str) -> Option<f64> {
    let renewed =
        line.contains(&format!("\"ZADD\" \"freefans:tasks:active:{{{BYSTANDER}}}\" \"XX\""));
    line.split_once(' ').filter(|_| renewed)?.0.parse().ok()
}

/// How a task ended, in the words of [`Ending`].
fn ending(result: &Value) -> String {
    let text = |place: &str| result.pointer(place).and_then(Value::as_str).unwrap_or_default();
    if result.get("success") == Some(&Value::Bool(true)) {
        let limit = text("/metadata/limits/0");
        return if limit.is_empty() { "answers".to_owned() } else { format!("answers: {limit}") };
    }
    format!("fails: {}", text("/metadata/code"))
}

/// A plugin folder with the bystander, the other plugin and the guests' limits.
fn plugins(root: &Path) -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir().context("creating a plugin folder")?;
    std::fs::create_dir(folder.path().join("data"))?;
    for file in ["search.wasm", "search.toml", "data/creators.csv"] {
        std::fs::copy(root.join("plugins").join(file), folder.path().join(file))
            .with_context(|| format!("copying {file}"))?;
    }
    let probe = target_dir(root).join("guests").join("probe.wasm");
    std::fs::copy(probe, folder.path().join("probe.wasm")).context("copying the probe")?;
    let patient = "[grants]\nnet = []\n[limits]\nwall_ms = 120000\n";
    std::fs::write(folder.path().join("probe.toml"), patient)?;
    std::fs::write(folder.path().join("hostile.toml"), LIMITS)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_told_from_all_else_that_redis_hears() {
        let line = |command: &str| format!("1700000000.250000 [0 lua] {command}");
        let renewal =
            line(r#""ZADD" "freefans:tasks:active:{probe_sleep}" "XX" "1" "{probe_sleep}1""#);
        assert_eq!(heartbeat(&renewal), Some(1_700_000_000.25));
        let claim = line(r#""ZADD" "freefans:tasks:active:{probe_sleep}" "1" "{probe_sleep}1""#);
        assert_eq!(heartbeat(&claim), None);
        assert_eq!(heartbeat("OK"), None);
    }
}
