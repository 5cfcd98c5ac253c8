//! The producer's side: the program in `queue/benches/driver`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use crate::command::capture;
use crate::toolchain::clean_cargo;

/// How it is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As the tests are: nothing is compiled twice.
    Development,
    /// As it is shipped.
    Release,
}

/// Builds it and returns where it is.
pub(crate) fn build(root: &Path, build: Build) -> anyhow::Result<PathBuf> {
    let mut cargo = clean_cargo(root);
    cargo.args(["build", "--quiet", "--locked", "--bench", "driver", "--message-format=json"]);
    match build {
        // The whole workspace, so that its crates have the features that the tests compile them with.
        Build::Development => cargo.arg("--workspace"),
        Build::Release => cargo.args(["--release", "--package", "queue"]),
    };
    let messages = capture(&mut cargo)?;
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = built.filter_map(|message| {
        let name = message.pointer("/target/name").and_then(Value::as_str);
        let program = message.get("executable").and_then(Value::as_str)?;
        (name == Some("driver")).then(|| PathBuf::from(program))
    });
    programs.next().context("cargo names no program for the bench `driver`")
}

/// A call of it for a server and task types.
pub(crate) fn command(program: &Path, url: &str, types: &str) -> Command {
    let mut command = Command::new(program);
    command.env("BENCH_URL", url).env("BENCH_TYPES", types);
    command
}
