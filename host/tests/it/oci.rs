//! Plugins in a registry: Debian's `docker-registry`, and servers that lie.
//!
//! Tests that need a program which is not on this machine say so and pass. `cargo xtask test` installs the registry.

mod hostile;
pub(crate) mod registry;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::registry::{NO_REGISTRY, PASSWORD, TestRegistry, USER, login, on_path};
use crate::support::{Folder, component, redis, run, said, start_worker};

/// `worker plugins …` with a home of its own, so that no password of whoever runs the tests is used.
fn plugins_at(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg("plugins").args(arguments);
    for name in ["RUST_LOG", "PLUGINS", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.env_remove("EXTENDED_SEARCH_URL").env_remove("SUPABASE_URL");
    command.env("HOME", home).env("PLUGIN_CACHE", home.join("cache")).output().unwrap()
}

fn plugins(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    plugins_at(home.path(), arguments)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The component that tests store: it needs no settings.
fn dice() -> PathBuf {
    component("dice")
}

/// Stores `dice` and returns the address that names exactly it.
fn push(address: &str) -> String {
    let pushed = plugins(&["push", text(&dice()), address, "--json"]);
    let pushed_text = said(&pushed);
    assert_eq!(pushed.status.code(), Some(0), "{pushed_text}");
    let report: Value = serde_json::from_slice(&pushed.stdout).unwrap();
    report["address"].as_str().unwrap().to_owned()
}

/// `pull` is refused with `part` in its words, and leaves nothing in the folder.
fn refused(address: &str, part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let pulled = plugins(&["pull", address, "--to", text(folder.path())]);
    let told = said(&pulled);
    assert_ne!(pulled.status.code(), Some(0), "{told}");
    assert!(told.contains(part), "{part}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left: {told}");
}

#[tokio::test]
async fn a_plugin_travels_through_a_registry_to_a_running_worker() {
    let Some(registry) = TestRegistry::start() else { return eprintln!("{NO_REGISTRY}") };
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let worker = start_worker(&redis, &folder).await;
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("search.wasm");
    std::fs::copy(component("marked/search"), &file).unwrap();
    std::fs::create_dir(source.path().join("data")).unwrap();
    for name in ["search.toml", "data/creators.csv"] {
        std::fs::copy(folder.path().join(name), source.path().join(name)).unwrap();
    }
    let address = registry.address("team/search:2");
    let pushed = plugins(&["push", text(&file), &address]);
    assert_eq!(pushed.status.code(), Some(0), "{}", said(&pushed));
    let pulled = plugins(&["pull", &address, "--to", text(folder.path())]);
    assert_eq!(pulled.status.code(), Some(0), "{}", said(&pulled));
    assert!(said(&pulled).contains("in place"), "{}", said(&pulled));
    worker.says(&["plugin published", "1.0.0+marked"]).await;
    assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let hidden = left.filter(|entry| {
        entry.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b".pull-")
    });
    assert_eq!(hidden.count(), 0);
}

#[test]
fn the_same_plugin_has_the_same_digest_and_a_tag_may_move_but_not_a_digest() {
    let Some(registry) = TestRegistry::start() else { return eprintln!("{NO_REGISTRY}") };
    let address = registry.address("dice:1");
    let pinned = push(&address);
    assert_eq!(push(&address), pinned);
    let other = tempfile::tempdir().unwrap();
    let file = other.path().join("dice.wasm");
    // A custom section: the same plugin with other bytes.
    let mut bytes = std::fs::read(dice()).unwrap();
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    std::fs::write(&file, &bytes).unwrap();
    let pushed = plugins(&["push", text(&file), &address]);
    assert_eq!(pushed.status.code(), Some(0), "{}", said(&pushed));
    let pull = |address: &str| {
        let folder = tempfile::tempdir().unwrap();
        let pulled = plugins(&["pull", address, "--to", text(folder.path())]);
        assert_eq!(pulled.status.code(), Some(0), "{}", said(&pulled));
        std::fs::read(folder.path().join("dice.wasm")).unwrap()
    };
    assert_eq!(pull(&address), bytes);
    assert_eq!(pull(&pinned), std::fs::read(dice()).unwrap());
    let told = said(&plugins(&["push", text(&file), &pinned]));
    assert!(told.contains("name a tag instead"), "{told}");
}

#[test]
fn settings_and_signature_travel_along_and_settings_are_taken_only_when_asked_for() {
    let Some(registry) = TestRegistry::start() else { return eprintln!("{NO_REGISTRY}") };
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("probe.wasm");
    std::fs::copy(component("probe"), &file).unwrap();
    // It imports HTTP, so it needs the grant.
    let settings = "[grants]\nnet = []\n\n[config]\nmode = \"x\"\n";
    std::fs::write(source.path().join("probe.toml"), settings).unwrap();
    std::fs::write(source.path().join("probe.wasm.minisig"), "untrusted comment: x\n").unwrap();
    let address = registry.address("probe:1");
    let toml = source.path().join("probe.toml");
    let pushed = plugins(&["push", text(&file), &address, "--settings", text(&toml)]);
    assert!(said(&pushed).contains("with its settings and signature"), "{}", said(&pushed));

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pull = |more: &[&str]| {
        let mut arguments = vec!["pull", &address, "--to", text(folder.path())];
        arguments.extend(more);
        plugins(&arguments)
    };
    let without = pull(&[]);
    assert_eq!(without.status.code(), Some(1), "{}", said(&without));
    assert!(said(&without).contains("--with-settings takes them"), "{}", said(&without));
    assert!(said(&without).contains("  mode = \"x\""), "they are shown: {}", said(&without));
    assert!(!at("probe.wasm").exists());
    // The operator's own settings stay.
    std::fs::write(at("probe.toml"), "[grants]\nnet = []\n").unwrap();
    assert_eq!(pull(&[]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(at("probe.toml")).unwrap(), "[grants]\nnet = []\n");
    assert_eq!(pull(&["--with-settings"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(at("probe.toml")).unwrap(), settings);
    let signature = std::fs::read_to_string(at("probe.wasm.minisig")).unwrap();
    assert_eq!(signature, "untrusted comment: x\n");
    // A signature that is for another component does not stay behind.
    let told = said(&plugins(&[
        "pull",
        &push(&registry.address("probe:2")),
        "--to",
        text(folder.path()),
        "--name",
        "probe",
    ]));
    assert!(told.contains("in place"), "{told}");
    assert!(!at("probe.wasm.minisig").exists());
}

#[test]
fn what_a_worker_would_refuse_is_neither_stored_nor_put_in_place() {
    let Some(registry) = TestRegistry::start() else { return eprintln!("{NO_REGISTRY}") };
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("probe.wasm");
    std::fs::copy(component("probe"), &file).unwrap();
    let address = registry.address("probe:1");
    let pushed = plugins(&["push", text(&file), &address]);
    assert_eq!(pushed.status.code(), Some(1));
    assert!(said(&pushed).contains("net = []"), "{}", said(&pushed));
    refused(&address, "status 404");
    let pushed = plugins(&["push", text(&file), &address, "--unchecked"]);
    assert_eq!(pushed.status.code(), Some(0), "{}", said(&pushed));
    refused(&address, "net = []");
    std::fs::write(&file, b"no component").unwrap();
    let pushed = plugins(&["push", text(&file), &address, "--unchecked"]);
    assert_eq!(pushed.status.code(), Some(1), "{}", said(&pushed));
    let folder = tempfile::tempdir().unwrap();
    let named = plugins(&["pull", &address, "--to", text(folder.path()), "--name", "../x"]);
    assert!(said(&named).contains("is no name for a plugin"), "{}", said(&named));
}

#[test]
fn a_changed_or_missing_or_cut_blob_is_refused() {
    let Some(registry) = TestRegistry::start() else { return eprintln!("{NO_REGISTRY}") };
    let pinned = push(&registry.address("dice:1"));
    let bytes = std::fs::read(dice()).unwrap();
    let blob = registry.blob(&format!("{:x}", Sha256::digest(&bytes)));
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(&blob, &flipped).unwrap();
    refused(&pinned, "nothing of it is used");
    std::fs::write(&blob, &bytes[..middle]).unwrap();
    refused(&pinned, "instead of the");
    let mut longer = bytes.clone();
    longer.push(0);
    std::fs::write(&blob, &longer).unwrap();
    refused(&pinned, "instead of the");
    std::fs::remove_file(&blob).unwrap();
    refused(&pinned, "refused the request for the component: status 404");
    // The manifest is a file there as well.
    std::fs::write(&blob, &bytes).unwrap();
    let (_, digest) = pinned.split_once("@sha256:").unwrap();
    let manifest = registry.blob(digest);
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("application/wasm", "application/wasn")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pulled = plugins(&["pull", &pinned, "--to", folder.path().to_str().unwrap()]);
    assert_eq!(pulled.status.code(), Some(1), "{}", said(&pulled));
}

#[test]
fn a_registry_with_passwords_takes_the_users_and_nobody_sees_it() {
    let Some(registry) = TestRegistry::start_with_password() else {
        return eprintln!("{NO_REGISTRY}");
    };
    let address = registry.address("dice:1");
    let nobody = plugins(&["push", text(&dice()), &address]);
    assert!(said(&nobody).contains("asks for a password and none is known"), "{}", said(&nobody));
    let home = tempfile::tempdir().unwrap();
    login(home.path(), registry.host(), USER, "wrong-s3cret");
    let wrong = plugins_at(home.path(), &["push", text(&dice()), &address]);
    assert!(said(&wrong).contains("status 401"), "{}", said(&wrong));
    assert!(!said(&wrong).contains("wrong-s3cret"), "{}", said(&wrong));
    login(home.path(), registry.host(), USER, PASSWORD);
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    let loud = command
        .args(["plugins", "push", text(&dice()), &address])
        .env("HOME", home.path())
        .env("PLUGIN_CACHE", "none")
        .env("RUST_LOG", "trace,cranelift_codegen=off,regalloc2=off,wasmtime=off")
        .env_remove("DOCKER_CONFIG")
        .env_remove("REGISTRY_AUTH_FILE")
        .output()
        .unwrap();
    let told = said(&loud);
    assert_eq!(loud.status.code(), Some(0), "{told}");
    let encoded = registry::encoded(USER, PASSWORD);
    assert!(!told.contains(PASSWORD) && !told.contains(&encoded), "the log has the password");
    let folder = tempfile::tempdir().unwrap();
    let pulled =
        plugins_at(home.path(), &["pull", &address, "--to", folder.path().to_str().unwrap()]);
    assert_eq!(pulled.status.code(), Some(0), "{}", said(&pulled));
    // A password that is kept by a program.
    let programs = tempfile::tempdir().unwrap();
    registry::helper(programs.path(), "kept", USER, PASSWORD);
    let file = json!({"credHelpers": {registry.host(): "kept"}}).to_string();
    std::fs::write(home.path().join(".docker/config.json"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let kept = command
        .args(["plugins", "pull", &address, "--to", folder.path().to_str().unwrap()])
        .env("HOME", home.path())
        .env("PLUGIN_CACHE", "none")
        .env("PATH", path)
        .env_remove("DOCKER_CONFIG")
        .env_remove("REGISTRY_AUTH_FILE")
        .output()
        .unwrap();
    assert_eq!(kept.status.code(), Some(0), "{}", said(&kept));
}

#[test]
fn another_tool_copies_ours_and_ours_reads_the_copy() {
    let Some(registry) = TestRegistry::start() else { return eprintln!("{NO_REGISTRY}") };
    if !on_path("skopeo") {
        return eprintln!("skipped: there is no skopeo on this machine");
    }
    let pinned = push(&registry.address("dice:1"));
    let place = |name: &str| format!("docker://{}/{name}", registry.host());
    let skopeo = |arguments: &[&str]| {
        let output = Command::new("skopeo").args(arguments).output().unwrap();
        assert!(output.status.success(), "skopeo {arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &place("dice:1")]);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert!(pinned.ends_with(&format!("{:x}", Sha256::digest(raw.trim_end().as_bytes()))));
    skopeo(&[
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &place("dice:1"),
        &place("copies/dice:1"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let copy = registry.address("copies/dice:1");
    let pulled = plugins(&["pull", &copy, "--to", text(folder.path())]);
    assert_eq!(pulled.status.code(), Some(0), "{}", said(&pulled));
    let bytes = std::fs::read(folder.path().join("dice.wasm")).unwrap();
    assert_eq!(bytes, std::fs::read(dice()).unwrap());
}
