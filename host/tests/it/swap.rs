//! Plugins are replaced while the worker runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use host::config::Ceilings;
use host::engine;
use host::handler::PluginHandler;
use host::plugin::compile::cache::PreparedCache;
use host::plugin::load::Loader;
use host::plugin::publish::catalog::PluginCatalog;
use host::swap::folder::PluginFolder;
use queue::{DistributedWorkerRegistry, TaskStatus};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Folder, component, eventually, plugins, redis, run, start_worker, task};

#[tokio::test]
async fn a_replaced_plugin_answers_the_next_task_while_the_running_one_finishes_on_the_old() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search", "probe"]);
    let mut worker = start_worker(&redis, &folder).await;
    let before = worker.id();
    let old = run(&queue, "search_creator", json!({"query": "luna marlowe"})).await;
    assert_eq!(old.metadata["plugin_version"], "1.0.0");
    assert_eq!(old.data["creators"][0]["name"], "Luna Marlowe");
    // Compiled beforehand, so that a busy machine swaps them while the slow task runs.
    let next = Folder::with(&["search", "probe"]);
    for name in ["search", "probe"] {
        next.put(name, &std::fs::read(component(&format!("marked/{name}"))).unwrap());
    }
    let compiled = plugins(&folder, &["precompile", next.path().to_str().unwrap()]);
    assert!(compiled.status.success(), "{compiled:?}");
    let slow = task("probe_sleep", &json!({"ms": 20_000}));
    queue.submit_task(&slow).await.unwrap();
    eventually("the slow task's start", async || {
        let status = queue.task_status(&slow.task_id).await.unwrap();
        (status == Some(TaskStatus::Processing)).then_some(())
    })
    .await;

    for name in ["search", "probe"] {
        let marked = std::fs::read(component(&format!("marked/{name}"))).unwrap();
        folder.put(name, &marked);
        worker.says(&["plugin published", &format!("plugin=\"{name}\""), "1.0.0+marked"]).await;
    }
    let new = run(&queue, "search_creator", json!({"query": "luna marlowe"})).await;
    assert_eq!(new.metadata["plugin_version"], "1.0.0+marked");
    assert_eq!(new.data["creators"][0]["name"], "Luna Marlowe ★");
    let echo = run(&queue, "probe_echo", json!({})).await;
    assert_eq!(echo.data["version"], "1.0.0+marked");
    assert_eq!(
        queue.task_status(&slow.task_id).await.unwrap(),
        Some(TaskStatus::Processing),
        "both swaps happened while it ran"
    );
    let slept = queue.get_result(&slow.task_id, Duration::from_secs(40)).await.unwrap().unwrap();
    assert_eq!(slept.data["version"], "1.0.0", "it ended on the version it began with");
    assert!(worker.alive());
    assert_eq!(worker.id(), before, "the same process");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_the_log_says_why() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let whole = std::fs::read(component("search")).unwrap();
    for broken in [&whole[..whole.len() / 2], b"\0asm\x0d\0\x01\0", b"not wasm at all", b""] {
        let refused = worker.log().matches("plugin refused").count();
        folder.put("search", broken);
        eventually("the refusal", async || {
            (refused < worker.log().matches("plugin refused").count()).then_some(())
        })
        .await;
        let result = run(&queue, "search_creator", json!({"query": "luna"})).await;
        assert!(result.success, "{result:?}");
    }
    worker
        .says(&["plugin refused", "code=\"plugin-invalid\"", "not a usable WebAssembly component"])
        .await;
    // The good file again is accepted.
    let marked = std::fs::read(component("marked/search")).unwrap();
    folder.put("search", &marked);
    worker.says(&["plugin published", "1.0.0+marked"]).await;
}

#[tokio::test]
async fn a_file_that_is_written_in_place_slowly_is_taken_once_it_is_whole() {
    use std::io::Write;
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let marked = std::fs::read(component("marked/search")).unwrap();
    let mut file = std::fs::File::create(folder.path().join("search.wasm")).unwrap();
    for part in marked.chunks(marked.len() / 5) {
        file.write_all(part).unwrap();
        file.flush().unwrap();
        let result = run(&queue, "search_creator", json!({"query": "luna"})).await;
        assert!(result.success, "{result:?}");
    }
    drop(file);
    worker.says(&["plugin published", "1.0.0+marked"]).await;
}

#[tokio::test]
async fn a_new_plugin_is_offered_and_a_removed_one_is_not() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let early = task("probe_echo", &json!({}));
    queue.submit_task(&early).await.unwrap();
    folder.settings("probe", "[grants]\nnet = []\n");
    folder.put("probe", &std::fs::read(component("probe")).unwrap());
    let result = queue.get_result(&early.task_id, Duration::from_secs(30)).await.unwrap();
    assert!(result.unwrap().success, "the waiting task is answered by the plugin that came later");
    std::fs::remove_file(folder.path().join("probe.wasm")).unwrap();
    worker.says(&["plugin removed", "plugin=\"probe\""]).await;
    let late = task("probe_echo", &json!({}));
    queue.submit_task(&late).await.unwrap();
    assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
    assert_eq!(queue.task_status(&late.task_id).await.unwrap(), Some(TaskStatus::Pending));
}

