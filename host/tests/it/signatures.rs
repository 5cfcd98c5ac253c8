//! Signed plugins: what is refused, with which sentence and counter, while the running version goes on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{
    Folder, Process, component, eventually, metrics, plugins, redis, run, said, start_worker,
    start_worker_with,
};

const SETTINGS: &str = "[grants]\nnet = []\n";

/// A key in a folder of its own.
pub(crate) struct Key {
    folder: tempfile::TempDir,
    pub(crate) public: String,
}

impl Key {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.key");
        let made = worker_plugins(&["keygen", text(&file), "--no-password"]);
        assert!(made.status.success(), "{}", said(&made));
        let public = std::fs::read_to_string(folder.path().join("a.pub")).unwrap();
        Self { public: public.lines().last().unwrap().to_owned(), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("a.key")
    }

    /// Signs a component as `worker plugins sign` does; the answer is the text of the signature.
    pub(crate) fn sign(&self, name: &str, wasm: &[u8], settings: &str, flags: &[&str]) -> String {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join(format!("{name}.wasm"));
        std::fs::write(&file, wasm).unwrap();
        std::fs::write(file.with_extension("toml"), settings).unwrap();
        let key = self.file();
        let arguments = [&["sign", text(&file), "--key", text(&key)], flags].concat();
        let signed = worker_plugins(&arguments);
        assert!(signed.status.success(), "{}", said(&signed));
        std::fs::read_to_string(place.path().join(format!("{name}.wasm.minisig"))).unwrap()
    }

