//! Decides which updates are handled, by the operator's lists and a limit per person.

use std::sync::Arc;
use std::time::Duration;

use queue::{Script, TaskQueue, millis};

use super::dedup::Dedup;
use super::lists::{AccessLists, Verdict};
use crate::chat::event::{Event, Incoming};
use crate::keys::CoordinatorKeys;

/// Messages and presses of one person that are handled within [`WINDOW`]. A person who pages quickly presses twice a
/// second at most.
const AT_MOST: i64 = 30;
const WINDOW: Duration = Duration::from_secs(10);
/// The parts of an album come within this time.
const ALBUM_WITHIN: Duration = Duration::from_secs(60);
/// People who are not on the allow list are told at most once in this time.
const TOLD_ONCE_IN: Duration = Duration::from_secs(3_600);

/// KEYS 1 counter; ARGV 1 ms. Counts in windows of that length. RETURNS the count.
const COUNT: &str = r"#!lua flags=allow-oom
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
";

/// Whether an update is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is handled.
    Handle,
    /// It is ignored.
    Ignore,
    /// It is ignored, and this sentence says why.
    Reject(&'static str),
}

/// Decides which updates are handled.
#[derive(Debug)]
pub(crate) struct AccessControl {
    lists: Arc<AccessLists>,
    queue: TaskQueue,
    counter: Script,
    dedup: Dedup,
}

impl AccessControl {
    /// Decides by `lists`, and counts in the Redis of `queue`.
    pub(crate) fn new(lists: Arc<AccessLists>, queue: TaskQueue) -> Self {
        let dedup = Dedup::new(queue.clone());
        Self { lists, queue, counter: Script::new(COUNT), dedup }
    }

    /// Whether the lists allow its sender; there is still the limit per person.
    pub(crate) fn is_allowed(&self, incoming: &Incoming) -> bool {
        self.lists.verdict(&incoming.address) == Verdict::Allowed
    }

    /// Whether an update is handled. People who are not listed or too fast are told once and then ignored. Decided when
    /// an update arrives: after the chat's slow replies, all of its updates would seem slow.
    pub(crate) async fn admit(&self, incoming: &Incoming) -> Admission {
        let owner = incoming.address.owner;
        match self.lists.verdict(&incoming.address) {
            Verdict::Denied => Admission::Ignore,
            Verdict::NotListed => {
                // In a group the bot keeps silent towards people who are not listed.
                let spoken_to = matches!(incoming.event, Event::Press { .. });
                if !spoken_to && !incoming.address.private() {
                    return Admission::Ignore;
                }
                match self.count(&format!("unlisted:{owner}"), TOLD_ONCE_IN).await {
                    Some(1) => Admission::Reject("not-for-you"),
                    Some(_) | None => Admission::Ignore,
                }
            }
            Verdict::Allowed => match self.count(&format!("pace:{owner}"), WINDOW).await {
                Some(count) if count == AT_MOST + 1 => Admission::Reject("slow-down"),
                Some(count) if count > AT_MOST => Admission::Ignore,
                // While Redis is away, handling the update waits for it.
                Some(_) | None => self.admit_album_once(incoming).await,
            },
        }
    }

    /// Ten pictures at once are one question.
    async fn admit_album_once(&self, incoming: &Incoming) -> Admission {
        let Event::NoText { album: Some(album) } = &incoming.event else {
            return Admission::Handle;
        };
        let part_of = format!("album-of:{}:{album}", incoming.address.owner);
        if self.dedup.is_first(&part_of, &incoming.origin, ALBUM_WITHIN).await {
            Admission::Handle
        } else {
            Admission::Ignore
        }
    }

    /// Counts in windows of a length; none when Redis does not answer.
    async fn count(&self, name: &str, window: Duration) -> Option<i64> {
        let key = self.queue.keys().gate(name);
        self.counter.key(key).arg(millis(window)).run(&mut self.queue.connection()).await.ok()
    }
}
