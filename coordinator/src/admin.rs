//! `/stats`, `/plugins` and what the buttons of alerts do, for administrators. In English, like everything for operators.

use std::collections::BTreeMap;

use queue::admin::ReplayError;
use queue::{STUCK_AFTER, TaskQueue, TaskType, TypeStats, WorkerRecord};

use crate::chat::sanitize::safe_html;
use crate::chat::screen::Screen;
use crate::menu;

/// Most lines in one message.
const LINES_AT_MOST: usize = 40;
/// Most dead letters that one press submits again.
const REPLAYED_AT_ONCE: usize = 200;

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

/// Submits the dead letters of a type again, and says how many.
pub(crate) async fn replay_dead(queue: &TaskQueue, task_type: &TaskType, by: i64) -> String {
    let letters = match queue.dead_letters(task_type, REPLAYED_AT_ONCE).await {
        Ok(letters) => letters,
        Err(error) => return away(&error.source).html,
    };
    let mut replayed = 0;
    let mut failed = 0;
    for letter in letters {
        match queue.replay(task_type, &letter.entry).await {
            Ok(_) => replayed += 1,
            // An administrator pressed twice.
            Err(ReplayError::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(task_type = %task_type, error = %error, "dead letter not replayed");
                failed += 1;
            }
        }
    }
    tracing::info!(task_type = %task_type, replayed, failed, by, "an administrator has replayed dead letters");
    match failed {
        0 => format!("{replayed} tried again."),
        failed => format!("{replayed} tried again; {failed} could not be (see the log)."),
    }
}

/// Hands out a type's tasks again.
pub(crate) async fn resume(queue: &TaskQueue, task_type: &TaskType, by: i64) -> String {
    match queue.set_paused(task_type, false).await {
        Ok(()) => {
            tracing::info!(task_type = %task_type, by, "an administrator has resumed a type");
            format!("{task_type} goes on.")
        }
        Err(error) => away(&error.source).html,
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
