//! `worker plugins …`: checks and runs plugins without a queue.

use std::process::Output;

use serde_json::Value;

use crate::support::Folder;

pub(crate) fn plugins(arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg("plugins").args(arguments).env_remove("RUST_LOG").env_remove("PLUGINS");
    command.env("PLUGIN_CACHE", "none");
    command.env_remove("EXTENDED_SEARCH_URL").env_remove("SUPABASE_URL").output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn file(folder: &Folder, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[test]
fn a_folder_is_listed_with_what_is_refused_and_why() {
    let folder = Folder::with(&["search", "probe"]);
    folder.settings("probe", "");
    std::fs::write(folder.path().join("junk.wasm"), b"not wasm").unwrap();
    let listed = plugins(&["list", &folder.path().display().to_string()]);
    assert_eq!(listed.status.code(), Some(1), "something is refused");
    let lines: Vec<String> = said(&listed).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("junk.wasm: refused:"), "{}", lines[0]);
    assert!(lines[1].contains("net = []"), "{}", lines[1]);
    assert!(lines[2].starts_with("search.wasm: search "), "{}", lines[2]);
    assert!(lines[2].contains("search_creator") && lines[2].contains("prepared once"));
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_worker"));
    for name in ["LISTEN", "CONCURRENCY", "DRAIN_SECONDS", "LOG_FORMAT", "REDIS_CA", "PLUGIN_CACHE"]
    {
        command.env(name, "");
    }
    // The worker starts, and ends because of the unusable address of Redis.
    command.env("REDIS_URL", "nonsense").env_remove("RUST_LOG");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped by an error") && !said.contains("invalid value"), "{said}");
}

#[test]
fn a_log_filter_that_does_not_parse_is_told_and_wrong_usage() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_worker"));
    let output = command.env("RUST_LOG", "host=loud").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.starts_with("error: RUST_LOG: "), "{said}");
}

#[test]
fn an_error_that_the_log_filter_hides_is_printed() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_worker"));
    let output =
        command.env("RUST_LOG", "queue=info").env("REDIS_URL", "nonsense").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: the Redis address is not usable"), "{said}");
}

#[test]
fn a_check_says_yes_or_why_not() {
    let folder = Folder::with(&["search", "probe"]);
    // Before the good one, whose neighbours are looked at too.
    folder.settings("probe", "[grants]\nnett = []\n");
    let good = plugins(&["check", &file(&folder, "search.wasm")]);
    assert_eq!(good.status.code(), Some(0), "{}", said(&good));
    let bad = plugins(&["check", &file(&folder, "probe.wasm"), "--json"]);
    assert_eq!(bad.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(told["accepted"], false);
    assert!(told["refusal"].to_string().contains("unknown field `nett`"), "{told}");
}

#[test]
fn a_plugin_that_is_refused_is_a_failure_and_no_wrong_usage() {
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", "[grants]\nnett = []\n");
    std::fs::create_dir(folder.path().join("tests")).unwrap();
    let case = r#"{"task": {"type": "probe_echo", "params": {}}}"#;
    std::fs::write(folder.path().join("tests/echo.json"), case).unwrap();
    let here = folder.path().display().to_string();
    let probe = file(&folder, "probe.wasm");
    std::fs::write(folder.path().join("junk.wasm"), b"not wasm").unwrap();
    for (arguments, part) in [
        (["run", &probe, "--task-type", "probe_echo"].as_slice(), "unknown field `nett`"),
        (&["test", &here], "junk.wasm"),
    ] {
        let refused = plugins(arguments);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.starts_with("error: ") && told.contains(part), "{arguments:?}: {told}");
    }
    for command in ["run", "check", "inspect"] {
        let missing = plugins(&[command, &file(&folder, "nothing.wasm")]);
        let told = String::from_utf8_lossy(&missing.stderr);
        assert_eq!(missing.status.code(), Some(64), "{command}: {told}");
        assert!(told.contains("there is no file") && told.contains("build the plugin"), "{told}");
    }
}

