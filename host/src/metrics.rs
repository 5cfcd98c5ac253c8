//! The worker's metrics: names, help and units. Labels come from closed sets, never from ids.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use queue::fleet::Step;

use crate::sandbox::limits::Limit;
use crate::version::name::is_plugin_name;

const TASKS: &str = "freefans_worker_tasks_total";
const WAIT: &str = "freefans_task_wait_seconds";
const RUN: &str = "freefans_task_run_seconds";
const LIMITS: &str = "freefans_plugin_limits_total";
const SWAPS: &str = "freefans_plugin_loads_total";
const PLUGINS: &str = "freefans_worker_plugin_info";
const COMPILES: &str = "freefans_plugin_compiles_total";
const DATA: &str = "freefans_plugin_data";
const FLEET: &str = "freefans_worker_fleet_plugins";
const CANARIES: &str = "freefans_worker_fleet_canaries_total";
const REFUSED: &str = "freefans_worker_plugin_refused";
const TRACEPARENT: &str = "freefans_worker_traceparent_malformed_total";

/// Describes the metrics; to be called once per process.
pub fn describe() {
    describe_counter!(
        TASKS,
        "Tasks that ended here, by type, plugin and code (`ok`, or a failure's)."
    );
    describe_histogram!(WAIT, "From submit to start, by the clocks of submitter and worker.");
    describe_histogram!(RUN, "From start to result, including the instance.");
    describe_counter!(
        LIMITS,
        "Tasks that reached a limit, by plugin and limit. Some of them succeeded."
    );
    describe_counter!(
        SWAPS,
        "Plugin files that were loaded, by outcome: `published` or a refusal's code."
    );
    describe_counter!(
        COMPILES,
        "Components that were compiled, two for a plugin file that is not in the cache: before `init`, and with the memory that it left."
    );
    describe_gauge!(PLUGINS, "1 for each plugin version in force here.");
    describe_gauge!(
        DATA,
        "Size of each data file of a plugin, in rows or bytes: `in_force`, or `refused` because it shrank too much."
    );
    describe_gauge!(
        FLEET,
        "Plugins of the fleet that this worker should run, by how far it is with them."
    );
    describe_counter!(
        CANARIES,
        "Canaries of the fleet on which this worker has decided: `on` to all, `back`, or `chosen-anew` on other workers."
    );
    describe_counter!(
        TRACEPARENT,
        "Tasks whose `traceparent` was dropped because it is malformed; they began traces of their own."
    );
    describe_gauge!(REFUSED, "1 for each plugin whose file is refused, by the refusal's code.");
}

/// A task came with something that is no `traceparent`.
pub(crate) fn traceparent_malformed() {
    counter!(TRACEPARENT).increment(1);
}

/// A task ended.
pub(crate) fn task_ended(
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
    counter!(SWAPS, "outcome" => outcome).increment(1);
}

/// A component was compiled.
pub(crate) fn component_compiled() {
    counter!(COMPILES).increment(1);
}

/// A version came into force, or went.
pub(crate) fn plugin_in_force(plugin: &str, version: &str, in_force: bool) {
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
