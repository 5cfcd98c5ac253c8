//! Who gets in: the operator's lists, and a bound on how much one person may send.

use std::time::Duration;

use queue::Script;

use crate::access::Verdict;
use crate::event::{Event, Incoming};
use crate::perform::Performer;
use crate::render::Screen;

/// Messages and presses of one person that are looked at within [`WINDOW`]. A person who pages quickly presses twice a
/// second at most.
const AT_MOST: i64 = 30;
const WINDOW: Duration = Duration::from_secs(10);
/// Somebody whom the bot is not for is told so once in this time.
const TOLD_ONCE_IN: Duration = Duration::from_secs(3_600);

/// KEYS 1 counter; ARGV 1 ms. Counts in windows of that length. RETURNS the count.
pub(crate) const COUNT: &str = r"
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
";

impl Performer {
    /// Whether an update is handled at all. Whoever is not listed or too fast is told once, then there is silence.
    pub(crate) async fn admitted(self: &std::sync::Arc<Self>, incoming: &Incoming) -> bool {
        let owner = incoming.place.owner;
        let (count, window, sentence) = match self.access.verdict(&incoming.place) {
            Verdict::ShutOut => return false,
            Verdict::NotListed => (format!("unlisted:{owner}"), TOLD_ONCE_IN, "not-for-you"),
            Verdict::Welcome => (format!("pace:{owner}"), WINDOW, "slow-down"),
        };
        let at_most = if sentence == "slow-down" { AT_MOST } else { 0 };
        // Redis may be away: then this update waits for it further on.
        let counted = self.count(&count, window).await.unwrap_or(0);
        if counted <= at_most && 0 < at_most {
            return true;
        }
        if counted == at_most + 1 {
            self.turn_away(incoming, sentence).await;
        }
        false
    }

    async fn count(&self, name: &str, window: Duration) -> redis::RedisResult<i64> {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let key = self.queue.keys().gate(name);
        self.gate.key(key).arg(window).run(&mut self.queue.connection()).await
    }

    async fn turn_away(self: &std::sync::Arc<Self>, incoming: &Incoming, sentence: &str) {
        let (place, said) = (incoming.place, incoming.language.text(sentence));
        match &incoming.event {
            Event::Press { query_id, .. } => self.answer_button(query_id.clone(), Some(said)),
            // In a group a bot that is for others keeps silent.
            _ if place.private() || sentence == "slow-down" => {
                self.reply(move |performer| performer.say(place, Screen::plain(said))).await;
            }
            _ => {}
        }
    }
}

/// The script that counts.
pub(crate) fn script() -> Script {
    Script::new(COUNT)
}
