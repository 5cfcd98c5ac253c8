//! The names of all keys in Redis. No other file spells one.
//!
//! `{T}`, the lane in braces (a task type, or `TYPE.PARTITION` of a divided one), is a Cluster hash tag: all keys of one lane
//! live on one slot, so that every step of a task is one atomic script. A task's id begins with the same tag.

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

    fn of_type(&self, name: &str, lane: &Lane) -> String {
        format!("{}:tasks:{name}:{{{lane}}}", self.namespace)
    }

    fn of_task(&self, name: &str, id: &TaskId) -> String {
        format!("{}:tasks:{name}:{id}", self.namespace)
    }

    /// List that older producers push task JSON onto; moved into the typed queues by [`crate::submit::ingress`].
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

    /// STRING: the message that the answer will replace.
    pub fn placeholder(&self, id: &TaskId) -> String {
        self.of_task("placeholder", id)
    }

    /// STRING: somebody is about to send the placeholder.
    pub fn placing(&self, id: &TaskId) -> String {
        self.of_task("placing", id)
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

    /// STRING: one chat partner's session as JSON.
    pub fn session(&self, user: &str) -> String {
        format!("{}:session:{user}", self.namespace)
    }

    /// STRING: the language that one chat partner chose.
    pub fn choice(&self, user: &str) -> String {
        format!("{}:choice:{user}", self.namespace)
    }

    /// STRING: a counter of what somebody sent.
    pub fn gate(&self, counter: &str) -> String {
        format!("{}:gate:{counter}", self.namespace)
    }

    /// STRING: who polls Telegram at the moment.
    pub fn poller_lease(&self, bot: &str) -> String {
        format!("{}:poller:{bot}", self.namespace)
    }

    /// STRING: where this bot has its updates brought, while a coordinator looks after it.
    pub fn webhook(&self, bot: &str) -> String {
        format!("{}:webhook:{bot}", self.namespace)
    }

    /// STRING: the last update that was taken over safely, so that a new poller can go on behind it.
    pub fn poller_offset(&self, bot: &str) -> String {
        format!("{}:offset:{bot}", self.namespace)
    }

    /// STRING: the chat commands of plugins that were there lately, as JSON.
    pub fn known_commands(&self) -> String {
        format!("{}:commands", self.namespace)
    }

    /// HASH command → `seen|plugin`: which plugin a chat command belongs to.
    pub fn command_owners(&self) -> String {
        format!("{}:command-owners", self.namespace)
    }

    /// STRING: which command menu a bot shows, as a digest.
    pub fn menu(&self, bot: &str) -> String {
        format!("{}:menu:{bot}", self.namespace)
    }

    /// STRING: who changes a bot's command menu at the moment.
    pub fn menu_lease(&self, bot: &str) -> String {
        format!("{}:menu-lease:{bot}", self.namespace)
    }

    /// Everything about sending has one hash tag: room for a message is asked for in one step, for all chats and for its
    /// own. Tens of messages a second need no second node.
    fn of_sending(&self, name: &str) -> String {
        format!("{}:{{send}}:{name}", self.namespace)
    }

    /// STRING: when a bot's last messages were sent, newest first.
    pub fn sent(&self, bot: &str) -> String {
        self.of_sending(&format!("all:{bot}"))
    }

    /// STRING: until when a bot sends nothing, in ms.
    pub fn send_pause(&self, bot: &str) -> String {
        self.of_sending(&format!("pause:{bot}"))
    }

    /// STRING: the chat with which a bot was last told to wait, for a moment.
    pub fn send_flooded(&self, bot: &str) -> String {
        self.of_sending(&format!("flooded:{bot}"))
    }

    /// STRING: when a bot's last messages to a chat were sent, newest first.
    pub fn sent_to(&self, bot: &str, chat: i64) -> String {
        self.of_sending(&format!("chat:{bot}:{chat}"))
    }

    /// STRING: until when a bot sends nothing to a chat, in ms.
    pub fn chat_pause(&self, bot: &str, chat: i64) -> String {
        self.of_sending(&format!("pause:{bot}:{chat}"))
    }

    /// STRING: how new what a message of a bot shows is, and which changes of it are on their way.
    pub fn shown(&self, bot: &str, chat: i64, message: i64) -> String {
        self.of_sending(&format!("shown:{bot}:{chat}:{message}"))
    }

    /// STRING: there while a bot cannot write to a chat.
    pub fn chat_gone(&self, bot: &str, chat: i64) -> String {
        self.of_sending(&format!("gone:{bot}:{chat}"))
    }

    /// STRING: the id that a group has now.
    pub fn chat_moved_to(&self, chat: i64) -> String {
        self.of_sending(&format!("moved:{chat}"))
    }

    /// STRING: the id that a group had before.
    pub fn chat_moved_from(&self, chat: i64) -> String {
        self.of_sending(&format!("before:{chat}"))
    }

    /// STRING: an entry of a plugin's cache.
    pub fn plugin_cache(&self, plugin: &str, key: &str) -> String {
        format!("{}:cache:{plugin}:{key}", self.namespace)
    }
}
