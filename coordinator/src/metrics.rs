//! The coordinator's metrics: names, help and units in one place. The queue's figures are the same in every coordinator;
//! those about Telegram belong to this process. Labels come from closed sets, never from ids.

mod figures;

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use ops::metric::BoundedNames;
use queue::task::now_ms;

pub(crate) use self::figures::watch_until;

ops::metrics! {
    TASKS: Gauge "freefans_queue_tasks" [task_type, state] "Tasks by state: `ready` (waiting), `delayed` (retries and scheduled ones), `active` (running), `stuck` (running for over 35 s), `replies` (answers to send), `dead` (dead letters).";
    OLDEST: Gauge "freefans_queue_oldest_age_seconds" [task_type] "Age of the oldest task that waits or runs; 0 without one.";
    OLDEST_REPLY: Gauge "freefans_outbox_oldest_age_seconds" [task_type] "Age of the oldest answer that is not shown yet; 0 without one.";
    EVENTS: Counter "freefans_queue_events_total" [task_type, event] "What happened to tasks since Redis has them: `submitted`, `completed`, `failed`, `timeout`, `cancelled`, `retried`, `lost`, `stale`, `dead`, `duplicates`, `rejected_full`, `rejected_user`, `delivered`, `undeliverable`.";
    DEAD: Gauge "freefans_dead_letters_recent" [task_type, code] "The newest 100 dead letters by failure code; `unreadable` for those without one that is known.";
    PAUSED: Gauge "freefans_queue_paused" [task_type] "1 while an operator has paused the type.";
    OFFERED: Gauge "freefans_queue_offered" [task_type] "1 while a living worker offers the type.";
    WORKERS: Gauge "freefans_workers" [] "Living workers.";
    CAPACITY: Gauge "freefans_workers_capacity_tasks" [] "Tasks that the living workers run at once, at most.";
    RUNNING: Gauge "freefans_workers_running_tasks" [] "Tasks that the living workers ran at their last heartbeat.";
    PLUGINS: Gauge "freefans_plugin_workers" [plugin, version] "Living workers with this plugin version.";
    COMMANDS_NOT_TAKEN: Gauge "freefans_plugin_commands_not_taken" [] "Commands that plugins bring and that are not taken: another plugin's, or against the rules.";
    UPDATES: Counter "freefans_updates_total" [] "Updates that came from Telegram.";
    UNREADABLE: Counter "freefans_updates_unreadable_total" [reason] "Updates that could not be read and were passed over: `bytes`, `syntax`, `missing`, `value`, `doubled`, `too_large`.";
    PASSED_OVER: Counter "freefans_updates_passed_over_total" [rule] "Updates to which nothing is said: `kind`, `service`, `bot`, `not_for_us`, `nobody`.";
    BLOCKED: Gauge "freefans_updates_blocked" [cause] "1 while no updates come: `foreign-webhook`, `own-webhook`, `other-poller`, `webhook-not-set`, `bot-api`.";
    CALLS: Counter "freefans_telegram_calls_total" [method, outcome] "Calls of the Bot API: `ok`, or what was wrong (`unreachable` is a bot that was blocked or removed, `retry-after` a 429).";
    CALL_SECONDS: Histogram "freefans_telegram_call_seconds" [method] "How long calls of the Bot API took, without `getUpdates`, which waits on purpose.";
    ASKED_TO_WAIT: Counter "freefans_telegram_asked_to_wait_total" [with] "How often Telegram asked this process to wait (429): with one `chat`, or with `all`.";
    ANSWERS_UNREADABLE: Counter "freefans_telegram_answers_unreadable_total" [method] "What the Bot API answered and could not be read.";
    ANSWERED: Histogram "freefans_answer_seconds" [task_type] "From the question to its answer in the chat, by the clocks of the two processes.";
    ADMINISTRATORS: Counter "freefans_admin_messages_total" [event, outcome] "Messages to the administrators about trouble that has `begun` or is `over`: `sent` to at least one, or `failed`.";
    SESSION_COPIES: Counter "freefans_session_cache_total" [outcome] "Changes of a session with a copy of it in memory (`hit`) and without (`miss`).";
}

/// The method that waits on purpose.
pub(crate) const GET_UPDATES: &str = "getUpdates";

/// Task types that are shown; they come from Redis.
static TYPES: BoundedNames = BoundedNames::new(200);

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

/// Counts an update.
pub(crate) fn update_received() {
    counter!(UPDATES).increment(1);
}

/// Notes whether this is a cause why no updates come.
pub(crate) fn updates_blocked(cause: &'static str, is_so: bool) {
    gauge!(BLOCKED, "cause" => cause).set(f64::from(u8::from(is_so)));
}

/// Counts a call of the Bot API.
pub(crate) fn telegram_call(method: &str, outcome: &'static str, took: Duration) {
    let method = method.to_owned();
    if method != GET_UPDATES {
        histogram!(CALL_SECONDS, "method" => method.clone()).record(took.as_secs_f64());
    }
    counter!(CALLS, "method" => method, "outcome" => outcome).increment(1);
}

/// The answer to a question, submitted at `submitted_at`, is in the chat.
pub(crate) fn answer_shown(task_type: &str, submitted_at: u64) {
    // A producer that calls the script itself may leave out the time of submission.
    if submitted_at == 0 || !TYPES.admits(task_type) {
        return;
    }
    let took = Duration::from_millis(now_ms().saturating_sub(submitted_at));
    histogram!(ANSWERED, "task_type" => task_type.to_owned()).record(took.as_secs_f64());
}

/// Counts a message to the administrators.
pub(crate) fn administrators_told(event: &'static str, is_sent: bool) {
    let outcome = if is_sent { "sent" } else { "failed" };
    counter!(ADMINISTRATORS, "event" => event, "outcome" => outcome).increment(1);
}

/// Counts a change of a session, with a copy of it in memory or without.
pub(crate) fn session_copy(is_there: bool) {
    counter!(SESSION_COPIES, "outcome" => if is_there { "hit" } else { "miss" }).increment(1);
}
