//! The worker's metrics: names, help and units. Labels come from closed sets, never from ids.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use ops::metric::BoundedNames;
use queue::fleet::Step;

use crate::sandbox::limits::Limit;
use crate::version::name::is_plugin_name;

ops::metrics! {
    TASKS: Counter "freefans_worker_tasks_total" [task_type, plugin, code] "Attempts that ended here, by code: `ok`, a failure's, or `retry` where another attempt follows.";
    RUNNING: Gauge "freefans_worker_running_tasks" [] "Tasks that run here now.";
    CAPACITY: Gauge "freefans_worker_capacity_tasks" [] "Tasks that this worker runs at once, at most (`--concurrency`).";
    WAIT: Histogram "freefans_task_wait_seconds" [task_type] "From submit to start, by the clocks of submitter and worker.";
    RUN: Histogram "freefans_task_run_seconds" [task_type] "From start to result, including the instance.";
    LIMITS: Counter "freefans_plugin_limits_total" [plugin, limit] "Tasks that reached a limit. Some of them succeeded.";
    LOADS: Counter "freefans_plugin_loads_total" [outcome] "Plugin files that were loaded: `published`, `rolled-back`, or a refusal's code.";
    COMPILES: Counter "freefans_plugin_compiles_total" [] "Components that were compiled, two for a plugin file that is not in the cache: before `init`, and with the memory that it left.";
    FROM_CACHE: Counter "freefans_plugin_cache_hits_total" [] "Components that need not be compiled because they were in the cache on disk.";
    PLUGINS: Gauge "freefans_worker_plugin_info" [plugin, version] "1 for each plugin version in force here.";
    REFUSED: Gauge "freefans_worker_plugin_refused" [plugin, code] "1 for each plugin whose file is refused, by the refusal's code. `plugin-rolled-back` is a version that failed too often.";
    DATA: Gauge "freefans_plugin_data" [plugin, data, unit, of] "Size of each data file of a plugin, in rows or bytes: `in_force`, or `refused` because it shrank too much.";
    HTTP: Counter "freefans_plugin_http_requests_total" [plugin, status] "Requests of plugins to other servers: `2xx`, `3xx`, `4xx`, `429`, `5xx`, `no-answer`, or `denied` (not granted, or over a limit).";
    HTTP_SECONDS: Histogram "freefans_plugin_http_seconds" [plugin] "How long other servers took until their answer began.";
    FLEET: Gauge "freefans_worker_fleet_plugins" [step] "Plugins of the fleet that this worker should run, by how far it is with them: `fetching`, `checking`, `running`, `refused`, `own-file`.";
    TRACEPARENT: Counter "freefans_worker_traceparent_malformed_total" [] "Tasks whose `traceparent` was dropped because it is malformed; they began traces of their own.";
    CANARIES: Counter "freefans_worker_fleet_canaries_total" [outcome] "Canaries of the fleet on which this worker has decided: `on` to all, `back`, or `chosen-anew` on other workers.";
}

/// Plugin versions that are shown: a worker runs for long, and each swap may bring a new one.
static VERSIONS: BoundedNames = BoundedNames::new(500);

/// A task came with something that is no `traceparent`.
pub(crate) fn traceparent_malformed() {
    counter!(TRACEPARENT).increment(1);
}

/// An attempt at a task ended.
pub(crate) fn attempt_ended(
    plugin: &str,
    task_type: &str,
    code: Option<&str>,
    waited: Duration,
    ran: Duration,
) {
    let task_type = task_type.to_owned();
    let plugin = plugin.to_owned();
    let code = code.unwrap_or("ok").to_owned();
    histogram!(WAIT, "task_type" => task_type.clone()).record(waited.as_secs_f64());
    histogram!(RUN, "task_type" => task_type.clone()).record(ran.as_secs_f64());
    counter!(TASKS, "task_type" => task_type, "plugin" => plugin, "code" => code).increment(1);
}