#[test]
fn settings_of_the_shipped_plugins_that_do_not_fit_are_told_and_cost_only_what_they_are_for() {
    let folder = Folder::with(&["search", "content"]);
    for (name, line, other, part) in [
        (
            "content",
            "page_size = 10",
            "page_size = 51",
            "`page_size` in content.toml is a whole number from 1 to 50",
        ),
        ("content", "timeout_seconds = 10", "timeout_seconds = 0", "from 1 to 25"),
        ("content", "cache_seconds = 300", "cache_seconds = 0.5", "from 0 to 86400"),
        ("search", "timeout_seconds = 10", "timeout_seconds = 26", "from 1 to 25"),
        ("search", "\"discourse\"", "\"phpbb\"", "is `discourse` or `xenforo`"),
    ] {
        let path = folder.path().join(format!("{name}.toml"));
        let shipped = std::fs::read_to_string(&path).unwrap();
        assert!(shipped.contains(line), "{line}");
        folder.settings(name, &shipped.replace(line, other));
        let inspected = plugins(&["inspect", &file(&folder, &format!("{name}.wasm"))]);
        assert_eq!(inspected.status.code(), Some(0), "{other}: {}", said(&inspected));
        assert!(said(&inspected).contains(part), "{other}: {}", said(&inspected));
        let (task_type, params) = match name {
            "search" => ("search_creator", r#"{"query":"luna marlowe"}"#),
            _ => (
                "load_content",
                r#"{"creator_name":"Luna Marlowe","creator_url":"https://creators.example/luna-marlowe"}"#,
            ),
        };
        let file = file(&folder, &format!("{name}.wasm"));
        let ran = plugins(&["run", &file, "--task-type", task_type, "--params", params]);
        assert_eq!(ran.status.code(), Some(0), "{other}: {}", said(&ran));
        folder.settings(name, &shipped);
    }
}

#[test]
fn an_inspection_shows_types_schemas_imports_and_digest() {
    let folder = Folder::with(&["search"]);
    let shown = plugins(&["inspect", &file(&folder, "search.wasm"), "--json"]);
    assert_eq!(shown.status.code(), Some(0));
    let facts: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(facts["plugin"]["task_types"][0]["name"], "search_creator");
    assert!(facts["plugin"]["task_types"][0]["params_schema"]["properties"]["query"].is_object());
    let imports = facts["anatomy"]["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| import == "freefans:plugin/data@1.0.0"), "{imports:?}");
    assert_eq!(facts["anatomy"]["digest"].as_str().unwrap().len(), 64);
    let people = said(&plugins(&["inspect", &file(&folder, "search.wasm")]));
    for part in ["imports:", "  wasi:io/poll", "exports:\n  describe", "search_creator: "] {
        assert!(people.contains(part), "{part}: {people}");
    }
}

#[test]
fn one_task_is_run_with_the_grants_of_the_settings_and_of_the_call() {
    let folder = Folder::with(&["search", "probe"]);
    let search = file(&folder, "search.wasm");
    let found = plugins(&[
        "run",
        &search,
        "--task-type",
        "search_creator",
        "--params",
        r#"{"query":"luna marlowe"}"#,
    ]);
    assert_eq!(found.status.code(), Some(0));
    let result: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(result["data"]["creators"][0]["name"], "Luna Marlowe");
    let repeated = plugins(&[
        "run",
        &search,
        "--task-type",
        "get_random_creator",
        "--params",
        r#"{"min_items":1}"#,
        "--repeat",
        "5",
    ]);
    assert!(said(&repeated).contains("of 4 runs; at most"), "{}", said(&repeated));

    let probe = file(&folder, "probe.wasm");
    let fetch = [
        "run",
        &probe,
        "--task-type",
        "probe_fetch",
        "--params",
        r#"{"url":"http://127.0.0.1:1/"}"#,
    ];
    let refused = plugins(&fetch);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("Denied"));
    let granted = plugins(&[&fetch[..], &["--allow", "net=http://127.0.0.1:1"]].concat());
    assert!(!said(&granted).contains("Denied"), "{}", said(&granted));
    let file = "data.creators=".to_owned() + &file(&folder, "data/creators.csv");
    let read = ["run", &probe, "--task-type", "probe_data", "--params", r#"{"name":"creators"}"#];
    assert_eq!(plugins(&read).status.code(), Some(1));
    assert_eq!(plugins(&[&read[..], &["--allow", &file]].concat()).status.code(), Some(0));

    for (arguments, part) in [
        (["run", &probe, "--task-type", "nothing"].as_slice(), "does not handle `nothing`"),
        (&["run", &probe, "--task-type", "probe_echo", "--params", "7"], "takes a JSON object"),
        (&["run", &probe, "--task-type", "probe_echo", "--allow", "all"], "is no grant"),
        (&["list", "/nowhere"], "cannot read the plugin folder /nowhere"),
    ] {
        let wrong = plugins(arguments);
        assert_eq!(wrong.status.code(), Some(64), "{arguments:?}");
        let told = String::from_utf8_lossy(&wrong.stderr);
        assert!(told.contains(part), "{told}");
    }
}
