//! The fleet: a push reaches every worker that should run the plugin, and nothing that goes wrong costs a plugin that runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use queue::TaskQueue;
use queue::fleet::{Fleet, Record};
use serde_json::{Value, json};
use test_kit::TestRedis;

use crate::support::{
    Folder, Process, component, eventually, metrics, redis, run, said, start_worker_with,
};

/// A component is stored in parts of this size.
const PART_BYTES: usize = 256 << 10;
pub(crate) const GRANTS: &str = "[grants]\nnet = []\n";

/// A folder whose operator grants the probe what it imports, and has no plugin of his own.
pub(crate) fn granting() -> Folder {
    let folder = Folder::with(&[]);
    folder.settings("probe", GRANTS);
    folder
}

pub(crate) async fn start(redis: &TestRedis, folder: &Folder, labels: &str) -> Process {
    let mut environment = vec![("FLEET", "true"), ("LISTEN", "127.0.0.1:0")];
    if !labels.is_empty() {
        environment.push(("LABELS", labels));
    }
    start_worker_with(redis, folder, &environment).await
}

/// `worker fleet …`.
pub(crate) fn fleet(redis: &TestRedis, arguments: &[&str]) -> Output {
    command(redis, "fleet", arguments).output().unwrap()
}

pub(crate) fn command(redis: &TestRedis, group: &str, arguments: &[&str]) -> Command {
    command_at(&redis.url(), group, arguments)
}

fn command_at(url: &str, group: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg(group).args(arguments).env_remove("RUST_LOG").env("REDIS_URL", url);
    command.env("USER", "ann");
    // One for all tests, so that each component is compiled once.
    command.env("PLUGIN_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/fleet-cache"));
    command
}

#[track_caller]
pub(crate) fn done(output: &Output) -> String {
    let text = said(output);
    assert!(output.status.success(), "{text}");
    text
}

#[track_caller]
pub(crate) fn refused(output: &Output) -> String {
    let text = said(output);
    assert!(!output.status.success(), "{text}");
    text
}

/// A file to push as the plugin `probe`, and its settings.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        std::fs::write(files.settings(), GRANTS).unwrap();
        files
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.0.path().join("settings.toml")
    }

    /// The arguments that push the component `of` as `probe`.
    pub(crate) fn push(&self, bytes: &[u8], more: &[&str]) -> Vec<String> {
        let file = self.0.path().join("probe.wasm");
        std::fs::write(&file, bytes).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let fixed =
            ["push".to_owned(), text(&file), "--settings".to_owned(), text(&self.settings())];
        fixed.into_iter().chain(more.iter().map(|&more| more.to_owned())).collect()
    }
}

pub(crate) fn built(name: &str) -> Vec<u8> {
    std::fs::read(component(name)).unwrap()
}

pub(crate) fn push(redis: &TestRedis, files: &Files, bytes: &[u8], more: &[&str]) -> Output {
    let arguments = files.push(bytes, more);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    fleet(redis, &arguments)
}

/// Pushes and waits until all workers run it.
#[track_caller]
pub(crate) fn pushed(redis: &TestRedis, files: &Files, name: &str, more: &[&str]) -> String {
    let more: Vec<&str> = more.iter().copied().chain(["--wait", "60"]).collect();
    done(&push(redis, files, &built(name), &more))
}

pub(crate) async fn version(queue: &TaskQueue) -> String {
    let result = run(queue, "probe_echo", json!({})).await;
    assert!(result.success, "{result:?}");
    result.data["version"].as_str().unwrap().to_owned()
}

/// What the fleet's state says of the probe.
pub(crate) async fn record(queue: &TaskQueue) -> Option<Record> {
    let state = Fleet::new(queue.clone()).state().await.unwrap();
    Some(state.entries.get("probe")?.record.clone())
}

/// The status, once it has all `parts`.
pub(crate) async fn status_says(redis: &TestRedis, parts: &[&str]) -> String {
    let mut last = String::new();
    eventually(&format!("a status with {parts:?}"), async || {
        last = said(&fleet(redis, &["status"]));
        parts.iter().all(|part| last.contains(part)).then(|| last.clone())
    })
    .await
}

