//! A swap that loses most of the data is refused.

use std::path::PathBuf;

use queue::TaskQueue;
use serde_json::{Value, json};

use crate::support::{Folder, metrics, plugins, redis, run, said, start_worker, start_worker_with};

fn catalogue(folder: &Folder) -> PathBuf {
    folder.path().join("data/creators.csv")
}

fn of_people(count: usize) -> String {
    let rows = (1..=count).map(|n| format!("Person {n:03},https://creators.example/p{n}\n"));
    ["name,url\n".to_owned()].into_iter().chain(rows).collect()
}

async fn finds(queue: &TaskQueue, name: &str) -> Value {
    run(queue, "search_creator", json!({"query": name})).await.data["exact_match"].clone()
}

#[tokio::test]
async fn a_catalogue_that_lost_most_of_its_rows_is_taken_only_on_purpose() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    std::fs::write(catalogue(&folder), of_people(300)).unwrap();
    let worker = start_worker_with(&redis, &folder, &[("LISTEN", "127.0.0.1:0")]).await;
    std::fs::write(catalogue(&folder), of_people(149)).unwrap();
    let told = ["149 rows of its data `creators` where 300", "worker plugins accept search"];
    worker.says(&["plugin refused", "data-shrank", told[0], told[1]]).await;
    assert_eq!(finds(&queue, "Person 250").await, true);
    let gauges = metrics(&worker).await;
    for (of, amount) in [("in_force", 300), ("refused", 149)] {
        let gauge = format!(
            "freefans_plugin_data{{plugin=\"search\",data=\"creators\",unit=\"rows\",of=\"{of}\"}} {amount}"
        );
        assert!(gauges.contains(&gauge), "{gauge}: {gauges}");
    }
    let listed = plugins(&folder, &["list"]);
    assert_eq!(listed.status.code(), Some(1));
    assert!(told.iter().all(|part| said(&listed).contains(part)), "{}", said(&listed));
    drop(worker);

    // After a restart the same version is in force.
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["plugin refused", "data-shrank", told[0]]).await;
    worker.says(&["the last good version is in force", "plugin=\"search\""]).await;
    assert_eq!(finds(&queue, "Person 250").await, true);

    let accepted = plugins(&folder, &["accept", "search"]);
    assert!(accepted.status.success(), "{}", said(&accepted));
    worker.says(&["plugin published", "plugin=\"search\"", "replaces=\"1.0.0\""]).await;
    assert_eq!(finds(&queue, "Person 250").await, false);
    assert_eq!(finds(&queue, "Person 149").await, true);
    assert!(plugins(&folder, &["list"]).status.success());
    // Only those files were accepted, not later ones.
    std::fs::write(catalogue(&folder), of_people(10)).unwrap();
    worker.says(&["plugin refused", "10 rows of its data `creators` where 149"]).await;
    drop(worker);
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["the last good version is in force"]).await;
    assert_eq!(finds(&queue, "Person 149").await, true);
}

#[tokio::test]
async fn what_is_empty_gone_or_unreadable_row_by_row_is_no_catalogue() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    std::fs::write(catalogue(&folder), of_people(300)).unwrap();
    let worker = start_worker(&redis, &folder).await;
    let refused = || worker.log().matches("plugin refused").count();
    // As many bytes, but almost no valid rows.
    let unreadable = of_people(300).replace("https:", "ttps:/");
    for lost in [Some(String::new()), Some(of_people(0)), Some(unreadable), None] {
        let before = refused();
        match lost {
            Some(text) => std::fs::write(catalogue(&folder), text).unwrap(),
            None => std::fs::remove_file(catalogue(&folder)).unwrap(),
        }
        crate::support::eventually("the refusal", async || (before < refused()).then_some(()))
            .await;
        assert_eq!(finds(&queue, "Person 250").await, true);
    }
    // Some rows may be lost.
    std::fs::write(catalogue(&folder), of_people(200)).unwrap();
    worker.says(&["plugin published", "replaces=\"1.0.0\""]).await;
    assert_eq!(finds(&queue, "Person 250").await, false);
    // And as many as the settings allow.
    let settings = std::fs::read_to_string(folder.path().join("search.toml")).unwrap();
    std::fs::write(catalogue(&folder), of_people(2)).unwrap();
    worker.says(&["plugin refused", "2 rows of its data `creators` where 200"]).await;
    folder.settings("search", &settings.replace("[swap]", "[swap]\nkeep_data_at_least = 0"));
    crate::support::eventually("the small catalogue", async || {
        (finds(&queue, "Person 149").await == false).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_a_plugin_that_tells_nothing_the_bytes_count() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", "[grants]\nnet = []\ndata = { words = \"words.txt\" }\n");
    let words = folder.path().join("words.txt");
    std::fs::write(&words, "x".repeat(1_000)).unwrap();
    let worker = start_worker(&redis, &folder).await;
    std::fs::write(&words, "x".repeat(499)).unwrap();
    worker
        .says(&["plugin refused", "data-shrank", "499 bytes of its data `words` where 1000"])
        .await;
    let read = run(&queue, "probe_data", json!({"name": "words"})).await;
    assert_eq!(read.data["bytes"], 1_000);
    std::fs::write(&words, "x".repeat(500)).unwrap();
    worker.says(&["plugin published", "replaces=\"1.0.0\""]).await;
    // Data that is no longer granted is not counted as lost.
    folder.settings("probe", "[grants]\nnet = []\n");
    crate::support::eventually("the probe without data", async || {
        let read = run(&queue, "probe_data", json!({"name": "words"})).await;
        (read.data["bytes"] != 500).then_some(())
    })
    .await;
}
