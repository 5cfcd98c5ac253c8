//! Who gets in: the operator's lists, and a bound on how much one person may send.

use std::sync::Arc;
use std::time::Duration;

use queue::{Script, millis};

use super::lists::Verdict;
use crate::chat::event::{Event, Incoming};
use crate::chat::screen::Screen;
use crate::conversation::handler::Performer;
use crate::keys::CoordinatorKeys;

/// Messages and presses of one person that are looked at within [`WINDOW`]. A person who pages quickly presses twice a
/// second at most.
const AT_MOST: i64 = 30;
const WINDOW: Duration = Duration::from_secs(10);
/// The parts of an album come within this time.
const ALBUM_WITHIN: Duration = Duration::from_secs(60);
/// Somebody whom the bot is not for is told so once in this time.
const TOLD_ONCE_IN: Duration = Duration::from_secs(3_600);

/// KEYS 1 counter; ARGV 1 ms. Counts in windows of that length. RETURNS the count.
const COUNT: &str = r"#!lua flags=allow-oom
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
";

/// What becomes of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It is handled.
    Open,
    /// It is passed over.
    Shut,
    /// It is passed over, and this sentence says why.
    ShutWith(&'static str),
}

impl Performer {
    /// Whether an update is handled at all. Whoever is not listed or too fast is told once, then there is silence. Asked
    /// when an update comes: behind a chat's slow replies all would seem slow.
    pub(crate) async fn gate(&self, incoming: &Incoming) -> Gate {
        let owner = incoming.place.owner;
        match self.access.verdict(&incoming.place) {
            Verdict::ShutOut => Gate::Shut,
            Verdict::NotListed => {
                // In a group a bot that is for others keeps silent.
                let spoken_to = matches!(incoming.event, Event::Press { .. });
                if !spoken_to && !incoming.place.private() {
                    return Gate::Shut;
                }
                match self.count(&format!("unlisted:{owner}"), TOLD_ONCE_IN).await {
                    Some(1) => Gate::ShutWith("not-for-you"),
                    Some(_) | None => Gate::Shut,
                }
            }
            Verdict::Welcome => match self.count(&format!("pace:{owner}"), WINDOW).await {
                Some(count) if count == AT_MOST + 1 => Gate::ShutWith("slow-down"),
                Some(count) if AT_MOST < count => Gate::Shut,
                // Redis may be away: then this update waits for it further on.
                Some(_) | None => match &incoming.event {
                    // Ten pictures at once are one question.
                    Event::NoText { album: Some(album) } => {
                        let part_of = format!("album-of:{owner}:{album}");
                        match self.first(&part_of, &incoming.origin, ALBUM_WITHIN).await {
                            true => Gate::Open,
                            false => Gate::Shut,
                        }
                    }
                    _ => Gate::Open,
                },
            },
        }
    }

    /// Passes an update over. False when the process is shutting down.
    pub(crate) async fn turn_away(
        self: &Arc<Self>,
        incoming: &Incoming,
        sentence: Option<&str>,
    ) -> bool {
        let said = sentence.map(|sentence| incoming.language.text(sentence));
        match (&incoming.event, said) {
            // Without an answer the button would seem to be at work.
            (Event::Press { query_id, .. }, said) => {
                self.answer_button(query_id.clone(), said);
                true
            }
            (_, Some(said)) => self.tell(incoming.place, Screen::plain(said)).await,
            (_, None) => true,
        }
    }

    /// Counts something in windows of a length; none when Redis does not answer.
    async fn count(&self, name: &str, window: Duration) -> Option<i64> {
        let key = self.queue.keys().gate(name);
        self.counter.key(key).arg(millis(window)).run(&mut self.queue.connection()).await.ok()
    }

    /// Whether `origin` is the first to do `name` within a time. The same update that comes again is still the first: its
    /// coordinator may have died before it did anything.
    pub(crate) async fn first(&self, name: &str, origin: &str, window: Duration) -> bool {
        let key = self.queue.keys().gate(name);
        let value = (origin, "NX", "GET", "PX", millis(window));
        let first: redis::RedisResult<Option<String>> =
            self.queue.write_even_when_full("SET", key, value).await;
        // Redis may be away: better twice than not at all.
        first.map_or(true, |first| first.is_none_or(|first| first == origin))
    }
}

/// The script that counts.
pub(crate) fn counter() -> Script {
    Script::new(COUNT)
}