#[tokio::test]
async fn a_push_reaches_the_workers_with_its_labels_and_a_later_one_all() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let eu = granting();
    let us = granting();
    let in_eu = start(&redis, &eu, "zone=eu,gpu").await;
    let in_us = start(&redis, &us, "zone=us").await;
    let said = pushed(&redis, &files, "probe", &["--to", "zone=eu", "--to", "gpu"]);
    assert!(said.contains("1 of 1 workers run it"), "{said}");
    assert!(said.contains("on workers with zone=eu, gpu"), "{said}");
    assert_eq!(version(&queue).await, "1.0.0");
    assert!(!in_us.log().contains("plugin published"), "{}", in_us.log());

    // Who pushes again need not say where.
    let said = pushed(&redis, &files, "marked/probe", &[]);
    assert!(said.contains("1 of 1 workers run it"), "{said}");
    assert_eq!(version(&queue).await, "1.0.0+marked");

    let said = pushed(&redis, &files, "marked/probe", &["--to-all"]);
    assert!(said.contains("2 of 2 workers run it"), "{said}");
    in_us.says(&["plugin published", "1.0.0+marked"]).await;

    // It moves away.
    let said = pushed(&redis, &files, "marked/probe", &["--to", "zone=us"]);
    assert!(said.contains("1 of 1 workers run it"), "{said}");
    in_eu.says(&["plugin removed"]).await;
    let json: Value = serde_json::from_slice(&fleet(&redis, &["status", "--json"]).stdout).unwrap();
    assert_eq!(json["converged"], true, "{json}");
    assert_eq!(json["plugins"][0]["workers"][0]["labels"], json!(["zone=us"]));
}

#[tokio::test]
async fn who_pushes_over_another_push_is_told_what_changed() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let first = &["--if-current", "none"];
    done(&push(&redis, &files, &built("probe"), first));
    let late = refused(&push(&redis, &files, &built("marked/probe"), first));
    assert!(late.contains("--if-current expects none"), "{late}");
    assert!(late.contains("1.0.0 (sha256 ") && late.contains("by ann"), "{late}");
    let digest = record(&queue).await.unwrap().digest;
    done(&push(&redis, &files, &built("marked/probe"), &["--if-current", &digest]));
    let history = done(&fleet(&redis, &["history", "probe"]));
    assert_eq!(history.matches(" by ann").count(), 2, "{history}");
    // As it is written in the plugins' own group.
    let mut again = command(&redis, "plugins", &["diff", "probe"]);
    let diff = done(&again.output().unwrap());
    assert!(diff.contains("from 1.0.0 (sha256") && diff.contains("to   1.0.0+marked"), "{diff}");
}

