//! The names of the queue's keys in Redis. Other crates keep their keys below the same namespace ([`Keys::scoped`]).
//!
//! `{T}`, the lane in braces (a task type, or `TYPE.PARTITION` of a partitioned one), is a Cluster hash tag: all keys of one
//! lane are in one slot, so each step of a task is one atomic script. A task's id begins with the same tag.

use std::fmt;

use crate::config::DEFAULT_NAMESPACE;
use crate::task::Lane;
use crate::task::TaskId;

/// Builds key names below one namespace, `freefans` unless configured otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    namespace: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(DEFAULT_NAMESPACE)
    }
}

impl Keys {
    /// Keys below `namespace`, for instance `freefans` for `freefans:tasks:queue:{…}`.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into() }
    }

    /// A key for the caller's own data: `scoped("menu")` is `freefans:menu`. The name must not begin like a key of this file.
    pub fn scoped(&self, name: impl fmt::Display) -> String {
        format!("{}:{name}", self.namespace)
    }

    fn of_type(&self, name: &str, lane: &Lane) -> String {
        format!("{}:tasks:{name}:{{{lane}}}", self.namespace)
    }

    fn of_task(&self, name: &str, id: &TaskId) -> String {
        format!("{}:tasks:{name}:{id}", self.namespace)
    }

    /// LIST onto which other producers push task JSON; [`crate::submit::drain_ingress`] moves it into the typed queues.
    pub fn ingress(&self) -> String {
        format!("{}:tasks:queue", self.namespace)
    }

    /// STREAM of ingress entries that cannot be read.
    pub fn ingress_rejected(&self) -> String {
        format!("{}:tasks:rejected", self.namespace)
    }

    /// ZSET id → virtual start time, for ready tasks in fair order.
    pub fn queue(&self, lane: &Lane) -> String {
        self.of_type("queue", lane)
    }

    /// ZSET id → end of the lease in ms of Redis' clock, for running tasks.
    pub fn active(&self, lane: &Lane) -> String {
        self.of_type("active", lane)
    }

    /// ZSET id → due time in ms, for retries and scheduled tasks.
    pub fn delayed(&self, lane: &Lane) -> String {
        self.of_type("delayed", lane)
    }

    /// ZSET id → deadline in ms.
    pub fn deadline(&self, lane: &Lane) -> String {
        self.of_type("deadline", lane)
    }

    /// ZSET id → end of the lease in ms, for tasks that a worker holds and has not started.
    pub fn ahead(&self, lane: &Lane) -> String {
        self.of_type("ahead", lane)
    }

    /// HASH id → `token|claimed at|worker|cancel requested|deadline|failures|crashes|wants a reply|user|task JSON`; see
    /// [`crate::redis::task_record`].
    pub fn data(&self, lane: &Lane) -> String {
        self.of_type("data", lane)
    }

    /// HASH user → `virtual finish time|live tasks`.
    pub fn users(&self, lane: &Lane) -> String {
        self.of_type("users", lane)
    }

    /// HASH of switches (`paused`, `max_active`, `max_pending`, `user_cap`) and counters.
    pub fn meta(&self, lane: &Lane) -> String {
        self.of_type("meta", lane)
    }

    /// LIST of at most 64 wake-up tokens for idle workers.
    pub fn wake(&self, lane: &Lane) -> String {
        self.of_type("wake", lane)
    }

    /// STREAM of finished tasks whose answer a coordinator must send.
    pub fn replies(&self, lane: &Lane) -> String {
        self.of_type("replies", lane)
    }

    /// STREAM of tasks that failed for good.
    pub fn dead(&self, lane: &Lane) -> String {
        self.of_type("dead", lane)
    }

    /// The keys that both `submit.lua` and `finish.lua` take, in their order.
    pub(crate) fn task_store(&self, lane: &Lane) -> [String; 6] {
        [
            self.delayed(lane),
            self.deadline(lane),
            self.data(lane),
            self.users(lane),
            self.meta(lane),
            self.wake(lane),
        ]
    }

    /// The keys of a lane with which every script about leases begins, in this order.
    pub(crate) fn lease_store(&self, lane: &Lane) -> [String; 9] {
        let [delayed, deadline, data, users, meta, wake] = self.task_store(lane);
        let ahead = self.ahead(lane);
        [self.queue(lane), self.active(lane), delayed, deadline, data, users, meta, wake, ahead]
    }

    /// STRING: the task's status, one word.
    pub fn status(&self, id: &TaskId) -> String {
        self.of_task("status", id)
    }

    /// STRING: the task's result as JSON.
    pub fn result(&self, id: &TaskId) -> String {
        self.of_task("result", id)
    }

    /// STRING `pending` or `delivered`: rejects a second submit, and says whether the answer was sent.
    pub fn reply(&self, id: &TaskId) -> String {
        self.of_task("reply", id)
    }

    /// STRING: the first of several identical tasks within a short time.
    pub fn duplicate_guard(&self, lane: &Lane, fingerprint: &str) -> String {
        format!("{}:tasks:double:{{{lane}}}{fingerprint}", self.namespace)
    }

    /// STRING: the latest progress text of a running task.
    pub fn progress(&self, id: &TaskId) -> String {
        self.of_task("progress", id)
    }

    /// Prefix of all pub/sub channels. A task's id follows, and messages are final statuses; or `process:` and a random id, and
    /// messages are results.
    pub fn done_channel_prefix(&self) -> String {
        format!("{}:tasks:done:", self.namespace)
    }

    /// SET of all lanes that were ever submitted to or offered.
    pub fn types(&self) -> String {
        format!("{}:tasks:types", self.namespace)
    }

    /// ZSET worker id → last heartbeat in ms of the worker's clock.
    pub fn workers(&self) -> String {
        format!("{}:tasks:workers", self.namespace)
    }

    /// STRING: there while a worker is to take no tasks.
    pub(crate) fn worker_drained(&self, worker: &str) -> String {
        self.scoped(format_args!("tasks:drained:{worker}"))
    }

    /// STRING: one worker's record as JSON; expires without heartbeats.
    pub fn worker(&self, worker: &str) -> String {
        format!("{}:tasks:worker:{worker}", self.namespace)
    }

    /// STRING: this worker stopped by itself within the last hour.
    pub fn worker_stopped(&self, worker: &str) -> String {
        self.scoped(format_args!("tasks:worker-stopped:{worker}"))
    }

    /// STREAM: the history of plugin swaps.
    pub fn plugin_events(&self) -> String {
        format!("{}:plugins:events", self.namespace)
    }

    fn of_history(&self, name: impl fmt::Display) -> String {
        format!("{}:history:{{history}}:{name}", self.namespace)
    }

    /// STREAM of finished tasks, for people; see [`crate::history`]. All keys of the history are in one slot.
    pub fn history_ended(&self) -> String {
        self.of_history("ended")
    }

    /// STREAM of what happened to tasks besides their end: retries, dead workers, deliveries.
    pub fn history_steps(&self) -> String {
        self.of_history("steps")
    }

    /// ZSET person → time in ms: what they submitted before is left out of the history.
    pub fn history_forgotten(&self) -> String {
        self.of_history("forgotten")
    }

    /// HASH of counts of finished tasks in one minute (`m`) or hour (`h`); expires.
    pub(crate) fn history_counts(&self, span: char, number: u64) -> String {
        self.of_history(format_args!("{span}:{number}"))
    }

    fn of_fleet(&self, name: impl fmt::Display) -> String {
        format!("{}:fleet:{{fleet}}:{name}", self.namespace)
    }

    /// STRING `era:number`: changes with each change of the fleet's state. All keys of the fleet are in one slot.
    pub fn fleet_revision(&self) -> String {
        self.of_fleet("revision")
    }

    /// HASH plugin → `era|number|digest|record as JSON`: which plugins the fleet's workers run.
    pub fn fleet_state(&self) -> String {
        self.of_fleet("state")
    }

    /// LIST of the last records of one plugin, as in [`Keys::fleet_state`].
    pub fn fleet_history(&self, plugin: &str) -> String {
        self.of_fleet(format_args!("history:{plugin}"))
    }

    /// HASH number → piece: a component by its SHA-256.
    pub fn fleet_artefact(&self, digest: &str) -> String {
        self.of_fleet(format_args!("artefact:{digest}"))
    }

    /// ZSET worker id → time of its last report, in ms of the worker's clock.
    pub fn fleet_workers(&self) -> String {
        self.of_fleet("workers")
    }

    /// STRING: one worker's report as JSON; expires.
    pub fn fleet_report(&self, worker: &str) -> String {
        self.of_fleet(format_args!("report:{worker}"))
    }
}
