//! Several files offer the same plugin or task type: which one answers, now and after a restart.

use std::sync::Arc;

use host::config::Ceilings;
use host::engine;
use host::plugin::load::Loader;
use host::plugin::publish::catalog::PluginCatalog;
use host::swap::folder::{Changes, PluginFolder};
use queue::{TaskQueue, TaskType};
use serde_json::json;

use crate::support::{
    Folder, component, eventually, metrics, plugins, redis, run, said, start_worker,
    start_worker_with,
};

/// A folder that is scanned when the test says so.
fn looked_at(folder: &Folder) -> (PluginFolder, Arc<PluginCatalog>) {
    let ceilings = Ceilings::default();
    let catalog = Arc::new(PluginCatalog::default());
    let loader = Loader::new(engine::build(8, &ceilings).unwrap(), ceilings, None).unwrap();
    let path = folder.path().to_owned();
    (PluginFolder::new(path, ceilings, Arc::new(loader), Arc::clone(&catalog)), catalog)
}

async fn answers(queue: &TaskQueue, task_type: &str) -> String {
    let result = run(queue, task_type, json!({"query": "luna"})).await;
    result.metadata["plugin"].as_str().unwrap_or_default().to_owned()
}

/// Copies a plugin and its settings under another name.
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
    // It comes first by its name, and a copy with another version does not change that.
    copy(&folder, "search", "a-search");
    folder.put("b-search", &std::fs::read(component("marked/search")).unwrap());
    std::fs::copy(folder.path().join("search.toml"), folder.path().join("b-search.toml")).unwrap();
    // Files that other systems and editors leave behind are not plugins.
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
    // Its file is removed, and the other one takes over.
    remove(&folder, "z-probe");
    worker.says(&["plugin published", "plugin=\"a-probe\""]).await;
    assert_eq!(answers(&queue, "probe_echo").await, "a-probe");
    // The file with the plugin's name has priority, even if it comes later.
    let refused = || worker.log().matches("plugin `a-probe` handles").count();
    let before = refused();
    copy(&folder, "a-probe", "probe");
    std::fs::copy(component("probe"), folder.path().join("probe.wasm")).unwrap();
    worker.says(&["plugin published", "plugin=\"probe\""]).await;
    eventually("what it took over from is named", async || (before < refused()).then_some(()))
        .await;
    assert_eq!(answers(&queue, "probe_echo").await, "probe");
}

#[tokio::test]
async fn at_a_first_start_the_file_that_bears_the_name_goes_first() {
    let place = Folder::with(&["search"]);
    copy(&place, "search", "a-search");
    let (mut folder, catalog) = looked_at(&place);
    let changes = folder.scan().await.unwrap();
    assert_eq!(changes, Changes { published: 1, refused: 1, removed: 0 });
    assert!(catalog.named("search").is_some());
}

#[tokio::test]
async fn a_plugins_name_has_one_owner_whatever_it_handles() {
    let place = Folder::with(&["probe", "dice"]);
    copy(&place, "dice", "Probe");
    let ceilings = Ceilings::default();
    let catalog = PluginCatalog::default();
    let loader = Loader::new(engine::build(8, &ceilings).unwrap(), ceilings, None).unwrap();
    let load =
        async |name: &str| loader.load(&place.path().join(format!("{name}.wasm"))).await.unwrap();
    catalog.publish(load("probe").await).unwrap();
    // By the name of its file, and by its own name.
    let file = load("Probe").await;
    let mut namesake = load("dice").await;
    Arc::get_mut(&mut namesake).unwrap().descriptor.name = "probe".to_owned();
    for version in [file, namesake] {
        assert_eq!(catalog.publish(version).unwrap_err().code(), "plugin-name-taken");
    }
}

#[tokio::test]
async fn whoever_is_in_force_gets_new_task_types_before_a_newcomer() {
    let place = Folder::with(&["dice", "probe"]);
    let (mut folder, catalog) = looked_at(&place);
    copy(&place, "dice", "z");
    for name in ["dice", "probe"] {
        remove(&place, name);
    }
    assert_eq!(folder.scan().await.unwrap().published, 1);
    // Its new version offers what a new file beside it offers, which comes first by its name.
    for name in ["a", "z"] {
        std::fs::copy(component("probe"), place.path().join(format!("{name}.wasm"))).unwrap();
        place.settings(name, "[grants]\nnet = []\n");
    }
    let changes = folder.scan().await.unwrap();
    assert_eq!(changes, Changes { published: 1, refused: 1, removed: 0 });
    let echo: TaskType = "probe_echo".parse().unwrap();
    assert_eq!(catalog.get(&echo).unwrap().name(), "z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_renamed_hands_its_task_types_on_without_a_gap() {
    let place = Folder::with(&["search"]);
    let (mut folder, catalog) = looked_at(&place);
    assert_eq!(folder.scan().await.unwrap().published, 1);
    let mut offered = catalog.offered();
    let looking = tokio::spawn(async move {
        let mut seen = Vec::new();
        while offered.changed().await.is_ok() {
            let plugins = offered.borrow_and_update();
            seen.push(plugins.iter().map(|plugin| plugin.name.clone()).collect::<Vec<_>>());
        }
        seen
    });
    copy(&place, "search", "search2");
    remove(&place, "search");
    let changes = folder.scan().await.unwrap();
    assert_eq!(changes, Changes { published: 1, refused: 0, removed: 1 });
    drop((folder, catalog));
    let seen = looking.await.unwrap();
    assert!(seen.iter().all(|plugins| !plugins.is_empty()), "{seen:?}");
    assert_eq!(seen.last().unwrap(), &["search2"]);
}

#[tokio::test]
async fn a_file_that_is_renamed_goes_on_under_its_new_name() {
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
