//! `cargo xtask bench report`: the tables and charts of docs/performance.md, from the files that `--json` wrote.
//!
//! Measuring and writing are apart: a run on a quiet machine takes an hour, and the words around its tables change more often.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::chart::{Bar, bars};
use super::document;
use super::numbers::Spread;
use super::{end_to_end, environment, figures, fleet, peers, scale};

const DOCUMENT: &str = "docs/performance.md";
/// Where the measurements and the charts lie.
const FOLDER: &str = "docs/performance";

/// Writes the tables and charts of docs/performance.md from docs/performance/*.json.
#[derive(Debug, clap::Args)]
pub(crate) struct Report;

impl Report {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let mut written = 0;
        let measurements: [(&str, Table, Option<Chart>); 6] = [
            ("peers", peers::markdown, Some(peers_chart)),
            ("scale", scale::markdown, Some(scale_chart)),
            ("end-to-end", end_to_end::markdown, None),
            ("fleet", fleet::markdown, None),
            ("queue", figures::markdown, None),
            ("host", figures::markdown, None),
        ];
        for (name, markdown, chart) in measurements {
            let file = root.join(FOLDER).join(name).with_extension("json");
            if !file.is_file() {
                println!(
                    "{FOLDER}/{name}.json is not there: `cargo xtask bench {name} --json {FOLDER}/{name}.json` writes it"
                );
                continue;
            }
            let text = std::fs::read_to_string(&file).context("reading measurements")?;
            let measured: Value = serde_json::from_str(&text)
                .with_context(|| format!("parsing {}", file.display()))?;
            let mut text = format!("{}.\n\n", method(&measured));
            if let Some(chart) = chart {
                let svg = file.with_extension("svg");
                std::fs::write(&svg, chart(&measured)?).context("writing a chart")?;
                text.push_str(&format!("![{name}](performance/{name}.svg)\n\n"));
            }
            text.push_str(&markdown(&measured));
            document::replace(&root.join(DOCUMENT), name, &text)?;
            println!("{DOCUMENT} has what {FOLDER}/{name}.json says");
            written += 1;
        }
        anyhow::ensure!(written > 0, "there is nothing to write");
        Ok(())
    }
}

type Table = fn(&Value) -> String;
type Chart = fn(&Value) -> anyhow::Result<String>;

/// Where and how, in one line.
fn method(measured: &Value) -> String {
    let environment = measured.get("environment").map(environment::in_one_line).unwrap_or_default();
    let options = measured.get("options").and_then(Value::as_object);
    let options: Vec<String> = options
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name} {text}")
        })
        .collect();
    format!("{environment}; {}", options.join(", "))
}

fn peers_chart(measured: &Value) -> anyhow::Result<String> {
    let ours = |row: &Value| row.get("library").and_then(Value::as_str) == Some("ours");
    let label = |row: &Value| text(row, "name");
    chart("No-op tasks per second, one worker process", "jobs/s", measured, label, ours)
}

fn scale_chart(measured: &Value) -> anyhow::Result<String> {
    let label = |row: &Value| format!("{}: {}", text(row, "varied"), text(row, "value"));
    chart("No-op tasks per second", "tasks/s", measured, label, |_| true)
}

fn chart(
    title: &str,
    unit: &str,
    measured: &Value,
    label: impl Fn(&Value) -> String,
    ours: impl Fn(&Value) -> bool,
) -> anyhow::Result<String> {
    let field = unit.replace('/', "_per_");
    let rows =
        measured.get("rows").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let drawn: Vec<Bar> = rows
        .iter()
        .filter_map(|row| {
            let values = row.get(&field)?.as_array()?;
            let spread = Spread::of(values.iter().filter_map(Value::as_f64).collect())?;
            Some(Bar { label: label(row), spread, ours: ours(row) })
        })
        .collect();
    anyhow::ensure!(!drawn.is_empty(), "nothing was measured");
    bars(title, unit, &drawn)
}

fn text(row: &Value, name: &str) -> String {
    row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
