//! Changes of files are noticed within a bounded time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use queue::TaskQueue;
use serde_json::json;

use crate::support::{
    Folder, Process, component, eventually, redis, run, start_worker, start_worker_with,
};

/// Appends to a file all the time, until it is dropped.
struct Noise(Arc<AtomicBool>);

impl Noise {
    fn new(path: PathBuf, line: &'static str) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&goes_on);
        std::thread::spawn(move || {
            while told.load(Ordering::Relaxed) {
                let file = OpenOptions::new().create(true).append(true).open(&path);
                if file.and_then(|mut file| file.write_all(line.as_bytes())).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        Self(goes_on)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn catalogue(folder: &Folder) -> PathBuf {
    folder.path().join("data/creators.csv")
}

fn add(path: &Path, name: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    writeln!(file, "{name},https://creators.example/{},,", name.replace(' ', "-")).unwrap();
}

async fn finds(queue: &TaskQueue, name: &str) {
    eventually(&format!("{name} in the answer"), async || {
        let found = run(queue, "search_creator", json!({"query": name})).await;
        assert!(found.success, "{:?}", found.error);
        (found.data["exact_match"] == true).then_some(())
    })
    .await;
}

fn published(worker: &Process) -> usize {
    worker.log().matches("plugin published").count()
}

#[tokio::test]
async fn noise_beside_the_files_neither_delays_a_change_nor_is_one() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let _noise = [
        Noise::new(folder.path().join("data/sync.log"), "x\n"),
        Noise::new(folder.path().join("build.log"), "x\n"),
    ];
    // The same content again is not a change.
    let whole = std::fs::read(catalogue(&folder)).unwrap();
    std::fs::write(catalogue(&folder), whole).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(published(&worker), 1, "{}", worker.log());
    add(&catalogue(&folder), "Brand New");
    finds(&queue, "Brand New").await;
    assert_eq!(published(&worker), 2, "{}", worker.log());
}

#[tokio::test]
async fn a_file_that_never_is_still_is_tried_after_a_while() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let wait = [("PLUGIN_WAIT_SECONDS", "2")];
    let worker = start_worker_with(&redis, &folder, &wait).await;
    let noise = Noise::new(catalogue(&folder), "Ever More,https://creators.example/ever-more,,\n");
    finds(&queue, "Ever More").await;
    drop(noise);
    add(&catalogue(&folder), "At Last");
    finds(&queue, "At Last").await;
    assert!(!worker.log().contains("plugin refused"), "{}", worker.log());
}

#[tokio::test]
async fn a_component_that_grows_slowly_is_refused_while_it_is_half_and_taken_when_it_is_whole() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker_with(&redis, &folder, &[("PLUGIN_WAIT_SECONDS", "1")]).await;
    let marked = std::fs::read(component("marked/search")).unwrap();
    let mut file = File::create(folder.path().join("search.wasm")).unwrap();
    for part in marked.chunks(marked.len() / 60) {
        file.write_all(part).unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    worker.says(&["plugin refused", "plugin-invalid"]).await;
    assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
    worker.says(&["plugin published", "1.0.0+marked"]).await;
}

#[tokio::test]
async fn a_copy_of_the_same_size_and_time_is_another_file() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let path = catalogue(&folder);
    let old = std::fs::read_to_string(&path).unwrap();
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    // In place, and renamed over it.
    for (from, to) in [("Luna Marlowe", "Luma Narlowe"), ("Luna Marlowe", "Muna Larlowe")] {
        let place = if to == "Luma Narlowe" { path.clone() } else { path.with_extension("new") };
        std::fs::write(&place, old.replace(from, to)).unwrap();
        File::options().write(true).open(&place).unwrap().set_modified(time).unwrap();
        std::fs::rename(&place, &path).unwrap();
        finds(&queue, to).await;
    }
    assert_eq!(published(&worker), 3, "{}", worker.log());
}

#[tokio::test]
async fn a_change_that_sends_no_notice_is_seen_all_the_same() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    finds(&queue, "Luna Marlowe").await;
    // The file's other name is in a folder that is not watched.
    let elsewhere = tempfile::tempdir_in(folder.path().parent().unwrap()).unwrap();
    let other_name = elsewhere.path().join("creators.csv");
    std::fs::hard_link(catalogue(&folder), &other_name).unwrap();
    add(&other_name, "Brand New");
    finds(&queue, "Brand New").await;
    assert_eq!(published(&worker), 2, "{}", worker.log());
}

#[tokio::test]
async fn a_folder_that_is_made_anew_is_the_same_folder() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let away = folder.path().with_extension("away");
    std::fs::rename(folder.path(), &away).unwrap();
    worker.says(&["plugin folder not readable"]).await;
    // Like an empty mount point, for a moment.
    std::fs::create_dir(folder.path()).unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
    assert!(!worker.log().contains("plugin removed"), "{}", worker.log());
    std::fs::remove_dir(folder.path()).unwrap();
    add(&away.join("data/creators.csv"), "Brand New");
    std::fs::rename(&away, folder.path()).unwrap();
    finds(&queue, "Brand New").await;
    // Only its data: removed for a while, then back.
    let data = folder.path().join("data");
    std::fs::rename(&data, &away).unwrap();
    worker.says(&["plugin refused", "plugin-unreadable"]).await;
    add(&away.join("creators.csv"), "Newer Still");
    std::fs::rename(&away, &data).unwrap();
    finds(&queue, "Newer Still").await;
}

#[tokio::test]
async fn what_is_no_file_holds_nothing_up() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("a-folder.wasm")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path("a-pipe.wasm")).status().unwrap();
    assert!(made.success());
    let worker = start_worker(&redis, &folder).await;
    for name in ["a-folder", "a-pipe"] {
        worker.says(&["plugin refused", "plugin-unreadable", name, "not a regular file"]).await;
    }
    add(&catalogue(&folder), "Brand New");
    finds(&queue, "Brand New").await;
    assert_eq!(worker.log().matches("plugin refused").count(), 2, "{}", worker.log());
}
