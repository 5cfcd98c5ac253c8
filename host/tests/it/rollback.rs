//! Rollbacks: automatic, by hand, after a restart; and the checks before a version is in force.

use std::path::Path;

use queue::PluginChange::{Published, Refused, Removed, RolledBack};
use queue::{PluginChange, TaskQueue};
use serde_json::{Value, json};
use test_kit::TestRedis;

use crate::support::{
    Folder, Process, component, eventually, plugins, redis, run, said, start_worker,
};

const FAILS_HALF: &str = "[grants]\nnet = []\n[config]\nfail_half = true\n";

/// Settings with which half of all tasks fail. Each number makes other settings.
fn fails_half(number: usize) -> String {
    format!("{FAILS_HALF}number = {number}\n")
}

async fn publishes(worker: &Process, folder: &Folder, settings: &str) {
    let published = || worker.log().matches("plugin published").count();
    let before = published();
    folder.settings("probe", settings);
    eventually("the new version", async || (before < published()).then_some(())).await;
}

async fn rolls_back(worker: &Process, queue: &TaskQueue) {
    let rolled_back = || worker.log().matches("plugin rolled back: too many").count();
    let before = rolled_back();
    let mut nth = 0;
    eventually("the rollback", async || {
        nth += 1;
        run(queue, "probe_echo", json!({"nth": nth})).await;
        (before < rolled_back()).then_some(())
    })
    .await;
}

/// A worker whose probe was rolled back because it failed half its tasks.
async fn rolled_back(redis: &TestRedis, queue: &TaskQueue, folder: &Folder) -> Process {
    let worker = start_worker(redis, folder).await;
    for _ in 0..10 {
        assert!(run(queue, "probe_echo", json!({})).await.success);
    }
    publishes(&worker, folder, FAILS_HALF).await;
    rolls_back(&worker, queue).await;
    worker
}

async fn all_well(queue: &TaskQueue) {
    for _ in 0..20 {
        assert!(run(queue, "probe_echo", json!({})).await.success);
    }
}

#[tokio::test]
async fn a_bad_version_is_rolled_back_the_list_says_so_and_a_restart_does_not_try_it_again() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let worker = rolled_back(&redis, &queue, &folder).await;
    let listed = eventually("the list", async || {
        let listed = said(&plugins(&folder, &["list"]));
        listed.contains("; rolled back").then_some(listed)
    })
    .await;
    assert!(listed.contains("probe.wasm: refused: this version of plugin `probe` was rolled back"));
    assert!(listed.contains(" tasks failed"), "{listed}");
    assert_eq!(listed.matches("  kept ").count(), 2, "{listed}");
    drop(worker);

    let worker = start_worker(&redis, &folder).await;
    worker.says(&["plugin refused", "plugin-rolled-back", "worker plugins accept probe"]).await;
    worker.says(&["the last good version is in force", "plugin=\"probe\""]).await;
    all_well(&queue).await;
    drop(worker);

    let accepted = plugins(&folder, &["accept", "probe"]);
    assert!(accepted.status.success(), "{}", said(&accepted));
    let _worker = start_worker(&redis, &folder).await;
    eventually("the failure of a version that is tried again", async || {
        (!run(&queue, "probe_echo", json!({})).await.success).then_some(())
    })
    .await;
}

#[tokio::test]
async fn many_bad_versions_leave_the_good_one_to_go_back_to() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let worker = start_worker(&redis, &folder).await;
    all_well(&queue).await;
    for number in 0..6 {
        publishes(&worker, &folder, &fails_half(number)).await;
        rolls_back(&worker, &queue).await;
    }
    drop(worker);
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["the last good version is in force"]).await;
    all_well(&queue).await;
    drop(worker);
    // The first of them is no longer archived, but still rejected.
    folder.settings("probe", &fails_half(0));
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["plugin refused", "plugin-rolled-back"]).await;
}

#[tokio::test]
async fn the_way_back_leads_past_a_version_that_was_still_watched() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let worker = start_worker(&redis, &folder).await;
    all_well(&queue).await;
    for number in 0..2 {
        publishes(&worker, &folder, &fails_half(number)).await;
    }
    rolls_back(&worker, &queue).await;
    all_well(&queue).await;
}