/// A task ran into a limit.
pub(crate) fn limit_reached(plugin: &str, limit: Limit) {
    counter!(LIMITS, "plugin" => plugin.to_owned(), "limit" => limit.code().as_str()).increment(1);
}

/// A plugin file was put in force or refused.
pub(crate) fn plugin_looked_at(outcome: &'static str) {
    counter!(LOADS, "outcome" => outcome).increment(1);
}

/// A component was compiled.
pub(crate) fn component_compiled() {
    counter!(COMPILES).increment(1);
}

/// A component was in the cache.
pub(crate) fn component_from_cache() {
    counter!(FROM_CACHE).increment(1);
}

/// How many tasks this worker runs at once.
pub(crate) fn capacity(tasks: usize) {
    gauge!(CAPACITY).set(u32::try_from(tasks).map_or(f64::INFINITY, f64::from));
}

/// A task that runs. Dropped when it has ended.
#[derive(Debug)]
pub(crate) struct RunningTask(());

impl RunningTask {
    pub(crate) fn begin() -> Self {
        gauge!(RUNNING).increment(1.0);
        Self(())
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        gauge!(RUNNING).decrement(1.0);
    }
}

/// Another server answered a plugin's request with this status, after so long.
pub(crate) fn http_answered(plugin: &str, status: http::StatusCode, took: Duration) {
    let class = match status.as_u16() {
        429 => "429",
        500.. => "5xx",
        400.. => "4xx",
        300.. => "3xx",
        _ => "2xx",
    };
    counter!(HTTP, "plugin" => plugin.to_owned(), "status" => class).increment(1);
    histogram!(HTTP_SECONDS, "plugin" => plugin.to_owned()).record(took.as_secs_f64());
}

/// A plugin's request brought no answer, because the other server gave none or because it was not sent.
pub(crate) fn http_failed(plugin: &str, was_sent: bool) {
    let status = if was_sent { "no-answer" } else { "denied" };
    counter!(HTTP, "plugin" => plugin.to_owned(), "status" => status).increment(1);
}

/// A version came into force, or went.
pub(crate) fn plugin_in_force(plugin: &str, version: &str, in_force: bool) {
    if !VERSIONS.admits(&format!("{plugin} {version}")) {
        return;
    }
    let value = if in_force { 1.0 } else { 0.0 };
    gauge!(PLUGINS, "plugin" => plugin.to_owned(), "version" => version.to_owned()).set(value);
}

/// The file in place of a plugin is refused, or no longer.
pub(crate) fn plugin_refused(plugin: &str, code: &'static str, refused: bool) {
    // A file with any other name is not a plugin, and its name may be anything.
    let plugin = if is_plugin_name(plugin) { plugin } else { "other" };
    let value = if refused { 1.0 } else { 0.0 };
    gauge!(REFUSED, "plugin" => plugin.to_owned(), "code" => code).set(value);
}

/// How far this worker is with the fleet's plugins.
pub(crate) fn fleet_plugins(steps: impl Iterator<Item = Step>) {
    let steps: Vec<Step> = steps.collect();
    for (step, name) in [
        (Step::Fetching, "fetching"),
        (Step::Checking, "checking"),
        (Step::Running, "running"),
        (Step::Refused, "refused"),
        (Step::OwnFile, "own-file"),
    ] {
        let count = steps.iter().filter(|found| **found == step).count();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        gauge!(FLEET, "step" => name).set(f64::from(count));
    }
}

/// This worker has decided on a canary.
pub(crate) fn fleet_canary(outcome: &'static str) {
    counter!(CANARIES, "outcome" => outcome).increment(1);
}

/// How much of a data file is in force, or was too little to be.
pub(crate) fn plugin_data(
    plugin: &str,
    data: &str,
    unit: &'static str,
    of: &'static str,
    amount: u64,
) {
    #[expect(clippy::cast_precision_loss, reason = "below 2^52, or near enough")]
    let amount = amount as f64;
    let plugin = plugin.to_owned();
    let data = data.to_owned();
    gauge!(DATA, "plugin" => plugin, "data" => data, "unit" => unit, "of" => of).set(amount);
}