#[tokio::test]
async fn a_bad_version_is_refused_with_its_reason_and_the_former_one_runs_on() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let folder = granting();
    let worker = start(&redis, &folder, "").await;
    pushed(&redis, &files, "probe", &[]);
    let whole = built("probe");
    let broken = &whole[..whole.len() / 2];
    let here = refused(&push(&redis, &files, broken, &[]));
    assert!(here.contains("refused: workers would refuse it, too"), "{here}");
    let there = refused(&push(&redis, &files, broken, &["--unchecked", "--wait", "1"]));
    assert!(there.contains("0 of 1 workers run it"), "{there}");
    let status = status_says(&redis, &["refused it", "not a usable WebAssembly component"]).await;
    assert!(status.contains("; runs sha256 "), "{status}");
    assert_eq!(fleet(&redis, &["status"]).status.code(), Some(1));
    assert_eq!(version(&queue).await, "1.0.0");
    assert!(metrics(&worker).await.contains("freefans_worker_fleet_plugins{step=\"refused\"} 1"));
    // What is no component has no imports to compare with.
    done(&push(&redis, &files, &built("marked/probe"), &[]));
    done(&fleet(&redis, &["status", "--wait", "60"]));
    assert_eq!(version(&queue).await, "1.0.0+marked");
    done(&fleet(&redis, &["rollback", "probe", "--to", &sha256(&whole)]));
    let status = done(&fleet(&redis, &["status", "--wait", "60"]));
    assert!(status.contains("1 of 1 workers run it"), "{status}");
    assert_eq!(version(&queue).await, "1.0.0");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_rollback_needs_no_compile_and_a_pin_holds() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let folder = granting();
    let worker = start(&redis, &folder, "").await;
    pushed(&redis, &files, "probe", &[]);
    pushed(&redis, &files, "marked/probe", &[]);
    assert_eq!(version(&queue).await, "1.0.0+marked");
    let compiles = async || {
        let metrics = metrics(&worker).await;
        let line = metrics.lines().find(|line| line.starts_with("freefans_plugin_compiles_total"));
        line.unwrap().to_owned()
    };
    let before = compiles().await;
    done(&fleet(&redis, &["rollback", "probe"]));
    done(&fleet(&redis, &["status", "--wait", "60"]));
    assert_eq!(version(&queue).await, "1.0.0");
    assert_eq!(compiles().await, before);

    done(&fleet(&redis, &["pin", "probe"]));
    for arguments in [&["rollback", "probe"][..], &["remove", "probe"]] {
        let text = refused(&fleet(&redis, arguments));
        assert!(text.contains("is pinned to 1.0.0"), "{text}");
    }
    let text = refused(&push(&redis, &files, &built("marked/probe"), &[]));
    assert!(text.contains("worker fleet unpin probe"), "{text}");
    done(&fleet(&redis, &["unpin", "probe"]));
    pushed(&redis, &files, "marked/probe", &[]);
}

#[tokio::test]
async fn what_was_removed_goes_and_does_not_come_back_from_a_worker_that_missed_it() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let there = granting();
    let away = granting();
    let worker = start(&redis, &there, "").await;
    let absent = start(&redis, &away, "").await;
    pushed(&redis, &files, "probe", &[]);
    absent.terminate();
    done(&fleet(&redis, &["remove", "probe"]));
    worker.says(&["plugin removed", "plugin=\"probe\""]).await;
    redis.ask(&["FLUSHALL"]);
    // Both orders are right: here the one that missed it comes while the other one may have put the removal back.
    let returned = start(&redis, &away, "").await;
    eventually("the removal in the state", async || {
        record(&queue).await.is_some_and(|record| record.removed).then_some(())
    })
    .await;
    eventually("the file's end", async || {
        let status = fleet(&redis, &["status"]);
        let files = walk(&away.path().join("cache/fleet"));
        (status.status.success() && !files.iter().any(|file| file == "probe.wasm")).then_some(())
    })
    .await;
    drop(returned);
}

/// The names of all files in a folder and below.
fn walk(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(walk(&path));
        } else {
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    names
}

#[tokio::test]
async fn an_emptied_redis_is_filled_again_by_a_running_worker() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let folder = granting();
    let _worker = start(&redis, &folder, "").await;
    pushed(&redis, &files, "probe", &[]);
    let before = record(&queue).await;
    redis.ask(&["FLUSHALL"]);
    eventually("the state", async || (record(&queue).await == before).then_some(())).await;
    assert_eq!(version(&queue).await, "1.0.0");
    // The component as well: a worker that comes new takes it from there.
    let newcomer = granting();
    let _other = start(&redis, &newcomer, "").await;
    let status = done(&fleet(&redis, &["status", "--wait", "60"]));
    assert!(status.contains("2 of 2 workers run it"), "{status}");
}

#[tokio::test]
async fn a_worker_that_starts_with_an_empty_redis_runs_what_it_had() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let folder = granting();
    let worker = start(&redis, &folder, "").await;
    pushed(&redis, &files, "probe", &[]);
    let before = record(&queue).await;
    worker.terminate();
    redis.ask(&["FLUSHALL"]);
    let _worker = start(&redis, &folder, "").await;
    assert_eq!(version(&queue).await, "1.0.0");
    eventually("the state", async || (record(&queue).await == before).then_some(())).await;
}

