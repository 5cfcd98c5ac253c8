//! `/stats` and `/plugins` for administrators. In English, like everything for operators.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{TaskQueue, TypeStats, WorkerRecord};

use crate::chat::sanitize::safe_html;
use crate::chat::screen::Screen;
use crate::menu;

/// As `coordinator queue stats` counts.
const STUCK_AFTER: Duration = Duration::from_secs(35);
/// Most lines in one message.
const LINES_AT_MOST: usize = 40;

/// The queue's figures.
pub(crate) async fn stats(queue: &TaskQueue) -> Screen {
    match queue.stats(STUCK_AFTER).await {
        Ok(types) => listed("📊 <b>Queue</b>", types.iter().map(of_type).collect()),
        Err(error) => away(&error.source),
    }
}

/// The workers, and which plugin versions they run.
pub(crate) async fn plugins(queue: &TaskQueue) -> Screen {
    match queue.workers().await {
        Ok(workers) => {
            let mut lines = of_workers(&workers);
            match menu::not_taken(queue).await {
                Ok(not_taken) => {
                    lines.extend(not_taken.iter().map(|why| format!("⚠️ {}", safe_html(why, 300))));
                }
                Err(error) => return away(&error),
            }
            listed("🧩 <b>Workers and plugins</b>", lines)
        }
        Err(error) => away(&error.source),
    }
}

fn away(error: &redis::RedisError) -> Screen {
    tracing::warn!(error = %error, "bot statistics not read");
    Screen::plain("⚠️ Redis does not answer.")
}

fn listed(head: &str, mut lines: Vec<String>) -> Screen {
    let over = lines.len().saturating_sub(LINES_AT_MOST);
    lines.truncate(LINES_AT_MOST);
    if over > 0 {
        lines.push(format!("… and {over} more"));
    }
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    Screen::plain(format!("{head}\n\n{}", lines.join("\n")))
}

fn of_type(of: &TypeStats) -> String {
    let mut line = format!(
        "<code>{}</code>: {} waiting, {} running",
        of.task_type,
        of.ready + of.delayed,
        of.active
    );
    for (count, what) in [(of.stuck, "stuck"), (of.dead, "dead"), (of.replies, "unsent")] {
        if count > 0 {
            line.push_str(&format!(", <b>{count} {what}</b>"));
        }
    }
    if of.oldest_ms > 0 {
        line.push_str(&format!(", oldest {} s", of.oldest_ms / 1_000));
    }
    for (is, what) in [(of.paused, "paused"), (!of.offered, "nobody offers it")] {
        if is {
            line.push_str(&format!(", <b>{what}</b>"));
        }
    }
    line
}

fn of_workers(workers: &[WorkerRecord]) -> Vec<String> {
    let mut running = 0;
    let mut slots = 0;
    let mut versions: BTreeMap<(String, String), usize> = BTreeMap::new();
    for worker in workers {
        running += worker.running;
        slots += worker.concurrency;
        for plugin in &worker.plugins {
            let of = (safe_html(&plugin.name, 64), safe_html(&plugin.version, 64));
            *versions.entry(of).or_default() += 1;
        }
    }
    let head = format!("workers: {}, running {running} of {slots} tasks", workers.len());
    let lines = versions
        .into_iter()
        .map(|((name, version), workers)| format!("<code>{name}</code> {version} on {workers}"));
    std::iter::once(head).chain(lines).collect()
}
