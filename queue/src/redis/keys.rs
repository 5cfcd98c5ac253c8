//! The names of the queue's keys in Redis. What belongs to other crates hangs below the same namespace ([`Keys::scoped`]).
//!
//! `{T}`, the lane in braces (a task type, or `TYPE.PARTITION` of a divided one), is a Cluster hash tag: all keys of one lane
//! live on one slot, so that every step of a task is one atomic script. A task's id begins with the same tag.

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

    /// A key below the namespace for data that belongs to the caller: `scoped("menu")` is `freefans:menu`. Whoever uses
    /// it has a prefix of their own that no key here begins with.
    pub fn scoped(&self, name: impl fmt::Display) -> String {
        format!("{}:{name}", self.namespace)
    }

    fn of_type(&self, name: &str, lane: &Lane) -> String {
        format!("{}:tasks:{name}:{{{lane}}}", self.namespace)
    }

    fn of_task(&self, name: &str, id: &TaskId) -> String {
        format!("{}:tasks:{name}:{id}", self.namespace)
    }

    /// List that older producers push task JSON onto; moved into the typed queues by [`crate::submit::drain_ingress`].
    pub fn ingress(&self) -> String {
        format!("{}:tasks:queue", self.namespace)
    }

    /// Stream of what was pushed onto the ingress list and could not be understood.
    pub fn ingress_rejected(&self) -> String {
        format!("{}:tasks:rejected", self.namespace)
    }

    /// ZSET id → virtual start time: ready tasks in fair order.
    pub fn queue(&self, lane: &Lane) -> String {
        self.of_type("queue", lane)
    }

    /// ZSET id → end of the lease in ms of Redis' clock: running tasks.
    pub fn active(&self, lane: &Lane) -> String {
        self.of_type("active", lane)
    }

    /// ZSET id → due time in ms: retries and scheduled tasks.
    pub fn delayed(&self, lane: &Lane) -> String {
        self.of_type("delayed", lane)
    }

    /// ZSET id → the time in ms by which the task must be answered.
    pub fn deadline(&self, lane: &Lane) -> String {
        self.of_type("deadline", lane)
    }

    /// HASH id → `token|claimed at|worker|cancel asked|deadline|failures|crashes|wants a reply|user|task JSON`; see
    /// [`crate::redis::record`].
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

    /// STREAM of finished tasks whose answer a coordinator has to send.
    pub fn replies(&self, lane: &Lane) -> String {
        self.of_type("replies", lane)
    }

    /// STREAM of tasks that failed for good.
    pub fn dead(&self, lane: &Lane) -> String {
        self.of_type("dead", lane)
    }

    /// STRING: the task's status, one word.
    pub fn status(&self, id: &TaskId) -> String {
        self.of_task("status", id)
    }

    /// STRING: the task's result as JSON.
    pub fn result(&self, id: &TaskId) -> String {
        self.of_task("result", id)
    }

    /// STRING `pending` or `delivered`: guard against a second submit, and whether the answer is out.
    pub fn reply(&self, id: &TaskId) -> String {
        self.of_task("reply", id)
    }

    /// STRING: the first task of those that ask just the same within a moment.
    pub fn double(&self, lane: &Lane, fingerprint: &str) -> String {
        format!("{}:tasks:double:{{{lane}}}{fingerprint}", self.namespace)
    }

    /// STRING: the latest progress text of a running task.
    pub fn progress(&self, id: &TaskId) -> String {
        self.of_task("progress", id)
    }

    /// Pub/sub channel prefix; the task's id follows. Carries the final status.
    pub fn done_channel_prefix(&self) -> String {
        format!("{}:tasks:done:", self.namespace)
    }

    /// SET of all lanes ever submitted to or offered.
    pub fn types(&self) -> String {
        format!("{}:tasks:types", self.namespace)
    }

    /// ZSET worker id → last sign of life in ms of Redis' clock.
    pub fn workers(&self) -> String {
        format!("{}:tasks:workers", self.namespace)
    }

    /// STRING: one worker's record as JSON; expires when the worker is silent.
    pub fn worker(&self, worker: &str) -> String {
        format!("{}:tasks:worker:{worker}", self.namespace)
    }

    /// STREAM: the history of plugin swaps.
    pub fn plugin_events(&self) -> String {
        format!("{}:plugins:events", self.namespace)
    }
}
