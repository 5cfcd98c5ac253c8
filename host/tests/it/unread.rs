//! A worker whose log cannot be written any more, because the disk is full or who read it has ended.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use test_kit::eventually;

use crate::support::{Folder, redis};

#[tokio::test]
async fn a_worker_whose_log_cannot_be_written_still_ends_when_it_is_told_to() {
    let (redis, _queue) = redis().await;
    let folder = Folder::with(&[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg("--plugins").arg(folder.path()).args(["--redis-url", &redis.url()]);
    command.env("PLUGIN_CACHE", folder.path().join("cache")).env_remove("RUST_LOG");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut worker = command.stdout(Stdio::piped()).stderr(full).spawn().unwrap();
    let mut told = BufReader::new(worker.stdout.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().starts_with("ready: "));
    let id = worker.id().to_string();
    assert!(
        Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &id]).status().unwrap().success()
    );
    let status = eventually("the end of the worker", async || worker.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
}
