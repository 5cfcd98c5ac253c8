//! What the dashboard says of plugins and workers, and how a plugin goes back.

use std::process::Command;

use queue::fleet::{Change, Entry, Fleet, PluginReport, Record, Signatures, WorkerReport};
use queue::{PluginFacts, TaskQueue, WorkerFacts, WorkerRecord};
use reqwest::StatusCode;
use test_kit::eventually;

use super::{ADMIN, Dashboard, READ};
use crate::support::{COORDINATOR, real_worker};

/// A component that was pushed: what it contains does not matter here.
const COMPONENT: &[u8] = b"component";

/// Pushes a version of `search` whose digest consists of `digit`.
pub(super) async fn push(queue: &TaskQueue, version: &str, digit: &str, signature: Option<&str>) {
    let fleet = Fleet::new(queue.clone());
    let record = Record {
        version: version.to_owned(),
        digest: digit.repeat(64),
        size: COMPONENT.len() as u64,
        settings: "[grants]\nnet = [\"https://forum.example\"]\n".to_owned(),
        signature: signature.map(str::to_owned),
        by: "ann".to_owned(),
        ..Record::default()
    };
    fleet.store(&record.digest, COMPONENT).await.unwrap();
    change(&fleet, record).await;
}

async fn change(fleet: &Fleet, record: Record) {
    let change = fleet.change("search", now(fleet).await.as_ref(), &record).await.unwrap();
    assert!(matches!(change, Change::Done(_)), "{change:?}");
}

async fn now(fleet: &Fleet) -> Option<Entry> {
    fleet.state().await.unwrap().entries.remove("search")
}

/// A worker that tells all that one can tell.
pub(super) fn telling() -> WorkerRecord {
    let text = |text: &str| vec![text.to_owned()];
    let search = PluginFacts {
        net: text("https://forum.example:443"),
        secrets: text("FORUM_KEY, as api-key to https://forum.example:443"),
        data: text("creators = /srv/plugins/creators.csv"),
        limits: [("wall_ms".to_owned(), 30_000), ("max_memory_mb".to_owned(), 256)].into(),
        cache: true,
        ..PluginFacts::default()
    };
    let facts = WorkerFacts {
        host: "server-one".to_owned(),
        resident_bytes: Some(327 << 20),
        memory_limit_bytes: Some(4 << 30),
        pool_bytes: Some(64 << 20),
        memories: Some(3),
        plugin_folder: Some("/srv/plugins".to_owned()),
        plugin_cache: Some("/var/cache/freefans".to_owned()),
        plugins: [("search".to_owned(), search)].into(),
    };
    WorkerRecord { facts: Some(facts), ..untelling() }
}

