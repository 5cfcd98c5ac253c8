//! Who in this process waits for results, and how they hear of them: over one connection, however many wait.
//!
//! A task that is submitted by its waiter carries the channel of this process, and the message on it has the result. Any other
//! task is waited for on its own channel. A message can be lost with a connection, so each waiter also looks by itself now
//! and then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::redis::server::RedisServer;
use crate::redis::subscription::{Notice, Subscription};
use crate::task::TaskId;

/// What a waiter is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum News {
    #[default]
    None,
    /// The task may have ended: read its result.
    Look,
    /// The task has ended with this result.
    Ended(Arc<[u8]>),
}

/// How a waiter hears of the end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The task carries the channel of this process.
    ProcessChannel,
    /// The task's own channel.
    TaskChannel,
}

/// The waits of one process. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Waits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    server: RedisServer,
    /// Prefix of all channels.
    prefix: String,
    /// The channel of this process.
    own_channel: String,
    waiting: Arc<Waiting>,
    /// Begins with the first wait.
    subscription: OnceLock<Subscription>,
}

/// By task id.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<String, Waited>>);

#[derive(Debug)]
struct Waited {
    news: watch::Sender<News>,
    waiters: usize,
    /// How many of its waiters need the task's own channel.
    on_task_channel: usize,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: &str, news: News) {
        if let Some(waited) = self.lock().get(id) {
            waited.news.send_replace(news);
        }
    }

    fn take(&self, prefix: &str, own_channel: &str, notice: &Notice<'_>) {
        match notice {
            Notice::Connected => {
                for waited in self.lock().values() {
                    waited.news.send_replace(News::Look);
                }
            }
            Notice::Subscribed(channels) => {
                for id in channels.iter().filter_map(|channel| channel.strip_prefix(prefix)) {
                    self.tell(id, News::Look);
                }
            }
            Notice::Message { channel, payload } if *channel == own_channel => {
                if let Some((id, news)) = read_message(payload) {
                    self.tell(id, news);
                }
            }
            Notice::Message { channel, .. } => {
                if let Some(id) = channel.strip_prefix(prefix) {
                    self.tell(id, News::Look);
                }
            }
        }
    }
}

/// A message on the channel of a process: the task's id, and after a space its result, if that is small. None for any other.
fn read_message(payload: &[u8]) -> Option<(&str, News)> {
    let space = payload.iter().position(|byte| *byte == b' ');
    let (id, result) = payload.split_at(space.unwrap_or(payload.len()));
    let news = match result {
        [b' ', result @ ..] if !result.is_empty() => News::Ended(result.into()),
        _ => News::Look,
    };
    Some((std::str::from_utf8(id).ok()?, news))
}

impl Waits {
    /// `prefix` is that of all channels.
    pub(crate) fn new(server: RedisServer, prefix: String) -> Self {
        let own_channel = format!("{prefix}process:{}", Uuid::new_v4().simple());
        let subscription = OnceLock::new();
        Self(Arc::new(Shared {
            server,
            prefix,
            own_channel,
            waiting: Arc::default(),
            subscription,
        }))
    }

    /// The channel of this process.
    pub(crate) fn channel(&self) -> &str {
        &self.0.own_channel
    }

    /// Waits for the end of a task from now on.
    pub(crate) fn begin(&self, id: &TaskId, over: Over) -> Wait {
        let Shared { server, prefix, own_channel, waiting, subscription } = &*self.0;
        let mut all = waiting.lock();
        let waited = all.entry(id.as_str().to_owned()).or_insert_with(|| Waited {
            news: watch::Sender::new(News::None),
            on_task_channel: 0,
            waiters: 0,
        });
        let mut news = waited.news.subscribe();
        waited.waiters += 1;
        let begins = over == Over::TaskChannel && waited.on_task_channel == 0;
        if over == Over::TaskChannel {
            waited.on_task_channel += 1;
            if !begins {
                // No notice will say that this wait has begun.
                news.mark_changed();
            }
        }
        // While the lock is held, so that the order of the changes is that of the waits.
        let subscription = subscription.get_or_init(|| {
            let tell = {
                let (waiting, prefix) = (Arc::clone(waiting), prefix.clone());
                let own_channel = own_channel.clone();
                move |notice: Notice<'_>| waiting.take(&prefix, &own_channel, &notice)
            };
            Subscription::start(server.clone(), own_channel.clone(), tell)
        });
        if begins {
            subscription.add(format!("{prefix}{id}"));
        }
        drop(all);
        Wait { waits: self.clone(), id: id.clone(), over, news }
    }
}

/// One wait. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Wait {
    waits: Waits,
    id: TaskId,
    over: Over,
    news: watch::Receiver<News>,
}

impl Wait {
    /// The next news: at least when the task ends, and whenever that may have been missed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: news that were not taken stay.
    pub(crate) async fn news(&mut self) -> News {
        if self.news.changed().await.is_err() {
            return std::future::pending().await; // Never: the sender is kept while there are waits.
        }
        self.news.borrow_and_update().clone()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Shared { prefix, waiting, subscription, .. } = &*self.waits.0;
        let mut all = waiting.lock();
        let Some(waited) = all.get_mut(self.id.as_str()) else { return };
        if self.over == Over::TaskChannel {
            waited.on_task_channel -= 1;
            if waited.on_task_channel == 0
                && let Some(subscription) = subscription.get()
            {
                subscription.remove(format!("{prefix}{}", self.id));
            }
        }
        waited.waiters -= 1;
        if waited.waiters == 0 {
            all.remove(self.id.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_id_and_perhaps_the_result() {
        let ended = |result: &[u8]| News::Ended(result.into());
        for (payload, expected) in [
            (&b"{echo}1 {\"a\": 1}"[..], Some(("{echo}1", ended(b"{\"a\": 1}")))),
            (b"{echo}1 ", Some(("{echo}1", News::Look))),
            (b"{echo}1", Some(("{echo}1", News::Look))),
            (b"", Some(("", News::Look))),
            (b"\xff 1", None),
        ] {
            assert_eq!(read_message(payload), expected);
        }
    }
}