    /// Signs with any trusted comment.
    fn sign_comment(&self, wasm: &[u8], comment: &str) -> String {
        let secret = std::fs::read_to_string(self.file()).unwrap();
        let secret = minisign::SecretKeyBox::from_string(&secret).unwrap();
        let secret = secret.into_unencrypted_secret_key().unwrap();
        minisign::sign(None, &secret, wasm, Some(comment), None).unwrap().into_string()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn worker_plugins(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg("plugins").args(arguments).env_remove("RUST_LOG").env("PLUGIN_CACHE", "none");
    command.output().unwrap()
}

/// The probe as another version of itself.
pub(crate) fn probe(major: u8) -> Vec<u8> {
    let mut wasm = std::fs::read(component("marked/probe")).unwrap();
    let version = b"1.0.0+marked";
    let at = wasm.windows(version.len()).position(|bytes| bytes == version).unwrap();
    wasm[at] = b'0' + major;
    wasm
}

/// Puts a plugin with its settings and signature in place, all within the time in which files count as still being
/// written.
fn put(folder: &Folder, name: &str, wasm: &[u8], settings: &str, signature: Option<&str>) {
    let beside = folder.path().join(format!("{name}.wasm.minisig"));
    match signature {
        Some(signature) => std::fs::write(beside, signature).unwrap(),
        None if beside.exists() => std::fs::remove_file(beside).unwrap(),
        None => {}
    }
    folder.settings(name, settings);
    folder.put(name, wasm);
}

/// A folder with the probe as version 2, signed.
fn signed_probe(key: &Key) -> Folder {
    let folder = Folder::with(&[]);
    let wasm = probe(2);
    put(&folder, "probe", &wasm, SETTINGS, Some(&key.sign("probe", &wasm, SETTINGS, &[])));
    folder
}

async fn start(redis: &test_kit::TestRedis, folder: &Folder, key: &Key, require: &str) -> Process {
    let environment =
        [("TRUST", &*key.public), ("REQUIRE_SIGNATURES", require), ("LISTEN", "127.0.0.1:0")];
    start_worker_with(redis, folder, &environment).await
}

/// How often a plugin was put in force.
fn published(worker: &Process) -> usize {
    worker.log().matches("plugin published").count()
}

pub(crate) async fn counted(worker: &Process, code: &str) -> bool {
    metrics(worker).await.contains(&format!("freefans_plugin_loads_total{{outcome=\"{code}\"}}"))
}

#[tokio::test]
async fn what_is_not_signed_as_it_is_there_is_refused_and_the_running_version_goes_on() {
    let (redis, queue) = redis().await;
    let key = Key::new();
    let foreign = Key::new();
    let folder = signed_probe(&key);
    let worker = start(&redis, &folder, &key, "true").await;
    worker.says(&["plugin published", "2.0.0+marked"]).await;

    let three = probe(3);
    let signature = key.sign("probe", &three, SETTINGS, &[]);
    let mut flipped = three.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let one = probe(1);
    let search = std::fs::read(component("search")).unwrap();
    let digest = signature.split("settings=").nth(1).unwrap().split(' ').next().unwrap();
    let other_version = format!("freefans-plugin name=probe version=4.0.0 settings={digest}");
    let wider = format!("{SETTINGS}[limits]\nmax_memory_mb = 300\n");
    for (code, sentence, wasm, settings, signature) in [
        ("signature-missing", "put probe.wasm.minisig beside it", &three, SETTINGS, None),
        (
            "signature-foreign-key",
            "which is not trusted here",
            &three,
            SETTINGS,
            Some(foreign.sign("probe", &three, SETTINGS, &[])),
        ),
        (
            "signature-altered",
            "changed after it was signed",
            &flipped,
            SETTINGS,
            Some(signature.clone()),
        ),
        (
            "signature-altered-settings",
            "probe.toml was changed",
            &three,
            "[grants]\nnet = [\"https://forum.example\"]\n",
            Some(signature.clone()),
        ),
        (
            "signature-other-name",
            "a signature for the plugin `search`",
            &search,
            SETTINGS,
            Some(key.sign("search", &search, SETTINGS, &[])),
        ),
        (
            "signature-other-version",
            "signed as version 4.0.0, and calls itself 3.0.0+marked",
            &three,
            SETTINGS,
            Some(key.sign_comment(&three, &format!("{other_version} timestamp=9999999999"))),
        ),
        (
            "signature-unreadable",
            "covers no name, version and settings",
            &three,
            SETTINGS,
            Some(key.sign_comment(&three, "timestamp:1\tfile:probe.wasm")),
        ),
        (
            "signature-downgrade",
            "sign --rollback-from 2.0.0+marked",
            &one,
            SETTINGS,
            Some(key.sign("probe", &one, SETTINGS, &[])),
        ),
        (
            "wider-grants",
            "it wants 300 MB of memory, had 256",
            &three,
            &*wider,
            Some(key.sign("probe", &three, SETTINGS, &["--without-settings"])),
        ),
    ] {
        put(&folder, "probe", wasm, settings, signature.as_deref());
        worker.says(&["plugin refused", code, sentence]).await;
        assert!(counted(&worker, code).await, "{code}");
        let result = run(&queue, "probe_echo", json!({})).await;
        assert_eq!(result.metadata["plugin_version"], Value::from("2.0.0+marked"), "{code}");
    }
    assert_eq!(published(&worker), 1, "none of them was put in force");
    // The same component, with the settings that the version before had, asks for no more.
    let signature = key.sign("probe", &three, SETTINGS, &["--without-settings"]);
    put(&folder, "probe", &three, SETTINGS, Some(&signature));
    worker.says(&["plugin published", "3.0.0+marked"]).await;
}

#[tokio::test]
async fn a_signature_covers_wider_grants_and_a_signed_way_back_leads_to_an_older_version() {
    let (redis, queue) = redis().await;
    let key = Key::new();
    let folder = signed_probe(&key);
    let worker = start(&redis, &folder, &key, "true").await;
    let wider = "[grants]\nnet = [\"https://forum.example\"]\n";
    let three = probe(3);
    put(&folder, "probe", &three, wider, Some(&key.sign("probe", &three, wider, &[])));
    worker.says(&["plugin published", "3.0.0+marked"]).await;
    eventually("the new version is kept", async || {
        said(&plugins(&folder, &["list"])).contains(": 3.0.0+marked").then_some(())
    })
    .await;

    // The operator's way back puts the signature of that time in place too, which is no longer good enough.
    let back = plugins(&folder, &["rollback", "probe", "--with-settings"]);
    assert!(back.status.success(), "{}", said(&back));
    assert!(said(&back).contains("--rollback-from VERSION"), "{}", said(&back));
    worker.says(&["plugin refused", "signature-downgrade", "--rollback-from 3.0.0+marked"]).await;
    let file = folder.path().join("probe.wasm");
    let key_file = key.file();
    let sign = ["sign", text(&file), "--key", text(&key_file), "--rollback-from", "3.0.0+marked"];
    let signed = plugins(&folder, &sign);
    assert!(signed.status.success(), "{}", said(&signed));
    eventually("the older version", async || {
        let result = run(&queue, "probe_echo", json!({})).await;
        (result.metadata["plugin_version"] == "2.0.0+marked").then_some(())
    })
    .await;
    drop(worker);
    // A restart takes it as well: nothing newer was accepted.
    let worker = start(&redis, &folder, &key, "true").await;
    worker.says(&["plugin published", "2.0.0+marked"]).await;
}

#[tokio::test]
async fn after_a_restart_an_older_version_is_still_known_as_older_and_the_last_good_one_runs() {
    let (redis, queue) = redis().await;
    let key = Key::new();
    let folder = signed_probe(&key);
    drop(start(&redis, &folder, &key, "true").await);
    let one = probe(1);
    put(&folder, "probe", &one, SETTINGS, Some(&key.sign("probe", &one, SETTINGS, &[])));
    let worker = start(&redis, &folder, &key, "true").await;
    worker.says(&["plugin refused", "signature-downgrade"]).await;
    worker.says(&["the last good version is in force", "2.0.0+marked"]).await;
    assert!(run(&queue, "probe_echo", json!({})).await.success);
}

#[tokio::test]
async fn an_archived_version_that_was_changed_on_disk_is_not_restored() {
    let (redis, _queue) = redis().await;
    let key = Key::new();
    let folder = signed_probe(&key);
    drop(start(&redis, &folder, &key, "true").await);
    // Someone replaces the archived component, and makes its record match.
    let archived = files_named(&folder.path().join("cache/versions"), "probe.wasm");
    assert_eq!(archived.len(), 1, "{archived:?}");
    let other = probe(3);
    std::fs::write(&archived[0], &other).unwrap();
    let about = archived[0].with_file_name("about.json");
    let record = std::fs::read_to_string(&about).unwrap();
    let mut record: Value = serde_json::from_str(&record).unwrap();
    record["digest"] = Value::from(sha256(&archived[0]));
    std::fs::write(&about, record.to_string()).unwrap();

    put(&folder, "probe", &other, SETTINGS, None);
    let worker = start(&redis, &folder, &key, "true").await;
    worker.says(&["plugin refused", "signature-missing"]).await;
    worker.says(&["archived version not usable", "changed after it was signed"]).await;
    assert_eq!(published(&worker), 0);
    assert!(counted(&worker, "signature-altered").await);
}

/// How often the worker has compiled.
async fn compiles(worker: &Process) -> String {
    let metrics = metrics(worker).await;
    let line = metrics.lines().find(|line| line.starts_with("freefans_plugin_compiles_total "));
    line.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn nothing_is_compiled_of_what_is_not_signed_as_it_should_be() {
    let (redis, _queue) = redis().await;
    let key = Key::new();
    let folder = signed_probe(&key);
    let worker = start(&redis, &folder, &key, "true").await;
    let before = compiles(&worker).await;
    assert!(!before.is_empty());
    let three = probe(3);
    let foreign = Key::new().sign("probe", &three, SETTINGS, &[]);
    let any = key.sign("probe", &three, SETTINGS, &["--without-settings"]);
    let wider = "[grants]\nnet = [\"https://forum.example\"]\n";
    for (code, settings, signature) in [
        ("signature-missing", SETTINGS, None),
        ("signature-foreign-key", SETTINGS, Some(&foreign)),
        ("wider-grants", wider, Some(&any)),
    ] {
        put(&folder, "probe", &three, settings, signature.map(String::as_str));
        worker.says(&["plugin refused", code]).await;
    }
    assert_eq!(compiles(&worker).await, before);
    put(&folder, "probe", &three, SETTINGS, Some(&any));
    worker.says(&["plugin published", "3.0.0+marked"]).await;
    assert_ne!(compiles(&worker).await, before);
}

#[tokio::test]
async fn without_a_version_before_settings_that_no_signature_covers_may_grant_nothing() {
    let (redis, _queue) = redis().await;
    let key = Key::new();
    let folder = Folder::with(&[]);
    let wasm = probe(2);
    let any = key.sign("probe", &wasm, SETTINGS, &["--without-settings"]);
    put(&folder, "probe", &wasm, SETTINGS, Some(&any));
    let worker = start(&redis, &folder, &key, "true").await;
    worker.says(&["plugin refused", "wider-grants"]).await;
    assert_eq!(published(&worker), 0);
}

#[tokio::test]
async fn a_signature_file_that_is_no_text_or_too_long_is_not_taken_for_none() {
    let (redis, queue) = redis().await;
    let key = Key::new();
    let folder = signed_probe(&key);
    // A missing signature would be taken here.
    let worker = start(&redis, &folder, &key, "false").await;
    let three = probe(3);
    let mut long = key.sign("probe", &three, SETTINGS, &[]).into_bytes();
    long.resize(9_000, b'\n');
    for (sentence, signature) in [("it is no text", vec![0xff; 300]), ("at most 8192", long)] {
        std::fs::write(folder.path().join("probe.wasm.minisig"), signature).unwrap();
        folder.put("probe", &three);
        worker.says(&["plugin refused", sentence]).await;
    }
    let result = run(&queue, "probe_echo", json!({})).await;
    assert_eq!(result.metadata["plugin_version"], Value::from("2.0.0+marked"));
}

/// The files of this name below a folder.
fn files_named(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_named(&path, name));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn where_no_signature_is_required_a_missing_one_is_taken_and_a_wrong_one_is_not() {
    let (redis, queue) = redis().await;
    let key = Key::new();
    let folder = Folder::with(&[]);
    let two = probe(2);
    put(&folder, "probe", &two, SETTINGS, None);
    let worker = start(&redis, &folder, &key, "false").await;
    worker.says(&["plugin not signed; accepted", "probe"]).await;
    let three = probe(3);
    let foreign = Key::new().sign("probe", &three, SETTINGS, &[]);
    put(&folder, "probe", &three, SETTINGS, Some(&foreign));
    worker.says(&["plugin refused", "signature-foreign-key"]).await;
    let result = run(&queue, "probe_echo", json!({})).await;
    assert_eq!(result.metadata["plugin_version"], Value::from("2.0.0+marked"));
    // A right signature that comes later is noticed, though the component is the same.
    let signature = key.sign("probe", &three, SETTINGS, &[]);
    std::fs::write(folder.path().join("probe.wasm.minisig"), signature).unwrap();
    worker.says(&["plugin signed with a trusted key"]).await;
    worker.says(&["plugin published", "3.0.0+marked"]).await;
}

#[tokio::test]
async fn without_a_trusted_key_a_signature_is_not_looked_at() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&[]);
    put(&folder, "probe", &probe(2), SETTINGS, Some("nonsense"));
    let worker = start_worker(&redis, &folder).await;
    assert!(run(&queue, "probe_echo", json!({})).await.success);
    let log = worker.log();
    assert!(!log.contains("not signed") && !log.contains("signature"), "{log}");
}

#[test]
fn a_key_that_is_none_and_a_requirement_without_a_key_are_wrong_usage() {
    let serve = |environment: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.env_remove("RUST_LOG").env("REDIS_URL", "nonsense");
        let output = command.envs(environment.iter().copied()).output().unwrap();
        (output.status.code(), said(&output))
    };
    let (code, words) = serve(&[("REQUIRE_SIGNATURES", "true")]);
    assert_eq!(code, Some(64), "{words}");
    assert!(words.contains("needs a trusted key"), "{words}");
    let (code, words) = serve(&[("TRUST", "nonsense")]);
    assert_eq!(code, Some(64), "{words}");
    assert!(words.contains("`nonsense` is no minisign public key"), "{words}");
}

