//! Malicious guests (`host/tests/guests/hostile`): each fails with its own code, and others do not notice.
//! `cargo xtask hostile-guests` measures what they cost in memory and heartbeats.

use std::process::Command;

use serde_json::json;
use test_kit::{Ending, HostileGuest, PATIENCE, harmless_guest, hostile_guests};

use crate::support::{Folder, Process, component, redis, run, start_worker, task};

const TIGHT: &str = "[limits]\nwall_ms = 6000\ncpu_ms = 300\nmax_memory_mb = 32\n";
/// Longer than a lease, which is 6 s.
const LONGER_THAN_A_LEASE_MS: u64 = 9_000;

/// The code with which a worker refused a plugin.
fn refusal(worker: &Process, name: &str) -> Option<String> {
    let named = [format!("`{name}`"), format!("/{name}.wasm")];
    let log = worker.log();
    let line = log.lines().find(|line| {
        line.contains("plugin refused") && named.iter().any(|name| line.contains(name))
    })?;
    Some(line.split_once("code=\"")?.1.split_once('"')?.0.to_owned())
}

#[tokio::test]
async fn each_hostile_guest_ends_under_its_name_and_nobody_else_notices() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe", "search"]);
    let guests = hostile_guests();
    for guest in &guests {
        folder.settings(&guest.name, TIGHT);
        folder.put(&guest.name, &guest.wasm);
    }
    let mut worker = start_worker(&redis, &folder).await;
    let bystander = task("probe_sleep", &json!({"ms": LONGER_THAN_A_LEASE_MS}));
    queue.submit_task(&bystander).await.unwrap();
    for HostileGuest { name, task_type, ending, .. } in guests {
        let refused = refusal(&worker, &name);
        if let Ending::Refused(code) = ending {
            assert_eq!(refused, Some(code), "{name}");
            continue;
        }
        assert_eq!(refused, None, "{name}");
        let result = run(&queue, &task_type, json!({})).await;
        match ending {
            Ending::Answers(limit) => {
                assert!(result.success, "{name}: {result:?}");
                assert_eq!(result.metadata["limits"], json!([limit]), "{name}");
            }
            Ending::Fails(code) | Ending::Refused(code) => {
                assert_eq!(result.code(), Some(code.as_str()), "{name}: {result:?}");
                assert!(result.error.is_some_and(|told| !told.contains("wasm")), "{name}");
            }
        }
        let next = run(&queue, "search_creator", json!({"query": "luna"})).await;
        assert!(next.success, "after {name}: {next:?}");
    }
    let slept = queue.get_result(&bystander.task_id, PATIENCE).await.unwrap().unwrap();
    assert_eq!(slept.metadata["attempt"], 1, "its lease was kept all the time");
    assert!(worker.alive());
}

#[tokio::test]
async fn a_task_keeps_its_lease_while_more_guests_loop_than_there_are_cores() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe", "search"]);
    folder.settings("loop", "[limits]\ncpu_ms = 2000\nwall_ms = 100000\n");
    let endless = hostile_guests().into_iter().find(|guest| guest.name == "loop").unwrap();
    folder.put("loop", &endless.wasm);
    let _worker = start_worker(&redis, &folder).await;
    let bystander = task("probe_sleep", &json!({"ms": LONGER_THAN_A_LEASE_MS}));
    queue.submit_task(&bystander).await.unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    // All of them fit beside the bystander: a worker runs 16 tasks at once.
    let loops: Vec<_> =
        (0..(2 * cores + 2).min(14)).map(|_| task(&endless.task_type, &json!({}))).collect();
    for task in &loops {
        queue.submit_task(task).await.unwrap();
    }
    for task in &loops {
        assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
        let result = queue.get_result(&task.task_id, PATIENCE).await.unwrap().unwrap();
        assert_eq!(result.code(), Some("cpu-limit"));
        assert_eq!(result.metadata["attempt"], 1);
    }
    let slept = queue.get_result(&bystander.task_id, PATIENCE).await.unwrap().unwrap();
    assert!(slept.success, "{slept:?}");
    assert_eq!(slept.metadata["attempt"], 1);
}

#[tokio::test]
async fn a_panic_is_told_with_its_words_whichever_export_it_is_in() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let told = |export: &str| {
        folder
            .settings("probe", &format!("[grants]\nnet = []\n[config]\npanic_in = \"{export}\"\n"));
    };
    told("handle");
    let worker = start_worker(&redis, &folder).await;
    assert_eq!(run(&queue, "probe_echo", json!({})).await.code(), Some("trap"));
    worker.says(&["plugin trapped", "boom in handle"]).await;
    for export in ["describe", "init"] {
        told(export);
        let words = format!("boom in {export}");
        worker.says(&["plugin refused", "plugin-start", &format!("`{export}`"), &words]).await;
    }
}

#[tokio::test]
async fn a_data_file_is_not_copied_for_ever() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    std::fs::write(folder.path().join("data/large.bin"), vec![7; 3 << 20]).unwrap();
    let grants = "[grants]\nnet = []\ndata = { large = \"data/large.bin\" }\n";
    folder.settings("probe", &format!("{grants}[limits]\nmax_memory_mb = 16\n"));
    let _worker = start_worker(&redis, &folder).await;
    let result = run(&queue, "probe_read_on", json!({"name": "large"})).await;
    assert_eq!(result.code(), Some("memory-limit"), "{result:?}");
    assert_eq!(result.error.as_deref(), Some("DataError::TooLarge(16777216) after 5"));
}

/// The log of a worker that checks many files at once; it must not end meanwhile.
fn listed(folder: &Folder) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.args(["plugins", "list"]).arg(folder.path()).env_remove("RUST_LOG");
    command.env("PLUGIN_CACHE", "none");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "some are refused: {output:?}");
    told
}

/// The line of each file. Warnings stand below one, indented.
fn files(told: &str) -> impl Iterator<Item = &str> {
    told.lines().filter(|line| !line.starts_with(' '))
}

#[test]
fn a_component_that_ends_too_soon_is_refused_wherever_it_ends() {
    let folder = Folder::with(&[]);
    let whole = harmless_guest();
    for length in (0..whole.len()).step_by(7) {
        folder.put(&format!("cut-at-{length}"), &whole[..length]);
    }
    folder.put("whole", &whole);
    let told = listed(&folder);
    for line in files(&told) {
        assert_eq!(line.contains("refused"), !line.starts_with("whole.wasm"), "{line}");
    }
    assert_eq!(files(&told).count(), whole.len().div_ceil(7) + 1);
}

#[test]
fn a_flipped_bit_is_refused_or_harmless_wherever_it_is() {
    const EVERY: usize = 23;
    let folder = Folder::with(&[]);
    let whole = harmless_guest();
    for place in (0..whole.len()).step_by(EVERY) {
        let name = format!("flipped-at-{place}");
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (place % 8);
        folder.put(&name, &flipped);
        folder.settings(&name, TIGHT);
    }
    // A real component too, which is far larger than what the parser reads first.
    let whole = std::fs::read(component("probe")).unwrap();
    for nth in 0..2 {
        let name = format!("probe-flipped-{nth}");
        let mut flipped = whole.clone();
        flipped[whole.len() / 3 * (nth + 1)] ^= 1 << (nth % 8);
        folder.put(&name, &flipped);
        folder.settings(&name, &format!("[grants]\nnet = []\n{TIGHT}"));
    }
    let told = listed(&folder);
    assert_eq!(files(&told).count(), harmless_guest().len().div_ceil(EVERY) + 2);
}
