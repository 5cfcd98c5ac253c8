//! `init` runs once for a version; its tasks start from the memory that it left.

use serde_json::json;

use crate::support::{Folder, redis, run, start_worker};

#[tokio::test]
async fn init_runs_once_for_each_version_of_a_plugin() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let worker = start_worker(&redis, &folder).await;
    let drawn = async || run(&queue, "probe_init", json!({})).await.data["drawn"].clone();
    let first = drawn().await;
    assert_ne!(first, "0", "init ran");
    for _ in 0..3 {
        assert_eq!(drawn().await, first, "and did not run again");
    }
    // No task sees another's changes.
    for _ in 0..3 {
        assert_eq!(run(&queue, "probe_count", json!({})).await.data["calls"], 1);
    }
    folder.settings("probe", "[grants]\nnet = []\n[config]\nother = \"x\"\n");
    worker.says(&["plugin published", "plugin=\"probe\"", "replaces=\"1.0.0\""]).await;
    assert_ne!(drawn().await, first, "new settings are a new version, with an init of its own");
}

#[tokio::test]
async fn a_plugin_whose_init_cannot_be_kept_works_all_the_same_and_the_log_says_why() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", "[grants]\nnet = []\n[config]\nsay_at_init = \"hello\"\n");
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["no snapshot", "plugin=\"probe\"", "standard output"]).await;
    let drawn = async || run(&queue, "probe_init", json!({})).await.data["drawn"].clone();
    assert_ne!(drawn().await, drawn().await, "init runs for each task");
    let broken = run(&queue, "probe_panic", json!({"message": "boom"})).await;
    assert_eq!(broken.code(), Some("trap"));
    worker.says(&["plugin trapped", "boom"]).await;
}

#[tokio::test]
async fn a_worker_that_starts_again_neither_compiles_nor_runs_init() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let drawn = async || run(&queue, "probe_init", json!({})).await.data["drawn"].clone();
    let worker = start_worker(&redis, &folder).await;
    let first = drawn().await;
    // The worker ends when the prepared plugin is on disk.
    assert_eq!(worker.terminate(), Some(0));
    let worker = start_worker(&redis, &folder).await;
    assert_eq!(drawn().await, first, "what the first one prepared");
    worker.kill();
    // Foreign bytes are not run.
    for file in std::fs::read_dir(folder.path().join("cache")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            std::fs::write(path, b"something else").unwrap();
        }
    }
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["not usable; compiling it again"]).await;
    assert_ne!(drawn().await, first);
}