/// A worker of an older release.
fn untelling() -> WorkerRecord {
    let record = r#"{"worker": "worker-telling", "started_at": 1795960800000, "concurrency": 8, "running": 2,
        "plugins": [{"name": "search", "version": "1.3.0", "digest": "bb", "task_types": ["search_creator"]}]}"#;
    serde_json::from_str(record).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_the_fleet_goes_back_after_a_question() {
    let dashboard = Dashboard::start(true).await;
    let fleet = Fleet::new(dashboard.queue.clone());
    dashboard.waiting_task().await;
    push(&dashboard.queue, "1.1.0", "a", None).await;
    push(&dashboard.queue, "1.2.0", "b", None).await;
    push(&dashboard.queue, "1.3.0", "c", None).await;
    let admin = dashboard.log_in(ADMIN).await;
    let csrf = dashboard.csrf(&admin).await;
    let question = dashboard.page("/rollback?plugin=search", &admin).await;
    for part in ["Roll search back?", "1.3.0", "Roll back to 1.2.0", "all servers", "1.1.0"] {
        assert!(question.contains(part), "no `{part}` in {question}");
    }
    let back = async |cookie: &str, csrf: &str, from: &str, to: &str| {
        let fields = [("csrf", csrf), ("plugin", "search"), ("from", from), ("to", to)];
        dashboard.post("/do/rollback", cookie, &fields).await
    };
    let shown = now(&fleet).await.unwrap();
    let from = shown.at.to_string();
    let reader = dashboard.log_in(READ).await;
    let for_reader = dashboard.page("/rollback?plugin=search", &reader).await;
    assert!(for_reader.contains("1.2.0") && !for_reader.contains("/do/rollback"), "{for_reader}");
    assert_eq!(back(&reader, &csrf, &from, "").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(back(&admin, "0", &from, "").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(now(&fleet).await.unwrap(), shown, "nothing of that was done");
    // Somebody pushes between the question and the answer.
    push(&dashboard.queue, "1.4.0", "d", None).await;
    let late = back(&admin, &csrf, &from, "").await;
    assert_eq!(late.status(), StatusCode::CONFLICT);
    assert!(late.text().await.unwrap().contains("has changed the plugin meanwhile"));
    let from = now(&fleet).await.unwrap().at.to_string();
    let history = fleet.history("search").await.unwrap();
    let first = history.iter().find(|entry| entry.record.version == "1.1.0").unwrap();
    let done = back(&admin, &csrf, &from, &first.at.to_string()).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    let record = now(&fleet).await.unwrap().record;
    assert_eq!((record.version.as_str(), record.by.as_str()), ("1.1.0", "Ada"));
    let page = dashboard.page("/plugins", &admin).await;
    assert!(page.contains("search goes back to 1.1.0."), "{page}");
    let audit = dashboard.page("/audit", &admin).await;
    let said = format!(
        "search from 1.4.0 (sha256 {0}) to 1.1.0 (sha256 {1})",
        "d".repeat(12),
        "a".repeat(12)
    );
    assert!(audit.contains("roll back") && audit.contains(&said), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_user_of_the_coordinator_may_roll_a_plugin_back() {
    let dashboard = Dashboard::start_with_shipped_rights().await;
    let fleet = Fleet::new(dashboard.queue.clone());
    dashboard.waiting_task().await;
    push(&dashboard.queue, "1.1.0", "a", None).await;
    push(&dashboard.queue, "1.2.0", "b", None).await;
    let admin = dashboard.log_in(ADMIN).await;
    let csrf = dashboard.csrf(&admin).await;
    let from = now(&fleet).await.unwrap().at.to_string();
    let fields = [("csrf", csrf.as_str()), ("plugin", "search"), ("from", &from), ("to", "")];
    let done = dashboard.post("/do/rollback", &admin, &fields).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    assert_eq!(now(&fleet).await.unwrap().record.version, "1.1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_forbids_a_rollback_is_said_and_nothing_is_changed() {
    let dashboard = Dashboard::start(false).await;
    let fleet = Fleet::new(dashboard.queue.clone());
    dashboard.waiting_task().await;
    let csrf = dashboard.csrf("").await;
    let refused = async |why: &str| {
        let question = dashboard.page("/rollback?plugin=search", "").await;
        assert!(question.contains(why) && !question.contains("/do/rollback"), "{question}");
        let before = now(&fleet).await;
        let from = before.as_ref().map_or_else(|| "e:1".to_owned(), |entry| entry.at.to_string());
        let fields = [("csrf", csrf.as_str()), ("plugin", "search"), ("from", &from), ("to", "")];
        let answer = dashboard.post("/do/rollback", "", &fields).await;
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{why}");
        let said = answer.text().await.unwrap();
        assert!(said.contains(why), "no `{why}` in {said}");
        assert_eq!(now(&fleet).await, before);
    };
    refused("the fleet has never had").await;
    push(&dashboard.queue, "1.2.0", "a", None).await;
    refused("has no earlier version").await;
    let signature = "untrusted comment: x\nx\ntrusted comment: freefans-plugin name=search version=1.3.0 settings=any timestamp=9\nx\n";
    push(&dashboard.queue, "1.3.0", "b", Some(signature)).await;
    // The worker takes nothing without a signature, and the version before has none.
    let report = WorkerReport {
        worker: "w".to_owned(),
        host: "server-one".to_owned(),
        signatures: Signatures::Required,
        plugins: vec![PluginReport { name: "search".to_owned(), ..PluginReport::default() }],
        ..WorkerReport::default()
    };
    fleet.report(&report).await.unwrap();
    refused("it has no signature, and one is required").await;
    // One of two would take it: then it is told, and may be done.
    let other = WorkerReport { worker: "x".to_owned(), signatures: Signatures::Ignored, ..report };
    fleet.report(&other).await.unwrap();
    let question = dashboard.page("/rollback?plugin=search", "").await;
    assert!(question.contains("1 worker of 2 will refuse it") && question.contains("/do/rollback"));
    let artefact = dashboard.queue.keys().fleet_artefact(&"a".repeat(64));
    dashboard.redis.ask(&["DEL", &artefact]);
    refused("is no longer stored").await;
    let current = now(&fleet).await.unwrap();
    change(&fleet, Record { pinned: true, ..current.record }).await;
    refused("is pinned to 1.3.0").await;
    let audit = dashboard.page("/audit", "").await;
    assert!(!audit.contains("roll back"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_its_memory_and_what_its_plugins_may_reach_and_the_shown_command_goes_back()
{
    let dashboard = Dashboard::start(false).await;
    let folder = tempfile::tempdir().unwrap();
    let worker = real_worker(&dashboard.redis, folder.path()).await;
    dashboard.queue.announce_worker(&untelling()).await.unwrap();
    let workers = eventually("both workers", async || {
        let page = dashboard.page("/workers", "").await;
        (page.contains("not told by this worker") && page.contains(" MiB of ")).then_some(page)
    })
    .await;
    assert!(workers.contains("kept for the next ones"), "{workers}");
    let digest = || async {
        let workers = dashboard.queue.workers().await.unwrap();
        let plugins = workers.into_iter().filter(|worker| worker.facts.is_some());
        let mut plugins = plugins.flat_map(|worker| worker.plugins);
        plugins.find(|plugin| plugin.name == "search").map(|plugin| plugin.digest)
    };
    let first = digest().await.unwrap();
    let page = dashboard.page("/plugins?plugin=search", "").await;
    for part in
        ["creators = ", "creators.csv", "Not told by 1 worker", "max_memory_mb", "Comes from"]
    {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    // Another component: a section without a meaning follows.
    let file = folder.path().join("search.wasm");
    let other = [std::fs::read(&file).unwrap(), b"\0\x05\x04more".to_vec()].concat();
    std::fs::write(folder.path().join("new"), other).unwrap();
    std::fs::rename(folder.path().join("new"), &file).unwrap();
    eventually("the new version", async || (digest().await? != first).then_some(())).await;
    let (_, rest) = page.split_once("class=\"copy\">").unwrap();
    let command = rest.split('<').next().unwrap();
    let program = test_kit::program(COORDINATOR, "worker");
    let command = command.replacen("worker", program.to_str().unwrap(), 1);
    let output = Command::new("sh").args(["-c", &command]).env_remove("RUST_LOG").output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    eventually("the version before", async || (digest().await? == first).then_some(())).await;
    drop(worker);
}