#[tokio::test]
async fn changed_settings_and_data_take_effect_like_a_new_version() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe", "search"]);
    let worker = start_worker(&redis, &folder).await;
    folder.settings("probe", "[grants]\nnet = []\n[config]\ngreeting = \"hello\"\n");
    worker.says(&["plugin published", "plugin=\"probe\"", "replaces=\"1.0.0\""]).await;
    let result = run(&queue, "probe_config", json!({"key": "greeting"})).await;
    assert_eq!(result.data["value"], "hello");
    folder.add_creator("Brand New");
    worker.says(&["plugin published", "plugin=\"search\"", "replaces=\"1.0.0\""]).await;
    let found = run(&queue, "search_creator", json!({"query": "brand new"})).await;
    assert_eq!(found.data["exact_match"], true);
}

#[tokio::test]
async fn a_renamed_plugin_goes_on_under_its_new_name() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    for ending in ["toml", "wasm"] {
        let [from, to] =
            ["search", "a-search"].map(|name| folder.path().join(format!("{name}.{ending}")));
        std::fs::rename(from, to).unwrap();
    }
    worker.says(&["plugin published", "plugin=\"a-search\""]).await;
    let result = run(&queue, "search_creator", json!({"query": "luna"})).await;
    assert_eq!(result.metadata["plugin"], "a-search");
}

#[tokio::test]
async fn a_version_that_fails_half_its_tasks_gives_way_to_the_one_before() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let worker = start_worker(&redis, &folder).await;
    for _ in 0..10 {
        assert!(run(&queue, "probe_echo", json!({})).await.success);
    }
    folder.settings("probe", "[grants]\nnet = []\n[config]\nfail_half = true\n");
    worker.says(&["plugin published", "plugin=\"probe\"", "replaces=\"1.0.0\""]).await;
    let mut nth = 0;
    eventually("the rollback", async || {
        nth += 1;
        run(&queue, "probe_echo", json!({"nth": nth})).await;
        worker.log().contains("plugin rolled back: too many").then_some(())
    })
    .await;
    for _ in 0..20 {
        assert!(run(&queue, "probe_echo", json!({})).await.success, "the one before is in force");
    }
    // A fixed file is a new version like any other.
    folder.settings("probe", "[grants]\nnet = []\n[config]\nother = 1\n");
    eventually("the mended version", async || {
        let log = worker.log();
        (log.matches("plugin published").count() == 3).then_some(())
    })
    .await;
    assert!(run(&queue, "probe_echo", json!({})).await.success);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_swaps_under_load_lose_no_task_and_leave_no_old_version_behind() {
    const SWAPS: usize = 40;
    let (_redis, queue) = redis().await;
    let place = Folder::with(&["probe"]);
    let files = ["probe", "marked/probe"].map(|name| std::fs::read(component(name)).unwrap());
    let ceilings = Ceilings::default();
    let catalog = Arc::new(PluginCatalog::default());
    let loader = Loader::new(engine::build(8, &ceilings).unwrap(), ceilings, Some(queue.clone()))
        .unwrap()
        .with_cache(Some(PreparedCache::open(&place.path().join("cache")).unwrap()));
    let loader = Arc::new(loader);
    let mut folder = PluginFolder::new(
        place.path().to_owned(),
        ceilings,
        Arc::clone(&loader),
        Arc::clone(&catalog),
    );
    folder.scan().await.unwrap();
    let retry = queue::config::RetryPolicy::default();
    let handler =
        Arc::new(PluginHandler::new(&loader, Arc::clone(&catalog), "test".to_owned(), retry));
    let stop = CancellationToken::new();
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let stopping = stop.clone();
    let worker = tokio::spawn(async move {
        registry.process_tasks(handler, "test", 8, Duration::from_secs(5), stopping).await;
    });
    let enough = CancellationToken::new();
    let people: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            let enough = enough.clone();
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !enough.is_cancelled() {
                    answers.push(run(&queue, "probe_echo", json!({})).await);
                }
                answers
            })
        })
        .collect();

    let mut versions = Vec::new();
    for swap in 1..=SWAPS {
        place.put("probe", &files[swap % 2]);
        assert_eq!(folder.scan().await.unwrap().published, 1, "swap {swap}");
        versions.push(Arc::downgrade(&catalog.named("probe").unwrap()));
    }
    enough.cancel();
    let mut seen = BTreeSet::new();
    for person in people {
        for answer in person.await.unwrap() {
            assert!(answer.success, "{answer:?}");
            seen.insert(answer.data["version"].to_string());
        }
    }
    assert_eq!(seen.len(), 2, "tasks ran on both: {seen:?}");
    stop.cancel();
    worker.await.unwrap();
    let alive = versions.iter().filter(|version| version.strong_count() > 0).count();
    assert!(alive <= 2, "the version in force and the one before it, not {alive}");
}
