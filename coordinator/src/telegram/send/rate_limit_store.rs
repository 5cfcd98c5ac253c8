//! What all coordinators share about sending, in Redis: what was sent when, which chats wait, are gone or migrated.

use std::sync::Arc;
use std::time::Duration;

use queue::{Script, TaskQueue, millis};
use redis::RedisResult;
use tokio::time::Instant;

use super::limits::{Limits, RateLimit};
use super::request::SendRequest;
use super::revision::{self, EditRequest, InFlightEdit, Revision};
use crate::keys::CoordinatorKeys;
use crate::script_reply;

/// A chat that could not be written to is tried again after this long, in seconds.
const GONE_SECONDS: u64 = 30 * 24 * 3600;
/// How long a group's new id is remembered, in seconds: longer than any task or session lives.
const MOVED_SECONDS: u64 = 30 * 24 * 3600;
/// When Telegram asks to wait with two chats within this many ms, the limit of the whole bot was exceeded: the Bot API does
/// not say which limit it was.
const FLOODED_MS: u64 = 1_000;
/// How long a message's newest edit is remembered: as long as the ledger knows of an answer that may still come.
const SHOWN: Duration = Duration::from_secs(25 * 3600);
/// Timeout of Redis' answer; after it the local limiter decides.
const ASK_AT_MOST: Duration = Duration::from_millis(500);

/// Whether a message may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoreAnswer {
    /// It may be sent, and counts as sent.
    Go,
    /// The edit is begun, and counts as in flight.
    Begun(InFlightEdit),
    /// An older edit of the message is in flight.
    Busy,
    /// An edit of this later turn was begun.
    Superseded { by: u64 },
    /// Redis does not answer. The local limiter cannot decide about edits.
    RedisAway,
    /// It has to wait.
    Wait {
        wait: Duration,
        /// Because of the limit of the whole bot, not of this chat.
        all: bool,
    },
    /// The bot cannot write to the chat.
    Unreachable,
    /// The group migrated to this id.
    Migrated(i64),
}

#[derive(Debug)]
pub(super) struct RateLimitStore {
    queue: TaskQueue,
    bot: String,
    pub(super) limits: Limits,
    admit: Script,
    arrived: Arc<Script>,
    pause: Script,
}

impl RateLimitStore {
    pub(super) fn new(queue: TaskQueue, bot_id: u64, limits: Limits) -> Self {
        Self {
            queue,
            bot: bot_id.to_string(),
            limits,
            admit: Script::new(include_str!("admit.lua")),
            arrived: Arc::new(Script::new(include_str!("edit_arrived.lua"))),
            pause: Script::new(include_str!("pause.lua")),
        }
    }

