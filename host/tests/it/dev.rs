//! `worker dev`: the real programs, a real Redis, and a build script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use test_kit::{Process, eventually, root};

use crate::new;
use crate::support::{component, said};

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

async fn chat_page(process: &Process) -> String {
    eventually("the chat page", async || {
        let log = process.log();
        log.lines().find_map(|line| line.strip_prefix("chat page: ").map(str::to_owned))
    })
    .await
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
    let chat_page = chat_page(&process).await;
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

#[tokio::test]
async fn a_crash_names_the_line_of_the_source() {
    let place = tempfile::tempdir().unwrap();
    assert!(new::worker(place.path(), &["new", "tide", "--lang", "rust"]).status.success());
    let tide = place.path().join("tide");
    // The versions that this workspace has, and nothing from the network.
    fs::copy(root().join("Cargo.lock"), tide.join("Cargo.lock")).unwrap();
    let source = tide.join("src/lib.rs");
    let begin = "    let words: Vec<String> = params.text";
    let fails = "    assert_ne!(params.text, \"panic\");\n    if params.text == \"trap\" {\n        crash();\n    }\n";
    let crash = "\n#[inline(never)]\nfn crash() -> ! { core::arch::wasm32::unreachable() }\n";
    let code = fs::read_to_string(&source).unwrap();
    let code = code.replacen(begin, &format!("{fails}{begin}"), 1) + crash;
    fs::write(&source, &code).unwrap();
    let at = |part: &str| {
        let line = code.lines().position(|line| line.contains(part)).unwrap() + 1;
        format!("tide/src/lib.rs:{line}:")
    };
    let panics = at("assert_ne!");
    let traps = at("unreachable()");
    // The same build as below, which must not take too long there.
    let environment = new::build_environment(place.path());
    let mut build = Command::new(tide.join("build"));
    build.env_clear().envs(environment.clone());
    build.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
    let built = build.env("CARGO_PROFILE_RELEASE_STRIP", "none").output().unwrap();
    assert!(built.status.success(), "{}", said(&built));

    let process =
        Process::start_until(dev(&tide).env_clear().envs(environment), "loaded: tide").await;
    let chat_page = chat_page(&process).await;
    process.says(&["the chat takes /tide"]).await;
    says(&chat_page, "/tide panic").await;
    process.says(&["wasm backtrace", &panics]).await;
    says(&chat_page, "/tide trap").await;
    process.says(&["wasm backtrace", "crash", &traps]).await;
    assert_eq!(process.terminate(), Some(0));

    // The same component, run by hand.
    for (text, line) in [("panic", &panics), ("trap", &traps)] {
        let params = json!({"text": text}).to_string();
        let ran = said(&new::worker(&tide, &["run", "tide.wasm", "--params", &params]));
        let backtrace = ran.lines().find(|line| line.contains("wasm backtrace"));
        assert!(backtrace.is_some_and(|told| told.contains(line.as_str())), "{text}: {ran}");
    }
}

#[test]
fn a_missing_folder_is_named() {
    let output = dev(Path::new("/nowhere/tide")).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("there is no folder /nowhere/tide"), "{told}");
    assert!(!output.status.success());
}