#[tokio::test]
async fn a_broken_file_at_the_start_leaves_the_last_good_version_in_force() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    drop(start_worker(&redis, &folder).await);
    folder.put("probe", b"\0asm not quite");
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["plugin refused", "plugin-invalid"]).await;
    all_well(&queue).await;
}

#[tokio::test]
async fn what_the_operator_took_away_does_not_come_back_with_an_older_version() {
    for had in [
        "[grants]\nnet = [\"http://127.0.0.1:1\"]\n",
        "[grants]\nnet = []\n[limits]\nwall_ms = 31000\n",
    ] {
        let (redis, queue) = redis().await;
        let folder = Folder::with(&["probe"]);
        folder.settings("probe", had);
        let worker = start_worker(&redis, &folder).await;
        for _ in 0..10 {
            assert!(run(&queue, "probe_echo", json!({})).await.success);
        }
        publishes(&worker, &folder, FAILS_HALF).await;
        for _ in 0..30 {
            run(&queue, "probe_echo", json!({})).await;
        }
        assert!(!worker.log().contains("plugin rolled back"), "the older one had more: {had}");
        eventually("both versions are kept", async || {
            (said(&plugins(&folder, &["list"])).matches("  kept ").count() == 2).then_some(())
        })
        .await;
        drop(worker);
        // Nor at a start with a broken file: of the two archived versions, only the one with fewer grants may run.
        folder.put("probe", b"\0asm not quite");
        let _worker = start_worker(&redis, &folder).await;
        eventually("a failure of the version that had less", async || {
            (!run(&queue, "probe_echo", json!({})).await.success).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_rollback_by_hand_puts_the_version_before_in_place() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let nothing = plugins(&folder, &["rollback", "search"]);
    assert_eq!(nothing.status.code(), Some(64));
    assert!(
        said(&nothing).contains("no other good version of `search` is archived"),
        "{}",
        said(&nothing)
    );
    folder.put("search", &std::fs::read(component("marked/search")).unwrap());
    worker.says(&["plugin published", "1.0.0+marked"]).await;
    eventually("the marked version is kept", async || {
        said(&plugins(&folder, &["list"])).contains(": 1.0.0+marked").then_some(())
    })
    .await;
    let marked = digest(&folder, &component("marked/search"));
    for (arguments, version) in [
        (&["rollback", "search"][..], "1.0.0"),
        // And forth again, named by its digest.
        (&["rollback", "search", "--to", &marked], "1.0.0+marked"),
    ] {
        let back = plugins(&folder, arguments);
        assert!(back.status.success(), "{}", said(&back));
        assert!(said(&back).contains("is in place again"), "{}", said(&back));
        eventually("the version that was put in place", async || {
            let result = run(&queue, "search_creator", json!({"query": "luna"})).await;
            (result.metadata["plugin_version"] == version).then_some(())
        })
        .await;
    }
    let escape = plugins(&folder, &["rollback", "../search"]);
    assert!(said(&escape).contains("is not a plugin's name"), "{}", said(&escape));
}

fn digest(folder: &Folder, file: &Path) -> String {
    let shown = plugins(folder, &["inspect", "--json", &file.display().to_string()]);
    let facts: Value = serde_json::from_slice(&shown.stdout).unwrap();
    facts.pointer("/anatomy/digest").unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_happened_to_plugins_stands_in_redis_for_everybody() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let worker = rolled_back(&redis, &queue, &folder).await;
    folder.put("probe", b"\0asm not quite");
    worker.says(&["plugin refused", "plugin-invalid"]).await;
    std::fs::remove_file(folder.path().join("probe.wasm")).unwrap();
    worker.says(&["plugin removed", "plugin=\"probe\""]).await;
    let events = eventually("the history", async || {
        let events = queue.plugin_events(100).await.unwrap();
        (events.first()?.change == Removed).then_some(events)
    })
    .await;
    let changes: Vec<PluginChange> = events.iter().rev().map(|event| event.change).collect();
    assert_eq!(changes, [Published, Published, RolledBack, Refused, Removed]);
    let back = &events[2];
    assert_eq!(back.plugin, "probe");
    assert!(back.reason.as_deref().unwrap().contains("tasks failed"), "{back:?}");
    assert_eq!(back.digest.as_deref().map(str::len), Some(64));
    let told = said(&plugins(&folder, &["history", "--redis-url", &redis.url()]));
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].contains(": probe: 1.0.0 was removed"), "{told}");
    assert!(lines[2].contains("1.0.0 was rolled back to 1.0.0 ("), "{told}");
}

#[tokio::test]
async fn only_the_pinned_component_is_taken() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let settings = std::fs::read_to_string(folder.path().join("search.toml")).unwrap();
    let pin = |digest: &str| settings.replace("[swap]", &format!("[swap]\ndigest = \"{digest}\""));
    folder.settings("search", &pin(&digest(&folder, &folder.path().join("search.wasm"))));
    worker.says(&["plugin published", "replaces=\"1.0.0\""]).await;
    folder.put("search", &std::fs::read(component("marked/search")).unwrap());
    worker.says(&["plugin refused", "plugin-pinned", "takes only"]).await;
    let result = run(&queue, "search_creator", json!({"query": "luna"})).await;
    assert_eq!(result.metadata["plugin_version"], "1.0.0");
    folder.settings("search", &pin("abc"));
    worker.says(&["plugin refused", "`abc` is not a SHA-256 in hex"]).await;
}

