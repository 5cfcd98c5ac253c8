//! The benches that lie in a crate. They print for people, and leave their figures in a file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};

use super::environment;
use super::numbers::rounded;
use crate::command::run;
use crate::redis::{Connection, Redis};
use crate::stop::Stop;
use crate::toolchain::clean_cargo;

/// Where the figures go.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Output {
    /// Write all figures into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs a bench of a crate.
pub(super) fn measure(
    root: &Path,
    package: &str,
    name: &str,
    output: &Output,
    prepare: impl FnOnce(&mut Command),
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("creating a folder for figures")?;
    let lines = folder.path().join("figures");
    let load = environment::load();
    let mut cargo = clean_cargo(root);
    cargo.args(["bench", "--quiet", "--locked", "-p", package, "--bench", name]);
    cargo.env("BENCH_JSON", &lines);
    prepare(&mut cargo);
    run(&mut cargo)?;
    let Some(file) = &output.json else { return Ok(()) };
    let figures: Result<Vec<Value>, _> =
        std::fs::read_to_string(&lines)?.lines().map(serde_json::from_str).collect();
    let redis = Redis::start(&Stop::default())?;
    let environment = environment::describe(root, &mut Connection::open(redis.port())?);
    let document = json!({
        "environment": environment, "options": {"load": load},
        "figures": figures.context("reading the figures")?,
    });
    let text = serde_json::to_string_pretty(&document)? + "\n";
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// The table in Markdown.
pub(super) fn markdown(document: &Value) -> String {
    let mut text = String::from("| what | measured |\n|---|---|\n");
    for figure in document.get("figures").and_then(Value::as_array).into_iter().flatten() {
        let word = |name: &str| figure.get(name).and_then(Value::as_str).unwrap_or_default();
        let value = figure.get("value").and_then(Value::as_f64).map_or_else(String::new, rounded);
        let line = format!("| {} | {value} {}", word("what"), word("unit"));
        text.push_str(line.trim_end());
        text.push_str(" |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_line() {
        let figures = json!([
            {"what": "submit", "value": 10.53, "unit": "µs"},
            {"what": "tasks per second", "value": 35_512.0, "unit": ""},
        ]);
        let text = markdown(&json!({"figures": figures}));
        assert!(text.ends_with("| submit | 11 µs |\n| tasks per second | 35,500 |\n"), "{text}");
    }
}
