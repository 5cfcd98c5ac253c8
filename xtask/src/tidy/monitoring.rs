//! The rules, the dashboard, the runbooks and the table of metrics speak of the same things.
//!
//! Not here: whether Prometheus takes them, which `promtool` says in a test of this module.

mod expressions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use self::expressions::{Use, uses};
use super::files::{files_below, read};
use crate::violation::Violation;

const ALERTS: &str = "docs/monitoring/alerts.yml";
const TESTS: &str = "docs/monitoring/alerts_test.yml";
const DASHBOARD: &str = "docs/monitoring/dashboard.json";
const TABLE: &str = "docs/operations.md";
const RUNBOOKS: &str = "docs/runbooks.md";
/// What every alert needs.
const PARTS: &[&str] = &["expr:", "severity:", "summary:", "description:"];
/// Labels that Prometheus adds.
const ADDED: &[&str] = &["instance", "job"];
/// Crates whose programs serve metrics.
const CRATES: &[&str] = &["coordinator/src", "host/src", "ops/src", "queue/src"];

/// Checks alerts, their tests and runbooks, and the metrics that they and the dashboard name.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let text = |file: &str| read(&root.join(file));
    let pages = Pages {
        alerts: &text(ALERTS)?,
        tests: &text(TESTS)?,
        dashboard: &text(DASHBOARD)?,
        table: &text(TABLE)?,
        runbooks: &text(RUNBOOKS)?,
    };
    let mut violations = pages.check()?;
    for folder in CRATES {
        for file in files_below(&root.join(folder), "rs")? {
            let shown = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
            violations.extend(bare_names(&shown, &read(&file)?));
        }
    }
    Ok(violations)
}

/// A name that is written where it is recorded is in no table.
fn bare_names(file: &str, source: &str) -> Vec<Violation> {
    let joined: String = source.split_whitespace().collect();
    let is_bare = ["counter", "gauge", "histogram"]
        .iter()
        .any(|kind| joined.contains(&format!("{kind}!(\"")));
    let violation = || {
        Violation::new(
            file,
            "records a metric by a name that is written there",
            "declare it with `ops::metrics!`",
        )
    };
    is_bare.then(violation).into_iter().collect()
}

struct Pages<'a> {
    alerts: &'a str,
    tests: &'a str,
    dashboard: &'a str,
    table: &'a str,
    runbooks: &'a str,
}

/// A row of the table.
struct Row<'a> {
    kind: &'a str,
    labels: BTreeSet<&'a str>,
}

impl Pages<'_> {
    fn check(&self) -> anyhow::Result<Vec<Violation>> {
        let mut violations = Vec::new();
        let alerts = blocks(self.alerts, "- alert:");
        for (alert, text) in &alerts {
            violations.extend(self.alert(alert, text));
        }
        for heading in self.runbooks.lines().filter_map(|line| line.strip_prefix("## ")) {
            if !alerts.iter().any(|(alert, _)| *alert == heading) {
                let what = format!("has a section for `{heading}`, which is no alert");
                violations.push(Violation::new(RUNBOOKS, what, "remove it, or write the alert"));
            }
        }
        let rows = rows(self.table);
        for (file, text) in [(ALERTS, self.alerts), (TESTS, self.tests)] {
            let code: String = text.lines().filter(|line| !line.trim().starts_with('#')).collect();
            violations.extend(unknown(&rows, file, &code));
        }
        let dashboard: Value = serde_json::from_str(self.dashboard).context(DASHBOARD)?;
        for expression in expressions(&dashboard) {
            violations.extend(unknown(&rows, DASHBOARD, expression));
        }
        Ok(violations)
    }

    fn alert(&self, alert: &str, text: &str) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut wrong = |file: &str, what: String, to_do: &str| {
            violations.push(Violation::new(file, format!("`{alert}` {what}"), to_do));
        };
        for part in PARTS {
            if !text.contains(part) {
                wrong(ALERTS, format!("has no `{part}`"), "write it");
            }
        }
        let link = format!("runbook_url: {RUNBOOKS}#{}\n", alert.to_lowercase());
        if !text.contains(&link) {
            wrong(ALERTS, "does not name its runbook".to_owned(), link.trim());
        }
        if !self.runbooks.contains(&format!("\n## {alert}\n")) {
            wrong(RUNBOOKS, "has no section".to_owned(), "say what it means and what to do");
        }
        let evaluated = blocks(self.tests, "alertname:");
        let mut fired = false;
        let mut ended = false;
        for (_, text) in evaluated.iter().filter(|(name, _)| *name == alert) {
            // What follows the last one of a series belongs to the next series.
            let fires = text.lines().any(|line| line.trim() == "exp_alerts:");
            ended |= fired && !fires;
            fired |= fires;
        }
        if !(fired && ended) {
            wrong(TESTS, "does not both fire and end".to_owned(), "add what is missing");
        }
        violations
    }
}

/// What follows each `mark NAME`, up to the next one, by name.
fn blocks<'a>(text: &'a str, mark: &str) -> Vec<(&'a str, &'a str)> {
    let pieces = text.split(mark).skip(1);
    pieces
        .filter_map(|piece| piece.split_once('\n'))
        .map(|(name, rest)| (name.trim(), rest))
        .collect()
}

/// The rows of the table of metrics by name.
fn rows(page: &str) -> BTreeMap<&str, Row<'_>> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        let kind = cells.next()?;
        let labels = cells.next()?.split(", ").map(|label| label.trim_matches('`'));
        Some((name, Row { kind, labels: labels.filter(|label| !label.is_empty()).collect() }))
    });
    rows.filter(|(_, row)| ["counter", "gauge", "histogram"].contains(&row.kind)).collect()
}

/// All that Prometheus is asked by the dashboard.
fn expressions(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if name == "expr" || name == "definition" => {
                    vec![text.as_str()]
                }
                value => expressions(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// Metrics and labels that the table does not have.
fn unknown(rows: &BTreeMap<&str, Row<'_>>, file: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for Use { name, labels } in uses(text) {
        let series = |ending: &str| {
            let row = name.strip_suffix(ending).and_then(|name| rows.get(name));
            row.filter(|row| row.kind == "histogram")
        };
        let found =
            rows.get(name).or_else(|| ["_bucket", "_sum", "_count"].into_iter().find_map(series));
        let Some(row) = found else {
            let what = format!("names the metric `{name}`");
            let to_do = "name one of docs/operations.md; is the table up to date (`cargo xtask metrics-doc`)?";
            violations.push(Violation::new(file, what, to_do));
            continue;
        };
        for label in labels {
            let is_known = row.labels.contains(label) || ADDED.contains(&label);
            if !is_known {
                let what = format!("asks `{name}` for the label `{label}`, which it has not");
                violations.push(Violation::new(file, what, "see the table in docs/operations.md"));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests;
