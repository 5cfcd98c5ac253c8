//! The results: medians and ranges.

use serde_json::{Value, json};

use super::list::{Library, Missing, Peer};
use super::measure::Figures;
use crate::bench::numbers::{Spread, rounded};

/// A peer with all its repetitions.
pub(super) struct Row {
    pub(super) name: String,
    version: String,
    library: Library,
    note: &'static str,
    pub(super) runs: Vec<Figures>,
    pub(super) failures: Vec<String>,
}

impl Row {
    pub(super) fn of(peer: &Peer) -> Self {
        Self {
            name: peer.name.clone(),
            version: peer.version.clone(),
            library: peer.library,
            note: peer.note,
            runs: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let all = |of: &dyn Fn(&Figures) -> Option<f64>| -> Value {
            self.runs.iter().filter_map(of).collect()
        };
        let reply = |place: usize| all(&move |run| run.reply_ms.map(|ms| at(ms, place)));
        json!({
            "name": self.name,
            "version": self.version,
            "library": format!("{:?}", self.library).to_lowercase(),
            "note": self.note,
            "failures": self.failures,
            "tasks": self.runs.first().map(|run| run.tasks),
            "load": all(&|run| Some(run.load)),
            "jobs_per_s": all(&|run| Some(run.jobs_per_s)),
            "worker_us": all(&|run| Some(run.each.worker_us)),
            "redis_us": all(&|run| Some(run.each.redis_us)),
            "commands": all(&|run| Some(run.each.commands)),
            "scripts": all(&|run| Some(run.each.scripts)),
            "round_trips": all(&|run| Some(run.each.round_trips)),
            "memory_mib": all(&|run| Some(run.memory_mib)),
            "bulk_per_s": all(&|run| run.bulk_per_s),
            "single_per_s": all(&|run| Some(run.single_per_s)),
            "bytes_per_waiting": all(&|run| Some(run.bytes_per_waiting)),
            "idle_cpu_percent": all(&|run| Some(run.idle_cpu_percent)),
            "idle_commands_per_s": all(&|run| Some(run.idle_commands_per_s)),
            "idle_round_trips_per_s": all(&|run| Some(run.idle_round_trips_per_s)),
            "reply_p50_ms": reply(0),
            "reply_p95_ms": reply(1),
            "reply_p99_ms": reply(2),
        })
    }

    /// One line for people, while it runs.
    pub(super) fn last_run(&self) -> String {
        let Some(run) = self.runs.last() else { return String::new() };
        let reply = match (run.reply_ms, &run.wait_failed) {
            (Some([p50, p95, p99]), _) => format!(", reply {p50:.2} / {p95:.2} / {p99:.2} ms"),
            (None, Some(why)) => format!(", no reply: {}", why.lines().next().unwrap_or_default()),
            (None, None) => String::new(),
        };
        format!(
            "load {:.2}  {}: {:.0} jobs/s, worker {:.0} µs, Redis {:.0} µs, {:.1} commands, {:.3} round trips{reply}",
            run.load,
            self.name,
            run.jobs_per_s,
            run.each.worker_us,
            run.each.redis_us,
            run.each.commands,
            run.each.round_trips
        )
    }
}

fn at(ms: [f64; 3], place: usize) -> f64 {
    ms.get(place).copied().unwrap_or(f64::NAN)
}

/// The document that `--json` writes.
pub(super) fn document(
    environment: &Value,
    options: &Value,
    rows: &[Row],
    missing: &[Missing],
) -> Value {
    let missing: Vec<Value> =
        missing.iter().map(|it| json!({"name": it.names, "why": it.why})).collect();
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    json!({
        "environment": environment,
        "options": options,
        "rows": rows,
        "missing": missing,
    })
}

/// The tables in Markdown: who does how much at which cost, and the targets as ratios.
pub(super) fn markdown(document: &Value) -> String {
    let mut text = String::from(
        "| | version | tasks | jobs/s | worker µs/job | Redis µs/job | commands/job | round trips/job | MiB | bulk submit/s | single submit/s | reply p50 / p95 / p99 ms |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let rows =
        document.get("rows").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for row in rows {
        text.push_str(&line(row));
    }
    for missing in document.get("missing").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| missing.get(name).and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!(
            "\nNot compared: {} ({}).\n",
            part("name"),
            part("why").replace('\n', " ")
        ));
    }
    text.push_str(&ratios(rows));
    text
}

fn line(row: &Value) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let median =
        |name: &str| spread(row, name).map_or_else(|| "–".to_owned(), |it| rounded(it.median));
    let range = spread(row, "jobs_per_s").map_or_else(|| "–".to_owned(), Spread::with_range);
    let reply = match (
        spread(row, "reply_p50_ms"),
        spread(row, "reply_p95_ms"),
        spread(row, "reply_p99_ms"),
    ) {
        (Some(p50), Some(p95), Some(p99)) => {
            [p50, p95, p99].map(|it| format!("{:.2}", it.median)).join(" / ")
        }
        _ => "–".to_owned(),
    };
    let tasks =
        row.get("tasks").and_then(Value::as_u64).map_or_else(|| "–".to_owned(), |n| n.to_string());
    let failed = row.get("failures").and_then(Value::as_array).into_iter().flatten().next();
    let mut name = text("name").to_owned();
    if !text("note").is_empty() {
        name.push_str(&format!("; {}", text("note")));
    }
    if let Some(why) = failed.and_then(Value::as_str) {
        name.push_str(&format!(
            " (failed: {})",
            why.lines().next().unwrap_or_default().replace('|', "/")
        ));
    }
    format!(
        "| {name} | {} | {tasks} | {range} | {} | {} | {} | {} | {} | {} | {} | {reply} |\n",
        text("version"),
        median("worker_us"),
        median("redis_us"),
        median("commands"),
        median("round_trips"),
        median("memory_mib"),
        median("bulk_per_s"),
        median("single_per_s"),
    )
}