    /// Takes a message from the rate limit, if it allows one, and begins an edit.
    pub(super) async fn take(&self, request: SendRequest) -> RedisResult<StoreAnswer> {
        let SendRequest { chat_id, priority, messages, change } = request;
        let asked = Instant::now();
        let token = format!("{:016x}", rand::random::<u64>());
        let keys = self.queue.keys();
        let bot = &self.bot;
        let mut call = self.admit.key(keys.sent(bot));
        call.key(keys.send_pause(bot));
        call.key(keys.sent_to(bot, chat_id)).key(keys.chat_pause(bot, chat_id));
        call.key(keys.chat_gone(bot, chat_id)).key(keys.chat_moved_to(chat_id));
        if let Some(change) = &change {
            call.key(self.shown(change));
        }
        call.arg(messages).arg(self.limits.overall().count());
        for rule in self.limits.overall().chain(self.limits.of_chat(chat_id)) {
            let RateLimit { most, within } = rule;
            call.arg(rule.allowance(priority)).arg(most).arg(millis(within));
        }
        if let Some(EditRequest { revision, beside, .. }) = &change {
            call.arg(revision.rank()).arg(&token);
            call.arg(millis(revision::on_its_way_at_most(priority)));
            call.arg(u8::from(*beside)).arg(millis(SHOWN));
        }
        let mut connection = self.queue.connection();
        let asking = call.run::<Vec<String>>(&mut connection);
        let Ok(answer) = tokio::time::timeout(ASK_AT_MOST, asking).await else {
            // It may be begun all the same, and would block other edits until its deadline.
            if let Some(change) = change {
                let noting = self.note_arrived(&change, token);
                tokio::spawn(async move { noting.await.ok() });
            }
            return Err(redis::RedisError::from(std::io::Error::from(
                std::io::ErrorKind::TimedOut,
            )));
        };
        let answer = answer?;
        let mut words = answer.iter().map(String::as_str);
        let decision = match (words.next(), words.next(), words.next()) {
            (Some("go"), None, None) => Some(StoreAnswer::Go),
            (Some("begun"), Some(older), None) => {
                let until = asked + revision::call_at_most(priority);
                Some(StoreAnswer::Begun(InFlightEdit { token, beside: older == "1", until }))
            }
            (Some("busy"), None, None) => Some(StoreAnswer::Busy),
            (Some("late"), Some(rank), None) => {
                let by = rank.parse().ok().map(Revision::turn_of);
                by.map(|by| StoreAnswer::Superseded { by })
            }
            (Some("gone"), None, None) => Some(StoreAnswer::Unreachable),
            (Some("moved"), Some(id), None) => id.parse().ok().map(StoreAnswer::Migrated),
            (Some("wait"), Some(ms), Some(whose)) => ms.parse().ok().map(|ms| StoreAnswer::Wait {
                wait: Duration::from_millis(ms),
                all: whose == "all",
            }),
            _ => None,
        };
        decision.ok_or_else(|| queue::unknown_reply("admit.lua", &answer.join(" ")))
    }

    fn shown(&self, change: &EditRequest) -> String {
        self.queue.keys().shown(&self.bot, change.chat_id, change.revision.message_id)
    }

    /// Notes that an edit is no longer in flight.
    pub(super) fn note_arrived(
        &self,
        change: &EditRequest,
        token: String,
    ) -> impl Future<Output = RedisResult<()>> + Send + use<> {
        let script = Arc::clone(&self.arrived);
        let key = self.shown(change);
        let mut connection = self.queue.connection();
        async move {
            let _was_on_its_way: i64 = script.key(key).arg(token).run(&mut connection).await?;
            Ok(())
        }
    }

    /// Notes that Telegram asked to wait with a chat. Whether all chats wait now.
    pub(super) async fn pause(&self, chat_id: i64, wait: Duration) -> RedisResult<bool> {
        let keys = self.queue.keys();
        let bot = &self.bot;
        let mut call = self.pause.key(keys.send_pause(bot));
        call.key(keys.chat_pause(bot, chat_id)).key(keys.send_flooded(bot));
        call.arg(millis(wait).max(1)).arg(chat_id).arg(FLOODED_MS);
        let all: i64 = call.run(&mut self.queue.connection()).await?;
        script_reply::flag("pause.lua", all)
    }

    /// Notes that the bot cannot write to a chat.
    pub(super) async fn note_unreachable(&self, chat_id: i64) -> RedisResult<()> {
        let key = self.queue.keys().chat_gone(&self.bot, chat_id);
        self.set(&key, 1, GONE_SECONDS).await
    }

    /// Forgets that a chat could not be written to.
    pub(super) async fn note_reachable(&self, chat_id: i64) -> RedisResult<()> {
        let key = self.queue.keys().chat_gone(&self.bot, chat_id);
        redis::cmd("DEL").arg(key).query_async(&mut self.queue.connection()).await
    }

    /// Notes that a group migrated to another id.
    pub(super) async fn note_migrated(&self, from: i64, to: i64) -> RedisResult<()> {
        let keys = self.queue.keys();
        self.set(&keys.chat_moved_from(to), from, MOVED_SECONDS).await?;
        self.set(&keys.chat_moved_to(from), to, MOVED_SECONDS).await
    }

    async fn set(&self, key: &str, value: i64, seconds: u64) -> RedisResult<()> {
        self.queue.write_even_when_full("SET", key, (value, "EX", seconds)).await
    }
}
