//! A failed task as a file: recorded from a dead letter, repeated without network, and kept as a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use queue::{FailureCode, Finish, Task, TaskResult};
use serde_json::{Value, json};
use services::{Answer, Server};

use crate::support::{Folder, redis, run, start_worker_with};

const KEY: &str = "s3cret-key";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// `worker plugins …` in the folder, with the forum at `forum`.
fn plugins(folder: &Folder, forum: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg("plugins").args(arguments).current_dir(folder.path());
    command.env("PLUGIN_CACHE", folder.path().join(".cache")).env_remove("RUST_LOG");
    command.env("EXTENDED_SEARCH_URL", forum).env("EXTENDED_SEARCH_KEY", KEY);
    command.env_remove("SUPABASE_URL").output().unwrap()
}

fn told(output: &Output) -> String {
    let streams = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_dead_letter_is_recorded_repeated_without_network_and_kept_as_a_test() {
    let (redis, queue) = redis().await;
    let kind: queue::TaskType = "search_simpcity".parse().unwrap();
    let params = json!({"query": "luna", "page": 1}).as_object().unwrap().clone();
    let task = Task::new(kind.clone(), 7, params);
    queue.submit_task(&task).await.unwrap();
    let lease = queue.claim(std::slice::from_ref(&kind), "w", 1).await.unwrap().remove(0);
    let failed = TaskResult::failure(FailureCode::PluginFailed, "it failed");
    queue.store_result(lease, Finish::Failed, failed).await.unwrap();

    let forum = Server::start(|_| Answer::new(503, "busy"));
    let folder = Folder::with(&["search"]);
    let file = folder.path().join("failed.json");
    let dead = ["run", "search.wasm", "--dead", task.task_id.as_str(), "--redis-url", &redis.url()];
    let recorded = [&dead[..], &["--record", "failed.json"]].concat();
    let recorded = plugins(&folder, forum.address(), &recorded);
    assert_eq!(recorded.status.code(), Some(1), "{}", told(&recorded));
    let case = read(&file);
    assert_eq!(case["task"]["params"]["query"], "luna");
    assert_eq!(case["http"][0]["status"], 503);
    assert!(!case.to_string().contains(KEY), "a secret is in the file: {case}");
    assert_eq!(queue.dead_letters(&kind, 9).await.unwrap().len(), 1, "it stays");

    // The settings name the forum, so the address must be the same; nobody listens there any more.
    let address = forum.address().to_owned();
    drop(forum);
    let again = plugins(&folder, &address, &["run", "search.wasm", "--replay", "failed.json"]);
    assert_eq!(again.status.code(), Some(1), "{}", told(&again));
    assert!(told(&again).contains("as recorded"), "{}", told(&again));

    // What the forum should have answered.
    let found = json!({
        "topics": [{"id": 5, "slug": "luna", "title": "Luna, a topic"}],
        "posts": [{"topic_id": 5, "blurb": "so they say"}], "grouped_search_result": {},
    });
    let mut mended = case.clone();
    mended["http"][0]["status"] = json!(200);
    mended["http"][0]["body"] = json!(found.to_string());
    fs::create_dir(folder.path().join("tests")).unwrap();
    let kept = folder.path().join("tests/luna.json");
    fs::write(&kept, mended.to_string()).unwrap();
    let other = plugins(&folder, &address, &["test", "."]);
    assert_eq!(other.status.code(), Some(1), "{}", told(&other));
    assert!(told(&other).contains("FAILED  luna.json"), "{}", told(&other));
    assert!(told(&other).contains("code: was nothing"), "{}", told(&other));
    let updated = plugins(&folder, &address, &["test", ".", "--update"]);
    assert_eq!(updated.status.code(), Some(0), "{}", told(&updated));
    let expected = read(&kept);
    assert_eq!(expected["expect"]["data"]["creators"][0]["name"], "Luna, a topic");
    let passes = plugins(&folder, &address, &["test", "."]);
    assert_eq!(passes.status.code(), Some(0), "{}", told(&passes));
    assert!(told(&passes).contains("ok      luna.json\n1 passed, 0 failed"), "{}", told(&passes));

    // A request that the case does not answer fails the test, and nothing is sent.
    let mut short = expected;
    short["http"] = json!([]);
    fs::write(&kept, short.to_string()).unwrap();
    let missing = plugins(&folder, &address, &["test", "."]);
    assert!(told(&missing).contains("http: the case has no answer to GET"), "{}", told(&missing));
    let none = plugins(&folder, NOWHERE, &["run", "search.wasm", "--dead", "{search_simpcity}1"]);
    assert_eq!(none.status.code(), Some(64), "{}", told(&none));
}

#[tokio::test]
async fn what_a_forum_answers_only_once_is_kept_by_the_worker_that_heard_it() {
    let (redis, queue) = redis().await;
    let asked = AtomicU32::new(0);
    let forum = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::new(503, "busy"),
        _ => Answer::new(200, r#"{"topics": [], "posts": [], "grouped_search_result": {}}"#),
    });
    let folder = Folder::with(&["search"]);
    let failed = folder.path().join("failed");
    let settings = [
        ("RECORD_FAILED", failed.to_str().unwrap()),
        ("EXTENDED_SEARCH_URL", forum.address()),
        ("EXTENDED_SEARCH_KEY", KEY),
    ];
    let worker = start_worker_with(&redis, &folder, &settings).await;
    let params = json!({"query": "luna", "page": 1});
    run(&queue, "search_simpcity", params).await;
    worker.says(&["failed task recorded"]).await;
    let kept: Vec<_> = fs::read_dir(&failed).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(kept.len(), 1, "the attempt that failed, not the one that did not");
    let mode = kept[0].metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may not read what a person typed");
    let file = kept[0].path();
    let case = fs::read_to_string(&file).unwrap();
    assert!(case.contains("luna") && !case.contains(KEY), "{case}");

    let address = forum.address().to_owned();
    drop(forum);
    let replay = ["run", "search.wasm", "--replay", file.to_str().unwrap()];
    let again = plugins(&folder, &address, &replay);
    assert_eq!(again.status.code(), Some(1), "{}", told(&again));
    assert!(told(&again).contains("as recorded"), "{}", told(&again));
}

#[test]
fn a_task_type_is_not_needed_where_there_is_one_and_the_answer_is_shown_as_a_chat_does() {
    let folder = Folder::with(&["dice", "search"]);
    let rolled = plugins(
        &folder,
        NOWHERE,
        &["run", "dice.wasm", "--params", "{\"dice\":\"2d6\"}", "--chat"],
    );
    let rolled = told(&rolled);
    assert!(rolled.contains("🎲 2d6: **") && rolled.contains("[🎲 Roll again]"), "{rolled}");
    let many = told(&plugins(&folder, NOWHERE, &["run", "search.wasm"]));
    assert!(many.contains("name one of its task types with --task-type: "), "{many}");
}
