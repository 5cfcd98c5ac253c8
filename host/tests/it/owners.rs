//! Several files that offer the same: who answers, now and after a start.

use queue::TaskQueue;
use serde_json::json;

use crate::support::{
    Folder, component, eventually, metrics, plugins, redis, run, said, start_worker,
    start_worker_with,
};

async fn answers(queue: &TaskQueue, task_type: &str) -> String {
    let result = run(queue, task_type, json!({"query": "luna"})).await;
    result.metadata["plugin"].as_str().unwrap_or_default().to_owned()
}

/// Copies a plugin under another name, settings and all.
fn copy(folder: &Folder, from: &str, to: &str) {
    for ending in ["toml", "wasm"] {
        let [from, to] = [from, to].map(|name| folder.path().join(format!("{name}.{ending}")));
        std::fs::copy(from, to).unwrap();
    }
}

fn remove(folder: &Folder, name: &str) {
    std::fs::remove_file(folder.path().join(format!("{name}.wasm"))).unwrap();
}

#[tokio::test]
async fn a_copy_beside_a_plugin_never_answers_for_it_and_everybody_can_see_it() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker_with(&redis, &folder, &[("LISTEN", "127.0.0.1:0")]).await;
    // By its name it comes first, and another version of it is no better.
    copy(&folder, "search", "a-search");
    folder.put("b-search", &std::fs::read(component("marked/search")).unwrap());
    std::fs::copy(folder.path().join("search.toml"), folder.path().join("b-search.toml")).unwrap();
    // What other systems and editors leave is nobody's plugin.
    std::fs::write(folder.path().join("._search.wasm"), [0; 4_096]).unwrap();
    for copied in ["a-search", "b-search"] {
        worker.says(&["plugin refused", "task-type-taken", &format!("`{copied}`")]).await;
    }
    assert_eq!(answers(&queue, "search_creator").await, "search");
    let told = metrics(&worker).await;
    let refused = r#"freefans_worker_plugin_refused{plugin="a-search",code="task-type-taken"} 1"#;
    assert!(told.contains(refused), "{told}");
    drop(worker);

    let worker = start_worker(&redis, &folder).await;
    assert_eq!(answers(&queue, "search_creator").await, "search");
    assert!(!worker.log().contains("._search"), "{}", worker.log());
    assert_eq!(worker.log().matches("plugin published").count(), 1, "{}", worker.log());
    let listed = plugins(&folder, &["list"]);
    assert_eq!(listed.status.code(), Some(1));
    let listed = said(&listed);
    for line in ["a-search.wasm: refused: ", "b-search.wasm: refused: ", "search.wasm: search "] {
        assert!(listed.lines().any(|said| said.starts_with(line)), "{listed}");
    }
    assert!(!listed.contains("._search"), "{listed}");
}

#[tokio::test]
async fn of_files_that_bear_no_name_the_one_that_ran_stays_over_a_restart() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    copy(&folder, "probe", "z-probe");
    remove(&folder, "probe");
    let worker = start_worker(&redis, &folder).await;
    copy(&folder, "z-probe", "a-probe");
    worker.says(&["plugin refused", "task-type-taken", "`a-probe`"]).await;
    drop(worker);
    let listed = said(&plugins(&folder, &["list"]));
    assert!(listed.contains("a-probe.wasm: refused: "), "{listed}");

    let worker = start_worker(&redis, &folder).await;
    assert_eq!(answers(&queue, "probe_echo").await, "z-probe");
    // Its file goes, and the other one takes over.
    remove(&folder, "z-probe");
    worker.says(&["plugin published", "plugin=\"a-probe\""]).await;
    assert_eq!(answers(&queue, "probe_echo").await, "a-probe");
    // The one that bears the name is the plugin, whenever it comes.
    copy(&folder, "a-probe", "probe");
    std::fs::copy(component("probe"), folder.path().join("probe.wasm")).unwrap();
    worker.says(&["plugin published", "plugin=\"probe\""]).await;
    worker.says(&["plugin refused", "task-type-taken", "plugin `a-probe` handles"]).await;
    assert_eq!(answers(&queue, "probe_echo").await, "probe");
}

#[tokio::test]
async fn a_file_that_is_renamed_hands_its_task_types_on_without_a_gap() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let path = |name: &str| folder.path().join(name);
    std::fs::copy(path("search.toml"), path("search2.toml")).unwrap();
    std::fs::rename(path("search.wasm"), path("search2.wasm")).unwrap();
    worker.says(&["plugin removed", "plugin=\"search\""]).await;
    worker.says(&["plugin published", "plugin=\"search2\""]).await;
    assert!(!worker.log().contains("plugin refused"), "{}", worker.log());
    eventually("an answer of the renamed plugin", async || {
        (answers(&queue, "search_creator").await == "search2").then_some(())
    })
    .await;
}