#[test]
fn a_key_with_a_password_signs_with_it_only_and_is_never_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    std::fs::write(at("password"), "correct horse\n").unwrap();
    std::fs::write(at("wrong"), "battery\n").unwrap();
    let key = at("k.key");
    let password = at("password");
    let wrong = at("wrong");
    let keygen = ["keygen", text(&key), "--password-file", text(&password)];
    let made = worker_plugins(&keygen);
    assert!(made.status.success(), "{}", said(&made));
    let again = worker_plugins(&keygen);
    assert!(!again.status.success() && said(&again).contains("k.key"), "{}", said(&again));
    let file = at("search.wasm");
    std::fs::copy(component("search"), &file).unwrap();
    let sign = |password: &Path| {
        let key = at("k.key");
        worker_plugins(&[
            "sign",
            text(&file),
            "--key",
            text(&key),
            "--password-file",
            text(password),
        ])
    };
    let refused = sign(&wrong);
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(said(&refused).contains("Wrong password"), "{}", said(&refused));
    assert!(!at("search.wasm.minisig").exists());
    let signed = sign(&password);
    assert!(signed.status.success(), "{}", said(&signed));
    let public = at("k.pub");
    let verified = worker_plugins(&["verify", text(&file), "--trust", text(&public)]);
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(said(&verified).contains("name=search version=1.0.0 settings=none"));
    let sign = ["sign", text(&file), "--key", text(&key), "--password-file", text(&password)];
    let ahead = worker_plugins(&[&sign[..], &["--rollback-from", "0.9.0"]].concat());
    assert!(!ahead.status.success(), "{}", said(&ahead));
    assert!(said(&ahead).contains("1.0.0 is not below 0.9.0"), "{}", said(&ahead));
    // A name that the plugin does not have is not signed.
    let renamed = at("find.wasm");
    std::fs::rename(&file, &renamed).unwrap();
    let refused = worker_plugins(&["sign", text(&renamed), "--key", text(&key)]);
    assert!(said(&refused).contains("name the file search.wasm"), "{}", said(&refused));
}

