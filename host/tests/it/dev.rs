//! `worker dev`: the real programs, a real Redis, and a build script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use test_kit::{Process, eventually};

use crate::support::component;

/// A folder whose build takes the component that `source` names.
fn folder(source: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("source"), source.display().to_string()).unwrap();
    let script = "#!/bin/sh\nset -e\ncp \"$(cat source)\" dice.new\nmv dice.new dice.wasm\n";
    fs::write(at("build"), script).unwrap();
    fs::set_permissions(at("build"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn dev(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg("dev").arg(folder).env_remove("RUST_LOG");
    command
}

async fn says(chat_page: &str, text: &str) {
    let (simulator, _) = chat_page.split_once("/?chat=").unwrap();
    let message = json!({"chat_id": 100, "text": text});
    let request = reqwest::Client::new().post(format!("{simulator}/sim/messages")).json(&message);
    request.send().await.unwrap().error_for_status().unwrap();
}

#[tokio::test]
async fn a_plugin_is_built_answers_is_built_anew_and_everything_ends_with_the_command() {
    let dice = component("dice");
    let folder = folder(&dice);
    let process = Process::start_until(&mut dev(folder.path()), "loaded: dice").await;
    let chat_page = eventually("the chat page", async || {
        let log = process.log();
        log.lines().find_map(|line| line.strip_prefix("chat page: ").map(str::to_owned))
    })
    .await;
    // The coordinator learns the command from the worker's next record.
    process.says(&["the chat takes /roll"]).await;
    says(&chat_page, "/roll 2d6").await;
    process.says(&["roll_dice: answered in", "KiB of memory"]).await;
    process.says(&["  | 🎲 2d6: **"]).await;
    process.says(&["  | [🎲 Roll again]"]).await;

    // Half a file is refused, and the terminal says why.
    let half = folder.path().join(".half");
    fs::write(&half, &fs::read(&dice).unwrap()[..1_000]).unwrap();
    fs::write(folder.path().join("source"), half.display().to_string()).unwrap();
    process.says(&["plugin refused"]).await;
    process.says(&["    error: ", "unexpected end"]).await;

    // A build that fails is told, and nothing else changes.
    fs::write(folder.path().join("source"), "/nowhere").unwrap();
    process.says(&["the build failed", "what was built before stays in force"]).await;

    let (simulator, _) = chat_page.split_once("/?chat=").unwrap();
    assert_eq!(process.terminate(), Some(0));
    assert!(reqwest::get(simulator).await.is_err(), "the simulator is still there");
}

#[test]
fn a_missing_folder_is_named() {
    let output = dev(Path::new("/nowhere/tide")).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("there is no folder /nowhere/tide"), "{told}");
    assert!(!output.status.success());
}
