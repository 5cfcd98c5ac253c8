//! Which plugins a worker accepts, and with which code it refuses others.

use crate::support::{Folder, component, redis, start_worker};

#[tokio::test]
async fn an_import_without_its_grant_is_refused_with_the_line_to_add() {
    let (redis, _queue) = redis().await;
    let folder = Folder::with(&["search"]);
    folder.put("probe", &std::fs::read(component("probe")).unwrap());
    let worker = start_worker(&redis, &folder).await;
    worker
        .says(&[
            "plugin refused",
            "capability-not-granted",
            "imports `wasi:http/",
            "net = [",
            "probe.toml",
        ])
        .await;
}

#[tokio::test]
async fn a_wrong_settings_file_is_refused_with_its_place() {
    let (redis, _queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", "[grants]\nnett = []\n");
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["plugin refused", "plugin-settings", "probe.toml"]).await;
}

#[tokio::test]
async fn a_plugin_whose_init_fails_is_refused_with_its_reason() {
    let (redis, _queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", "[grants]\nnet = []\n[config]\nrefuse_init = \"no mood\"\n");
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["plugin refused", "plugin-start", "no mood"]).await;
}

#[tokio::test]
async fn a_task_type_belongs_to_one_plugin() {
    let (redis, _queue) = redis().await;
    let folder = Folder::with(&["search"]);
    folder.put("zearch", &std::fs::read(component("search")).unwrap());
    let settings = std::fs::read_to_string(folder.path().join("search.toml")).unwrap();
    folder.settings("zearch", &settings);
    let worker = start_worker(&redis, &folder).await;
    worker
        .says(&["plugin refused", "task-type-taken", "which plugin `search` handles already"])
        .await;
}