#[tokio::test]
async fn a_candidate_that_fails_its_trial_is_not_taken() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let settings = std::fs::read_to_string(folder.path().join("search.toml")).unwrap();
    let trial = |params: &str| {
        let trial = format!("trial = {{ task_type = \"search_creator\", params = {params} }}");
        settings.replace("[swap]", &format!("[swap]\n{trial}"))
    };
    folder.settings("search", &trial("{ query = 7 }"));
    folder.put("search", &std::fs::read(component("marked/search")).unwrap());
    worker
        .says(&["plugin refused", "plugin-trial", "failed its trial task", "invalid-params"])
        .await;
    let result = run(&queue, "search_creator", json!({"query": "luna"})).await;
    assert_eq!(result.metadata["plugin_version"], "1.0.0");
    folder.settings("search", &trial("{ query = \"luna\" }"));
    worker.says(&["plugin published", "1.0.0+marked"]).await;
}

#[tokio::test]
async fn a_canary_takes_its_share_and_the_version_before_the_rest() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", "[grants]\nnet = []\n[swap]\ncanary_percent = 25\n");
    let worker = start_worker(&redis, &folder).await;
    folder.put("probe", &std::fs::read(component("marked/probe")).unwrap());
    worker.says(&["plugin published", "1.0.0+marked", "canary_percent=25"]).await;
    let mut answered = std::collections::BTreeMap::<String, usize>::new();
    // The new version is watched for 20 of its tasks. It gets a quarter of all, so that takes about 80.
    while answered.get("1.0.0+marked").is_none_or(|count| *count < 20) {
        let result = run(&queue, "probe_echo", json!({})).await;
        *answered.entry(result.data["version"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(answered["1.0.0"] > 20, "{answered:?}");
    for _ in 0..10 {
        let result = run(&queue, "probe_echo", json!({})).await;
        assert_eq!(result.data["version"], "1.0.0+marked", "it does well and takes all");
    }
}

#[tokio::test]
async fn what_was_precompiled_is_what_a_worker_takes() {
    let (redis, _queue) = redis().await;
    let folder = Folder::with(&["search", "probe"]);
    let made = plugins(&folder, &["precompile"]);
    assert!(made.status.success(), "{}", said(&made));
    let prepared = || {
        let entries = std::fs::read_dir(folder.path().join("cache")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name.to_string_lossy().ends_with(".prepared"));
        names.sort();
        names
    };
    let before = prepared();
    assert_eq!(before.len(), 4, "each before `init`, and with what it left");
    let worker = start_worker(&redis, &folder).await;
    // The worker ends when everything is on disk.
    assert_eq!(worker.terminate(), Some(0));
    assert_eq!(prepared(), before, "the worker made nothing of its own");
}