#[tokio::test]
async fn grants_do_not_come_from_redis() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let folder = granting();
    let worker = start(&redis, &folder, "").await;
    pushed(&redis, &files, "probe", &[]);
    let asks = "[grants]\nnet = [\"https://a.example\"]\n[config]\nmood = \"good\"\n";
    std::fs::write(files.settings(), asks).unwrap();
    let stopped = refused(&push(&redis, &files, &built("marked/probe"), &[]));
    assert!(stopped.contains("it asks for more than 1.0.0"), "{stopped}");
    assert!(stopped.contains("wants to reach https://a.example"), "{stopped}");
    let before = record(&queue).await.unwrap();
    assert_eq!(before.version, "1.0.0", "nothing was pushed");
    refused(&push(&redis, &files, &built("marked/probe"), &["--grant", "--wait", "1"]));
    let status = status_says(&redis, &["refused it", "requests to \"https://a.example\""]).await;
    assert!(status.contains("probe.toml does not grant"), "{status}");
    worker.says(&["plugin of the fleet refused", "https://a.example"]).await;
    assert_eq!(version(&queue).await, "1.0.0");
    // The operator allows it.
    folder.settings("probe", "[grants]\nnet = [\"https://a.example\"]\n");
    done(&fleet(&redis, &["status", "--wait", "60"]));
    assert_eq!(version(&queue).await, "1.0.0+marked");
    // And takes it back: what runs loses it, too.
    folder.settings("probe", GRANTS);
    status_says(&redis, &["refused it"]).await;
    let placed = find(&folder.path().join("cache/fleet"), "probe.toml");
    eventually("the settings without the grant", async || {
        (!std::fs::read_to_string(&placed).unwrap().contains("a.example")).then_some(())
    })
    .await;
}

/// The file of this name in a folder or below.
pub(crate) fn find(folder: &Path, name: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let found = files.into_iter().find(|path| path.ends_with(name));
    found
        .or_else(|| {
            let below =
                folders.iter().filter(|folder| walk(folder).iter().any(|file| file == name));
            below.map(|folder| find(folder, name)).next()
        })
        .unwrap()
}

#[tokio::test]
async fn secrets_are_not_pushed() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    std::fs::write(files.settings(), "[config]\napi_token = \"abc123\"\n").unwrap();
    let text = refused(&push(&redis, &files, &built("probe"), &[]));
    assert!(text.contains("write `api_token = \"${API_TOKEN}\"`"), "{text}");
    assert!(!text.contains("abc123"), "{text}");
    assert_eq!(record(&queue).await, None);
}

#[tokio::test]
async fn nothing_that_is_not_whole_is_put_in_place() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let bytes = built("probe");
    done(&push(&redis, &files, &bytes, &[]));
    let key = queue.keys().fleet_artefact(&record(&queue).await.unwrap().digest);
    // The last part: the same size, other bytes.
    let part = (bytes.len() - 1) / PART_BYTES;
    let part_bytes = bytes.len() - part * PART_BYTES;
    let part = part.to_string();
    let mut other = redis::cmd("HSET");
    other.arg(&key).arg(&part).arg("x".repeat(part_bytes));
    other.query_async::<()>(&mut queue.connection()).await.unwrap();
    let folder = granting();
    let worker = start(&redis, &folder, "").await;
    status_says(&redis, &["refused it", "another digest"]).await;
    redis.ask(&["HDEL", &key, &part]);
    status_says(&redis, &["fetches the component", "not in Redis as a whole"]).await;
    let placed = walk(&folder.path().join("cache/fleet"));
    assert!(!placed.iter().any(|file| file.ends_with(".wasm")), "{placed:?}");
    assert!(!worker.log().contains("plugin refused"), "{}", worker.log());
    // Pushed again, it is whole.
    pushed(&redis, &files, "probe", &[]);
    assert_eq!(version(&queue).await, "1.0.0");
}