#[test]
fn verify_compares_what_was_signed_with_what_the_component_declares() {
    let key = Key::new();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("search.wasm");
    std::fs::copy(component("search"), &file).unwrap();
    let wasm = std::fs::read(&file).unwrap();
    let comment = "freefans-plugin name=search version=4.0.0 settings=none";
    let signature = key.sign_comment(&wasm, comment);
    std::fs::write(place.path().join("search.wasm.minisig"), signature).unwrap();
    let refused = worker_plugins(&["verify", text(&file), "--trust", &key.public]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("signature-other-version"), "{}", said(&refused));
}

/// What is typed at the stock tool.
const PASSWORD_TWICE: &[u8] = b"horse\nhorse\n";

/// The stock tool; none where it is not installed.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn minisign(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("minisign");
    let piped = command.args(arguments).stdin(Stdio::piped());
    match piped.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(mut process) => {
            // A tool that asks for no password does not read it.
            let _ = process.stdin.take().unwrap().write_all(PASSWORD_TWICE);
            Some(process.wait_with_output().unwrap())
        }
        Err(error) => {
            eprintln!("skipped: no `minisign` on this machine ({error}); apt install minisign");
            None
        }
    }
}

#[test]
fn the_stock_tool_verifies_ours_and_ours_verifies_its_signature_with_the_right_comment() {
    let key = Key::new();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("search.wasm");
    std::fs::copy(component("search"), &file).unwrap();
    let key_file = key.file();
    let signed = worker_plugins(&["sign", text(&file), "--key", text(&key_file)]);
    assert!(signed.status.success(), "{}", said(&signed));
    let Some(verified) = minisign(&["-Vm", text(&file), "-P", &key.public]) else { return };
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(said(&verified).contains("Trusted comment: freefans-plugin name=search version=1.0.0"));

    let secret = place.path().join("s.key");
    let public = place.path().join("s.pub");
    let made = minisign(&["-G", "-p", text(&public), "-s", text(&secret)]).unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let verify = || worker_plugins(&["verify", text(&file), "--trust", text(&public)]);
    let plain = minisign(&["-Sm", text(&file), "-s", text(&secret)]).unwrap();
    assert!(plain.status.success(), "{}", said(&plain));
    let refused = verify();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("signature-unreadable"), "{}", said(&refused));
    let comment = "freefans-plugin name=search version=1.0.0 settings=none";
    let ours = minisign(&["-Sm", text(&file), "-s", text(&secret), "-t", comment]).unwrap();
    assert!(ours.status.success(), "{}", said(&ours));
    let accepted = verify();
    assert!(accepted.status.success(), "{}", said(&accepted));
    // Its key signs with ours, too; one that it made without a password has no checksum.
    let password = place.path().join("password");
    std::fs::write(&password, PASSWORD_TWICE).unwrap();
    let flags = ["--password-file", text(&password)];
    let sign = |key: &Path| {
        let sign = ["sign", text(&file), "--key", text(key)];
        worker_plugins(&[&sign[..], &flags].concat())
    };
    let signed = sign(&secret);
    assert!(signed.status.success(), "{}", said(&signed));
    assert!(verify().status.success());
    let bare = place.path().join("w.key");
    let bare_public = place.path().join("w.pub");
    let made = minisign(&["-GW", "-p", text(&bare_public), "-s", text(&bare)]).unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let refused = sign(&bare);
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(said(&refused).contains("as the keys of `minisign -W`"), "{}", said(&refused));
}
