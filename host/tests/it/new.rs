//! `worker plugins new`: a new plugin is whole, is built by its own script, and answers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use test_kit::root;

pub(crate) fn worker(here: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.current_dir(here).arg("plugins").args(arguments);
    command.env_remove("RUST_LOG").env("PLUGIN_CACHE", "none").output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn a_new_plugin_is_whole_and_called_as_its_author_says() {
    let here = tempfile::tempdir().unwrap();
    let made = worker(here.path(), &["new", "tide-pool", "--lang", "rust"]);
    let said = told(&made);
    assert!(made.status.success(), "{said}");
    for next in ["cd tide-pool", "worker dev "] {
        assert!(said.contains(next), "{next}: {said}");
    }
    let folder = here.path().join("tide-pool");
    for file in files(&folder) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(&folder).unwrap().display().to_string();
        let left = ["PLUGIN_", ".template", ".member"].iter().any(|part| name.contains(part));
        let unfilled = ["NAME", "IDENT", "TYPE", "TITLE"]
            .iter()
            .any(|part| text.contains(&format!("PLUGIN_{part}")));
        assert!(!left && !unfilled, "{name} is not filled in");
    }
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    for contract in ["wit/world.wit", "sdk/wit/world.wit"] {
        assert_eq!(read(contract), std::fs::read_to_string(root().join("wit/world.wit")).unwrap());
    }
    assert!(read("AGENTS.md").contains("Tide pool") && read("tide-pool.toml").contains("[limits]"));

    let again = worker(here.path(), &["new", "tide-pool", "--lang", "rust"]);
    assert_eq!(again.status.code(), Some(64));
    assert!(told(&again).contains("`tide-pool` is here already and not empty"), "{}", told(&again));
}

#[test]
fn a_name_that_no_plugin_can_have_is_told_with_its_rule() {
    let here = tempfile::tempdir().unwrap();
    for (name, rule) in
        [("Tide!", "1 to 32 lower case letters"), ("search", "one of the bot's own")]
    {
        let refused = worker(here.path(), &["new", name, "--lang", "rust"]);
        let said = told(&refused);
        assert_eq!(refused.status.code(), Some(64), "{said}");
        assert!(said.contains(&format!("`{name}`")) && said.contains(rule), "{said}");
    }
    assert!(files(here.path()).is_empty());
}

#[test]
fn inside_the_repository_it_becomes_a_member() {
    let here = tempfile::tempdir().unwrap();
    let manifest = here.path().join("Cargo.toml");
    std::fs::write(&manifest, "[workspace]\nmembers = [\n    \"queue\",\n]\n").unwrap();
    let library = here.path().join("plugins/sdk/rust");
    std::fs::create_dir_all(&library).unwrap();
    std::fs::write(library.join("Cargo.toml"), "").unwrap();
    let made = worker(&here.path().join("plugins"), &["new", "tide", "--lang", "rust"]);
    assert!(made.status.success(), "{}", told(&made));
    let members = std::fs::read_to_string(manifest).unwrap();
    assert!(members.contains("\"queue\",\n    \"plugins/tide\",\n]"), "{members}");
    let tide = here.path().join("plugins/tide");
    assert!(!tide.join("sdk").exists() && !tide.join("wit").exists());
    let build = std::fs::read_to_string(tide.join("build")).unwrap();
    assert!(build.contains("cargo xtask build-plugins tide"), "{build}");
}

/// The whole environment of a plugin's `build`. What the plugin depends on is kept between runs.
pub(crate) fn build_environment(folder: &Path) -> Vec<(String, String)> {
    let of_cargo = |name: &str| name.starts_with("CARGO") || name.starts_with("RUST");
    let where_it_is = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
    let own = std::env::vars()
        .filter(|(name, _)| !of_cargo(name) || where_it_is.contains(&name.as_str()));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-plugin");
    let set = [
        ("CARGO_TARGET_DIR".to_owned(), target.display().to_string()),
        ("CARGO_NET_OFFLINE".to_owned(), "true".to_owned()),
    ];
    own.chain(set).chain(guest_environment(folder)).collect()
}

/// What a build needs on this machine.
fn guest_environment(folder: &Path) -> Vec<(String, String)> {
    let file = folder.join("guest-env.json");
    let xtask = Path::new(env!("CARGO_BIN_EXE_worker")).with_file_name("xtask");
    let printed = Command::new(&xtask).arg("guest-env").arg(&file).output();
    let printed = printed.unwrap_or_else(|error| panic!("{}: {error}", xtask.display()));
    assert!(printed.status.success(), "{}", told(&printed));
    let environment: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    environment
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[test]
fn a_new_plugin_in_rust_is_built_checked_and_answers() {
    // Outside the repository.
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    assert!(worker(here, &["new", "tide", "--lang", "rust"]).status.success());
    let tide = here.join("tide");
    // The versions that this workspace has, and nothing from the network.
    std::fs::copy(root().join("Cargo.lock"), tide.join("Cargo.lock")).unwrap();
    let built = Command::new(tide.join("build"))
        .env_clear()
        .envs(build_environment(here))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", told(&built));

    let checked = worker(&tide, &["check", "tide.wasm"]);
    assert!(
        told(&checked).starts_with("tide.wasm: tide 0.1.0 handles tide "),
        "{}",
        told(&checked)
    );
    let run = |params: &str| {
        worker(&tide, &["run", "tide.wasm", "--task-type", "tide", "--params", params])
    };
    let answered = run(r#"{"text":"tea coffee"}"#);
    let result: Value = serde_json::from_slice(&answered.stdout).unwrap();
    let data = &result["data"];
    assert_eq!(data["words"], serde_json::json!(["tea", "coffee"]));
    assert_eq!(
        data["view"]["text"],
        format!("**Tide** chooses **{}**.", data["chosen"].as_str().unwrap())
    );
    let refused = run(r#"{"text":" "}"#);
    let result: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert!(result["error"].as_str().unwrap().contains("for instance: tea coffee"), "{result}");

    let facts: Value =
        serde_json::from_slice(&worker(&tide, &["inspect", "tide.wasm", "--json"]).stdout).unwrap();
    assert_eq!(facts["plugin"]["commands"][0]["name"], "tide");
    // What the plugin does not use, it does not ask for.
    assert!(!facts["anatomy"].to_string().contains("wasi:http"), "{facts}");
}
