//! `doctor`: what is wrong, and what mends it.

use std::path::Path;
use std::process::Command;

use queue::QueueConfig;
use serde_json::{Value, json};
use test_kit::{DescribedGuest, TestRedis};

use crate::support::{Telegram, coordinator_command, plugin_folder, worker_command};

/// Runs `doctor` with the settings of `command`. Returns the exit code and the findings, one line each.
async fn doctor(mut command: Command, arguments: &[&str]) -> (i32, Vec<String>) {
    // The flags of a start stand before the subcommand in no command line.
    let program = command.get_program().to_owned();
    let mut asked = Command::new(program);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => asked.env(name, value),
            None => asked.env_remove(name),
        };
    }
    command = asked;
    command.args(["doctor", "--json"]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Value = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = found.as_array().unwrap().iter().map(|row| {
        let parts = ["verdict", "what", "found", "mend"].map(|name| text(row, name));
        parts.join(" | ")
    });
    (output.status.code().unwrap(), rows.collect())
}

#[track_caller]
fn has(rows: &[String], parts: &[&str]) {
    let found = rows.iter().any(|row| parts.iter().all(|part| row.contains(part)));
    assert!(found, "no finding with {parts:?}: {rows:#?}");
}

fn in_folder(redis: &TestRedis, folder: &Path) -> Command {
    let mut command = worker_command(redis, folder);
    command.env("PLUGINS", folder).env("PLUGIN_CACHE", folder.join("cache"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_is_said_and_nothing_fails() {
    let redis = TestRedis::start_durable();
    let telegram = Telegram::start().await;
    let (code, rows) = doctor(coordinator_command(&redis, &telegram), &[]).await;
    assert_eq!(code, 0, "{rows:#?}");
    has(&rows, &["ok | settings | they can be used"]);
    has(&rows, &["ok | Redis | it takes writes, and permits all that is needed"]);
    has(&rows, &["Redis | a round trip takes"]);
    has(&rows, &["ok | Telegram | 127.0.0.1 knows the bot, @"]);
    has(&rows, &["ok | Telegram | no webhook is set"]);
    let folder = tempfile::tempdir().unwrap();
    plugin_folder(folder.path());
    let (code, rows) = doctor(in_folder(&redis, folder.path()), &[]).await;
    assert_eq!(code, 0, "{rows:#?}");
    has(&rows, &["ok | cache | ", "can be written"]);
    has(&rows, &["ok | plugins | search.wasm: search"]);
    has(&rows, &["ok | files | "]);

    // What `plugins check` warns of is a warning here too.
    let odd = tempfile::tempdir().unwrap();
    let extensions = r#"{"version":1,"comands":[]}"#.to_owned();
    let tide = DescribedGuest { extensions, ..DescribedGuest::new("tide", &["tide"]) };
    std::fs::write(odd.path().join("tide.wasm"), tide.build()).unwrap();
    let (code, rows) = doctor(in_folder(&redis, odd.path()), &[]).await;
    assert_eq!(code, 0, "{rows:#?}");
    has(&rows, &["ok | plugins | tide.wasm: tide 1.0.0"]);
    has(
        &rows,
        &["warning | plugins | tide.wasm: `extensions.comands`", "did you mean `commands`?"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_wrong_is_told_with_what_mends_it() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let hook = json!({"url": "https://elsewhere.example/secret-path"});
    telegram.call("setWebhook", &hook).await;
    let (code, rows) = doctor(coordinator_command(&redis, &telegram), &[]).await;
    assert_eq!(code, 0, "a coordinator would mend it: {rows:#?}");
    has(&rows, &["warning | Redis | ", "CONFIG SET appendonly yes"]);
    has(&rows, &["warning | Telegram | ", "elsewhere.example | ", "replaces it"]);
    assert!(!rows.concat().contains("secret-path"), "{rows:#?}");
    let leave = ["--foreign-webhook", "leave", "--listen", "192.0.2.1:9"];
    let (code, rows) = doctor(coordinator_command(&redis, &telegram), &leave).await;
    assert_eq!(code, 1);
    has(&rows, &["fail | Telegram | ", "FOREIGN_WEBHOOK=remove"]);
    has(&rows, &["fail | listen | ", "--listen"]);
    let mut stranger = coordinator_command(&redis, &telegram);
    stranger.env("TELEGRAM_BOT_TOKEN", "999:s3cret");
    let (code, rows) = doctor(stranger, &[]).await;
    assert_eq!(code, 1);
    has(&rows, &["fail | Telegram | the Bot API does not know this token", "TELEGRAM_API_URL"]);
    assert!(!rows.concat().contains("s3cret"), "{rows:#?}");
    let mut tokenless = coordinator_command(&redis, &telegram);
    tokenless.env_remove("TELEGRAM_BOT_TOKEN").env("REDIS_URL", "redis://127.0.0.1:1");
    let (code, rows) = doctor(tokenless, &[]).await;
    assert_eq!(code, 1);
    has(&rows, &["fail | settings | TELEGRAM_BOT_TOKEN is not set"]);
    has(&rows, &["fail | Redis | cannot be reached", "REDIS_URL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_told_of_its_folders_and_of_rights_that_are_missing() {
    let redis = TestRedis::start_durable();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.wasm"), b"no component").unwrap();
    let cache = folder.path().join("cache");
    std::fs::write(&cache, b"a file").unwrap();
    let (code, rows) = doctor(in_folder(&redis, folder.path()), &[]).await;
    assert_eq!(code, 1);
    has(&rows, &["fail | plugins | broken.wasm: refused", "worker plugins check"]);
    has(&rows, &["fail | cache | ", "--plugin-cache"]);
    let nowhere = ["--plugins", "/nowhere", "--plugin-cache", "none"];
    let (code, rows) = doctor(in_folder(&redis, folder.path()), &nowhere).await;
    assert_eq!(code, 1);
    has(&rows, &["fail | plugins | ", "/nowhere", "--plugins (PLUGINS)"]);
    has(&rows, &["warning | cache | none"]);
    // A user that may do nothing but look.
    let queue = queue::TaskQueue::connect(&redis.url(), QueueConfig::default()).await.unwrap();
    let rights = [
        "looker",
        "on",
        ">pw",
        "~*",
        "&*",
        "-@all",
        "+ping",
        "+info",
        "+hello",
        "+auth",
        "+client|setname",
        "+evalsha",
        "+eval",
        "+time",
    ];
    let mut command = redis::cmd("ACL");
    let () =
        command.arg("SETUSER").arg(&rights).query_async(&mut queue.connection()).await.unwrap();
    let mut looker = in_folder(&redis, folder.path());
    looker.env("REDIS_URL", redis.url().replace("redis://", "redis://looker:pw@"));
    let (code, rows) = doctor(looker, &[]).await;
    assert_eq!(code, 1);
    has(&rows, &["fail | Redis | ", "docs/redis.acl"]);
}