#[tokio::test]
async fn the_operators_own_file_has_priority_and_the_fleets_follows_when_it_goes() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", GRANTS);
    let worker = start(&redis, &folder, "").await;
    let said = pushed(&redis, &files, "marked/probe", &[]);
    assert!(said.contains("0 of 0 workers run it, 1 with a file of their own"), "{said}");
    assert!(said.contains("has priority over the fleet"), "{said}");
    assert_eq!(version(&queue).await, "1.0.0");
    std::fs::remove_file(folder.path().join("probe.wasm")).unwrap();
    done(&fleet(&redis, &["status", "--wait", "60"]));
    worker.says(&["plugin published", "1.0.0+marked"]).await;
    assert_eq!(version(&queue).await, "1.0.0+marked");
    assert!(!worker.log().contains("plugin removed"), "no moment without the plugin");
    folder.put("probe", &built("probe"));
    eventually("the own file", async || (version(&queue).await == "1.0.0").then_some(())).await;
    assert!(!worker.log().contains("plugin removed"), "{}", worker.log());
}

#[tokio::test]
async fn a_plugin_of_the_fleet_takes_nothing_from_one_in_the_own_folder() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let folder = granting();
    // Its file does not bear the plugin's name, and one in the same folder that does would have priority.
    folder.settings("mine", GRANTS);
    folder.put("mine", &built("probe"));
    let _worker = start(&redis, &folder, "").await;
    refused(&push(&redis, &files, &built("marked/probe"), &["--wait", "1"]));
    status_says(&redis, &["refused it", "which plugin `mine` handles already"]).await;
    assert_eq!(version(&queue).await, "1.0.0");
}

#[tokio::test]
async fn the_shipped_rights_are_enough_and_no_more_than_the_fleets_keys() {
    let place = tempfile::tempdir().unwrap();
    let shipped = std::fs::read_to_string(test_kit::root().join("docs/redis.acl")).unwrap();
    let acl = place.path().join("redis.acl");
    std::fs::write(&acl, format!("{shipped}user watcher on >watch -@all +acl|log\n")).unwrap();
    let redis = TestRedis::start_secured(&acl);
    let url = |user: &str| redis.secured_url(user, &format!("change-me-{user}"));
    let folder = granting();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"));
    worker.arg("--fleet").arg("--plugins").arg(folder.path()).env_remove("RUST_LOG");
    worker.env("PLUGIN_CACHE", folder.path().join("cache"));
    worker.env("REDIS_URL", url("worker")).env("REDIS_CA", redis.ca());
    let worker = Process::start_until(&mut worker, "ready: ").await;
    let as_fleet = |arguments: &[&str]| {
        let mut command = command_at(&url("fleet"), "fleet", arguments);
        command.env("REDIS_CA", redis.ca()).output().unwrap()
    };
    let files = Files::new();
    for name in ["probe", "marked/probe"] {
        let arguments = files.push(&built(name), &["--wait", "60"]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        done(&as_fleet(&arguments));
    }
    for arguments in [&["rollback", "probe"][..], &["diff", "probe"], &["history", "probe"]] {
        done(&as_fleet(arguments));
    }
    done(&as_fleet(&["remove", "probe"]));
    worker.says(&["plugin removed"]).await;
    let redis_cli = |user: &str, password: &str, arguments: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.args(["-u", &redis.secured_url(user, password), "--cacert"]).arg(redis.ca());
        command.arg("--no-auth-warning");
        said(&command.args(arguments).output().unwrap())
    };
    let denied = redis_cli("watcher", "watch", &["ACL", "LOG"]);
    assert_eq!(denied.trim(), "", "what the rights do not allow");
    let denied = redis_cli("fleet", "change-me-fleet", &["GET", "freefans:tasks:queue"]);
    assert!(denied.contains("NOPERM"), "{denied}");
}
