//! A component is compiled once, by a process of its own, and then taken from the cache.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Folder, component, eventually, metrics, redis, run, start_worker_with};

/// The log shows each compile.
const COMPILES: (&str, &str) = ("RUST_LOG", "info,host=debug");
const COMPILED: &str = "component compiled";

/// `worker plugins …` on a file, with the cache of the folder's worker: its standard output, and how many components it
/// compiled.
fn offline(folder: &Folder, name: &str, arguments: &[&str]) -> (String, usize) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.args(["plugins", arguments[0]]).arg(folder.path().join(name)).args(&arguments[1..]);
    command.env("PLUGIN_CACHE", folder.path().join("cache")).env_remove("EXTENDED_SEARCH_URL");
    let output = command.env(COMPILES.0, COMPILES.1).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    (String::from_utf8(output.stdout).unwrap(), log.matches(COMPILED).count())
}

/// How many components a worker compiled, by its own count.
async fn count(worker: &test_kit::Process) -> u64 {
    let metrics = metrics(worker).await;
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("freefans_plugin_compiles_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_plugin_that_was_checked_is_not_compiled_again() {
    let folder = Folder::with(&["probe"]);
    let (_, compiled) = offline(&folder, "probe.wasm", &["check"]);
    assert_eq!(compiled, 2, "before `init`, and with the memory that it left");
    let (shown, compiled) = offline(&folder, "probe.wasm", &["inspect", "--json"]);
    assert_eq!(compiled, 0);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let names = |of: &str| shown["anatomy"][of].as_array().unwrap().clone();
    assert!(names("imports").contains(&json!("freefans:plugin/config@1.0.0")), "{shown}");
    assert_eq!(names("exports"), ["describe", "init", "handle"]);
    let echo = ["run", "--task-type", "probe_echo", "--params", r#"{"text":"a"}"#];
    assert_eq!(offline(&folder, "probe.wasm", &echo).1, 0);

    let (redis, queue) = redis().await;
    let environment = [COMPILES, ("LISTEN", "127.0.0.1:0")];
    let worker = start_worker_with(&redis, &folder, &environment).await;
    assert!(run(&queue, "probe_echo", json!({"text": "a"})).await.success);
    assert_eq!((count(&worker).await, worker.whole_log().matches(COMPILED).count()), (0, 0));
    let hits = metrics(&worker).await;
    assert!(hits.lines().any(|line| line == "freefans_plugin_cache_hits_total 1"), "{hits}");
}

#[tokio::test]
async fn a_check_goes_on_without_a_cache_folder() {
    let folder = Folder::with(&["search"]);
    std::fs::write(folder.path().join("cache"), b"a file").unwrap();
    assert_eq!(offline(&folder, "search.wasm", &["check"]).1, 2);
    assert_eq!(offline(&folder, "search.wasm", &["check"]).1, 2);
}

#[tokio::test]
async fn a_worker_compiles_what_is_new_and_nothing_else() {
    let (redis, _queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    // The same file under another name does not have to be compiled before its `init`; it is refused later.
    folder.put("probe2", &std::fs::read(component("probe")).unwrap());
    folder.settings("probe2", "[grants]\nnet = []\n[config]\nother = \"x\"\n");
    let worker = start_worker_with(&redis, &folder, &[("LISTEN", "127.0.0.1:0")]).await;
    assert_eq!(count(&worker).await, 3);
    folder.settings("probe", "[grants]\nnet = []\n[config]\nother = \"y\"\n");
    worker.says(&["plugin published", "plugin=\"probe\"", "replaces=\"1.0.0\""]).await;
    assert_eq!(count(&worker).await, 4, "only with the memory that the new settings lead to");
    // It holds a handle after `init`.
    folder.settings("probe", "[grants]\nnet = []\n[config]\nsay_at_init = \"hello\"\n");
    worker.says(&["no snapshot", "plugin=\"probe\""]).await;
    let published = || worker.whole_log().matches("plugin published").count();
    eventually("the third version", async || (published() == 3).then_some(())).await;
    assert_eq!(count(&worker).await, 4, "it was compiled before");
}

/// The process that compiles for `worker`, if there is one.
fn compiler_of(worker: u32) -> Option<String> {
    let children = format!("/proc/{worker}/task/{worker}/children");
    let mut children = vec![std::fs::read_to_string(children).unwrap_or_default()];
    for task in std::fs::read_dir(format!("/proc/{worker}/task")).ok()?.flatten() {
        children.push(std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    }
    let mut children = children.iter().flat_map(|children| children.split_whitespace());
    children.next().map(str::to_owned)
}

async fn compiler(worker: u32) -> String {
    // It lives for a fraction of a second: looked for without a pause.
    eventually("a process that compiles", async || {
        (0..200).find_map(|_| {
            std::thread::yield_now();
            compiler_of(worker)
        })
    })
    .await
}

#[tokio::test]
async fn a_compiler_that_is_killed_refuses_its_plugin_and_nothing_else() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker_with(&redis, &folder, &[]).await;
    folder.settings("probe", "[grants]\nnet = []\n");
    folder.put("probe", &std::fs::read(component("probe")).unwrap());
    let compiler = compiler(worker.id()).await;
    assert!(Command::new("kill").args(["-9", &compiler]).status().unwrap().success());
    worker.says(&["plugin refused", "plugin-compiler-killed"]).await;
    assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
    // Later it is tried again by itself, and at once when it is put in place again.
    folder.put("probe", &std::fs::read(component("probe")).unwrap());
    worker.says(&["plugin published", "plugin=\"probe\""]).await;
}

#[test]
fn a_compiler_ends_when_nobody_waits_for_it() {
    let wasm = std::fs::read(component("probe")).unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.args(["compile", "536870912"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut compiler = command.spawn().unwrap();
        let mut input = compiler.stdin.take().unwrap();
        input.write_all(&(wasm.len() as u64).to_le_bytes()).unwrap();
        input.write_all(&wasm).unwrap();
        (compiler, input)
    };
    let (compiler, input) = start();
    // As when the worker is killed.
    drop(input);
    let ended = compiler.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(1), 0));
    let (mut compiler, input) = start();
    let mut answer = Vec::new();
    compiler.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
    assert_eq!((compiler.wait().unwrap().code(), answer[0]), (Some(0), 0));
    drop(input);
}
