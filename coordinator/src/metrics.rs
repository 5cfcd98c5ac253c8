//! The coordinator's metrics: names, help and units in one place. The queue's figures are the same in every coordinator;
//! those about Telegram belong to this process. Labels come from closed sets, never from ids.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use queue::TaskQueue;
use tokio_util::sync::CancellationToken;

/// How often the queue's figures are read.
const EVERY: Duration = Duration::from_secs(5);
/// A task that has run for longer counts as stuck: above any plugin's default wall limit.
const STUCK_AFTER: Duration = Duration::from_secs(35);

const TASKS: &str = "freefans_queue_tasks";
const OLDEST: &str = "freefans_queue_oldest_age_seconds";
const EVENTS: &str = "freefans_queue_events_total";
const PAUSED: &str = "freefans_queue_paused";
const OFFERED: &str = "freefans_queue_offered";
const WORKERS: &str = "freefans_workers";
const ASKED_TO_WAIT: &str = "freefans_telegram_asked_to_wait_total";
const PLUGINS: &str = "freefans_plugin_workers";
const UNREADABLE: &str = "freefans_updates_unreadable_total";
const PASSED_OVER: &str = "freefans_updates_passed_over_total";
const ANSWERS_UNREADABLE: &str = "freefans_telegram_answers_unreadable_total";
const COMMANDS_NOT_TAKEN: &str = "freefans_plugin_commands_not_taken";

/// Sets the number of commands that are left out of the menu.
pub(crate) fn commands_not_taken(count: usize) {
    gauge!(COMMANDS_NOT_TAKEN).set(u32::try_from(count).unwrap_or(u32::MAX));
}

/// Counts that Telegram asked to wait: with one chat, or with all.
pub(crate) fn asked_to_wait(all: bool) {
    counter!(ASKED_TO_WAIT, "with" => if all { "all" } else { "chat" }).increment(1);
}

/// Counts an unreadable update.
pub(crate) fn update_unreadable(reason: &'static str) {
    counter!(UNREADABLE, "reason" => reason).increment(1);
}

/// Counts an ignored update, by rule.
pub(crate) fn update_passed_over(rule: &'static str) {
    counter!(PASSED_OVER, "rule" => rule).increment(1);
}

/// Counts an unreadable answer of the Bot API, by method.
pub(crate) fn answer_unreadable(method: &str) {
    counter!(ANSWERS_UNREADABLE, "method" => method.to_owned()).increment(1);
}

/// Describes the metrics; once per process.
pub fn describe() {
    describe_gauge!(
        TASKS,
        "Tasks by type and state: ready, delayed, active, stuck, replies (answers to send), dead."
    );
    describe_gauge!(OLDEST, "Age of the oldest task that is not answered; 0 without one.");
    describe_counter!(
        EVENTS,
        "What happened to tasks, by type: submitted, completed, failed, timeout, cancelled, retried, lost, stale, dead, duplicates, rejected_full, rejected_user, delivered, undeliverable."
    );
    describe_gauge!(PAUSED, "1 while an operator has paused the type.");
    describe_gauge!(OFFERED, "1 while a living worker offers the type.");
    describe_counter!(
        ASKED_TO_WAIT,
        "How often Telegram asked this process to wait (429), with one chat or with all."
    );
    describe_counter!(
        UNREADABLE,
        "Updates that could not be read and were passed over, by reason: bytes, syntax, missing, value, doubled, too_large."
    );
    describe_counter!(
        PASSED_OVER,
        "Updates to which nothing is said, by rule: kind, service, bot, not_for_us, nobody."
    );
    describe_counter!(
        ANSWERS_UNREADABLE,
        "What the Bot API answered and could not be read, by method."
    );
    describe_gauge!(WORKERS, "Living workers.");
    describe_gauge!(
        COMMANDS_NOT_TAKEN,
        "Commands that plugins bring and that are not taken: another plugin's, or against the rules."
    );
    describe_gauge!(PLUGINS, "Living workers with this plugin version.");
}

/// Updates the queue's figures until `shutdown`.
pub async fn watch_until(queue: TaskQueue, shutdown: CancellationToken) {
    let mut versions: BTreeMap<(String, String), u32> = BTreeMap::new();
    loop {
        match read(&queue, &mut versions).await {
            Ok(()) => {}
            Err(error) => tracing::debug!(error = %error.source, "metrics not read"),
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^52 are exact")]
async fn read(
    queue: &TaskQueue,
    versions: &mut BTreeMap<(String, String), u32>,
) -> Result<(), queue::RedisError> {
    for row in queue.stats(STUCK_AFTER).await? {
        let task_type = row.task_type.as_str().to_owned();
        for (state, count) in [
            ("ready", row.ready),
            ("delayed", row.delayed),
            ("active", row.active),
            ("stuck", row.stuck),
            ("replies", row.replies),
            ("dead", row.dead),
        ] {
            gauge!(TASKS, "task_type" => task_type.clone(), "state" => state).set(count as f64);
        }
        gauge!(OLDEST, "task_type" => task_type.clone()).set(row.oldest_ms as f64 / 1_000.0);
        gauge!(PAUSED, "task_type" => task_type.clone()).set(f64::from(u8::from(row.paused)));
        gauge!(OFFERED, "task_type" => task_type.clone()).set(f64::from(u8::from(row.offered)));
        for (event, count) in row.counters {
            counter!(EVENTS, "task_type" => task_type.clone(), "event" => event).absolute(count);
        }
    }
    let workers = queue.workers().await?;
    gauge!(WORKERS).set(workers.len() as f64);
    // A version that no worker runs any more goes to 0.
    versions.values_mut().for_each(|count| *count = 0);
    for plugin in workers.into_iter().flat_map(|worker| worker.plugins) {
        *versions.entry((plugin.name, plugin.version)).or_default() += 1;
    }
    for ((plugin, version), count) in versions.iter() {
        gauge!(PLUGINS, "plugin" => plugin.clone(), "version" => version.clone())
            .set(f64::from(*count));
    }
    Ok(())
}
