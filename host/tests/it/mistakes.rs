//! What the author of a plugin is told: by the worker's log, and by `worker plugins`. All messages are in
//! docs/plugins/mistakes.md, which `cargo xtask mistakes-doc --check` compares.

use serde_json::{Value, json};
use test_kit::{DescribedGuest, GuestAnswer};

use crate::offline::{file, plugins, said};
use crate::support::{Folder, redis, run, start_worker};

fn guest(name: &str) -> DescribedGuest {
    DescribedGuest::new(name, &[name])
}

fn command(name: &str, task_type: &str) -> String {
    let command =
        json!({"name": name, "description": "Says when the tide is", "task_type": task_type});
    json!({"version": 1, "commands": [command], "comands": []}).to_string()
}

#[tokio::test]
async fn the_log_says_once_what_nobody_reads_and_why_a_task_failed() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&[]);
    let extensions = command("tide", "tide");
    folder.put("tide", &DescribedGuest { extensions, ..guest("tide") }.build());
    let garbled = GuestAnswer::Data("High water".to_owned());
    folder.put("garbled", &DescribedGuest { answer: garbled, ..guest("garbled") }.build());
    folder
        .put("endless", &DescribedGuest { answer: GuestAnswer::Loop, ..guest("endless") }.build());
    folder.settings("endless", "[limits]\ncpu_ms = 300\n");
    let busy = GuestAnswer::Retry("The harbour is busy.".to_owned());
    folder.put("busy", &DescribedGuest { answer: busy, ..guest("busy") }.build());
    let worker = start_worker(&redis, &folder).await;
    worker.says(&["`extensions.comands`", "did you mean `commands`?", "plugin=\"tide\""]).await;

    let unreadable = run(&queue, "garbled", json!({})).await;
    assert_eq!(unreadable.code(), Some("invalid-output"));
    worker
        .says(&["the answer cannot be used (invalid-output): the plugin's data is not JSON"])
        .await;
    let stopped = run(&queue, "endless", json!({})).await;
    assert_eq!(stopped.error.as_deref(), Some("the plugin used up its processor time"));
    worker.says(&["cpu-limit", "`cpu_ms = 300` under [limits] in endless.toml"]).await;
    assert_eq!(run(&queue, "busy", json!({})).await.code(), Some("retries-exhausted"));
    worker.says(&["task asked to be tried again", "code=\"retry\"", "attempt=1"]).await;
    worker.says(&["task ended", "code=\"retries-exhausted\""]).await;
    assert_eq!(worker.log().matches("did you mean").count(), 1, "{}", worker.log());
}

#[test]
fn what_is_no_reason_to_refuse_is_a_warning_and_a_clash_fails_the_command() {
    let folder = Folder::with(&[]);
    let extensions = command("tide", "tide");
    folder.put("tide", &DescribedGuest { extensions, ..guest("tide") }.build());
    let alone = plugins(&["check", &file(&folder, "tide.wasm"), "--json"]);
    assert_eq!(alone.status.code(), Some(0), "{}", said(&alone));
    let told: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(told["accepted"], true);
    assert!(told["warnings"][0].as_str().unwrap().contains("did you mean `commands`?"), "{told}");
    assert_eq!(told["clashes"], json!([]));

    let extensions = command("tide", "ebb");
    folder.put("ebb", &DescribedGuest { extensions, ..guest("ebb") }.build());
    let beside = plugins(&["check", &file(&folder, "tide.wasm")]);
    assert_eq!(beside.status.code(), Some(1), "{}", said(&beside));
    let part = "clash: plugin `tide` brings the command `/tide`, which plugin `ebb` brings too";
    assert!(said(&beside).contains(part), "{}", said(&beside));
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().display().to_string();
    let other = plugins(&["check", &file(&folder, "tide.wasm"), "--beside", &elsewhere]);
    assert_eq!(other.status.code(), Some(0), "{}", said(&other));

    let listed = plugins(&["list", &folder.path().display().to_string()]);
    assert_eq!(listed.status.code(), Some(1), "{}", said(&listed));
    for part in
        ["\n  warning: `extensions.comands`", "\n  clash: plugin `ebb`", "\n  clash: plugin `tide`"]
    {
        assert!(said(&listed).contains(part), "{part}: {}", said(&listed));
    }
}

#[test]
fn a_run_tells_its_author_what_the_chat_will_not_show() {
    let folder = Folder::with(&[]);
    let buttons =
        json!([[{"text": "Ebb", "task_type": "ebb"}, {"text": "Again", "task_type": "tide"}]]);
    let view =
        json!({"view": {"version": 1, "text": "High water", "buttons": buttons, "titel": "x"}});
    let answer = GuestAnswer::Data(view.to_string());
    folder.put("tide", &DescribedGuest { answer, ..guest("tide") }.build());
    let ran = plugins(&["run", &file(&folder, "tide.wasm"), "--task-type", "tide"]);
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(told.contains("warning: `view.titel`: this name is not known"), "{told}");
    assert!(
        told.contains("warning: `view.buttons[0][0]`: this plugin does not handle `ebb`"),
        "{told}"
    );
    assert_eq!(told.matches("warning: `view").count(), 2, "{told}");
    let result: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(result["success"], true);
}