/// Ours beside the best of a library, where both were measured.
fn ratios(rows: &[Value]) -> String {
    let of = |library: &str, begins: &str, field: &str, most: bool| -> Option<f64> {
        let ours = rows.iter().filter(|row| {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            text("library") == library && text("name").starts_with(begins)
        });
        let medians = ours.filter_map(|row| Some(spread(row, field)?.median));
        medians.reduce(|one, other| if most { one.max(other) } else { one.min(other) })
    };
    let bull = |field: &str, most| of("bullmq", "", field, most);
    let ratio = |one: Option<f64>, other: Option<f64>| {
        one.zip(other).map(|(one, other)| format!("{:.2}", one / other))
    };
    let rate = |begins: &str| of("ours", begins, "jobs_per_s", true);
    let best = bull("jobs_per_s", true);
    let others = |name: &str| of("other", name, "jobs_per_s", true);
    let fastest = rate("");
    let idle = |field: &str| of("ours", "ours (default", field, true);
    let p50 = of("ours", "", "reply_p50_ms", false);
    let p99 = of("ours", "", "reply_p99_ms", false);
    let mut lines: Vec<(String, Option<String>)> = vec![
        (
            "jobs/s at default settings ÷ BullMQ's best".to_owned(),
            ratio(rate("ours (default"), best),
        ),
        ("jobs/s with 16 at once ÷ BullMQ's best".to_owned(), ratio(rate("ours (16"), best)),
        ("jobs/s with 64 at once ÷ BullMQ's best".to_owned(), ratio(rate("ours (64"), best)),
        ("jobs/s with 200 at once ÷ BullMQ's best".to_owned(), ratio(rate("ours (200"), best)),
    ];
    for name in ["apalis", "Celery", "taskiq", "arq", "RQ", "dramatiq", "Sidekiq"] {
        lines.push((format!("jobs/s at our best ÷ {name}'s best"), ratio(fastest, others(name))));
    }
    lines.extend([
        (
            "bulk submit ÷ BullMQ's".to_owned(),
            ratio(of("ours", "", "bulk_per_s", true), bull("bulk_per_s", true)),
        ),
        (
            "reply p50 ÷ the list floor's".to_owned(),
            ratio(p50, of("floor", "", "reply_p50_ms", false)),
        ),
        (
            "reply p99 ÷ the list floor's".to_owned(),
            ratio(p99, of("floor", "", "reply_p99_ms", false)),
        ),
        ("BullMQ's reply p50 ÷ ours".to_owned(), ratio(bull("reply_p50_ms", false), p50)),
        ("BullMQ's reply p99 ÷ ours".to_owned(), ratio(bull("reply_p99_ms", false), p99)),
        (
            "Redis memory of a waiting task, bytes (BullMQ's)".to_owned(),
            of("ours", "", "bytes_per_waiting", false)
                .zip(bull("bytes_per_waiting", false))
                .map(|(ours, theirs)| format!("{ours:.0} ({theirs:.0})")),
        ),
        (
            "an idle worker, default settings: % of a core, round trips/s, commands/s".to_owned(),
            idle("idle_cpu_percent")
                .zip(idle("idle_round_trips_per_s"))
                .zip(idle("idle_commands_per_s"))
                .map(|((cpu, trips), commands)| format!("{cpu:.2}, {trips:.1}, {commands:.1}")),
        ),
    ]);
    let known: Vec<(String, String)> =
        lines.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if known.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n| medians of the same run | |\n|---|---|\n");
    for (name, value) in known {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    text
}

fn spread(row: &Value, field: &str) -> Option<Spread> {
    let values = row.get(field)?.as_array()?;
    Spread::of(values.iter().filter_map(Value::as_f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        let row = |name: &str, library: &str, rates: &[f64]| {
            json!({
                "name": name, "library": library, "version": "1", "tasks": 100, "jobs_per_s": rates,
                "worker_us": [1.0], "reply_p50_ms": [], "failures": [],
            })
        };
        json!({
            "rows": [
                row("ours (16 at once)", "ours", &[100.0, 300.0, 200.0]),
                row("BullMQ (16 at once)", "bullmq", &[80.0]),
                row("BullMQ (50 at once)", "bullmq", &[100.0]),
            ],
            "missing": [{"name": "arq", "why": "no\nnetwork"}],
        })
    }

    #[test]
    fn the_table_has_medians_and_ranges() {
        let text = markdown(&document());
        assert!(text.contains("| ours (16 at once) | 1 | 100 | 200 (100–300) | 1.0 |"), "{text}");
        assert!(text.contains("Not compared: arq (no network)."), "{text}");
    }

    #[test]
    fn ratios_take_the_best_of_a_library() {
        let text = markdown(&document());
        assert!(text.contains("| jobs/s with 16 at once ÷ BullMQ's best | 2.00 |"), "{text}");
        assert!(!text.contains("default settings"), "{text}");
    }

    #[test]
    fn a_failure_is_shown_in_its_row() {
        let row = json!({"name": "x", "failures": ["first | line\nb"], "jobs_per_s": []});
        assert!(line(&row).starts_with("| x (failed: first / line) |"));
    }
}
