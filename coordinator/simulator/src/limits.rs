//! Flood limits as in the Bot FAQ. Messages and edits count.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock::now_ms;

/// Bot FAQ: about 30 messages a second overall.
const OVERALL: Window = Window { span: Duration::from_secs(1), most: 30 };
/// Bot FAQ: one message a second in a chat, short bursts tolerated.
const PRIVATE: Window = Window { span: Duration::from_secs(3), most: 3 };
/// Bot FAQ: 20 messages a minute in a group.
const GROUP: Window = Window { span: Duration::from_secs(60), most: 20 };
/// How many refusals are kept one by one.
const KEEP_REFUSED: usize = 1_000;

/// At most `most` in any `span`.
#[derive(Debug, Clone, Copy)]
struct Window {
    span: Duration,
    most: usize,
}

impl Window {
    /// How long `more` messages have to wait. Forgets times outside the window.
    fn wait(self, times: &mut VecDeque<Instant>, more: usize, now: Instant) -> Option<Duration> {
        while times.front().is_some_and(|sent| self.span <= now.duration_since(*sent)) {
            times.pop_front();
        }
        // An album may be larger than the burst of a chat: then it needs the whole burst.
        let too_many = (times.len() + more.min(self.most)).checked_sub(self.most)?;
        let last_in_the_way = times.get(too_many.checked_sub(1)?)?;
        Some((*last_in_the_way + self.span).duration_since(now))
    }
}

/// What was sent lately, and what was refused.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Whether limits are enforced. Otherwise messages are only counted.
    pub(crate) on: bool,
    sent: u64,
    recent: VecDeque<Instant>,
    chats: BTreeMap<i64, VecDeque<Instant>>,
    busiest_second: usize,
    refused: VecDeque<Value>,
    refusals: u64,
}

impl Limits {
    /// Counts messages to a chat. Too many are not counted, and the error is the seconds to wait.
    pub(crate) fn count(
        &mut self,
        method: &str,
        chat_id: i64,
        messages: usize,
        now: Instant,
    ) -> Result<(), u32> {
        let chat = self.chats.entry(chat_id).or_default();
        let window = if chat_id < 0 { GROUP } else { PRIVATE };
        let waits =
            [OVERALL.wait(&mut self.recent, messages, now), window.wait(chat, messages, now)];
        if let Some(wait) = waits.into_iter().flatten().max().filter(|_| self.on) {
            // Whole seconds, rounded up.
            let seconds =
                u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
            self.refusals += 1;
            if self.refused.len() >= KEEP_REFUSED {
                self.refused.pop_front();
            }
            self.refused.push_back(json!({
                "at_ms": now_ms(), "method": method, "chat_id": chat_id, "retry_after": seconds,
            }));
            return Err(seconds);
        }
        for _ in 0..messages {
            self.recent.push_back(now);
            chat.push_back(now);
            self.sent += 1;
        }
        self.busiest_second = self.busiest_second.max(self.recent.len());
        Ok(())
    }

    /// Figures since the start or the last [`Limits::reset_figures`].
    pub(crate) fn figures(&self) -> Value {
        json!({
            "on": self.on,
            "sent": self.sent,
            "busiest_second": self.busiest_second,
            "refusals": self.refusals,
            "refused": self.refused,
        })
    }

    /// Resets the figures but not the windows.
    pub(crate) fn reset_figures(&mut self) {
        self.sent = 0;
        self.busiest_second = 0;
        self.refusals = 0;
        self.refused.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> (Limits, Instant) {
        (Limits { on: true, ..Limits::default() }, Instant::now())
    }

    #[test]
    fn a_private_chat_takes_three_in_three_seconds() {
        let (mut limits, start) = limits();
        let mut at = |ms| limits.count("sendmessage", 7, 1, start + Duration::from_millis(ms));
        assert_eq!([at(0), at(100), at(200), at(300)], [Ok(()), Ok(()), Ok(()), Err(3)]);
        assert_eq!([at(2_999), at(3_000), at(3_050)], [Err(1), Ok(()), Err(1)]);
    }

    #[test]
    fn a_group_takes_twenty_a_minute_and_says_how_long_to_wait() {
        let (mut limits, start) = limits();
        let mut at = |ms| limits.count("sendmessage", -7, 1, start + Duration::from_millis(ms));
        for n in 0..20 {
            assert_eq!(at(n * 1_000), Ok(()));
        }
        assert_eq!(at(20_000), Err(40));
        assert_eq!(at(60_000), Ok(()));
    }

    #[test]
    fn all_chats_together_take_thirty_in_any_second() {
        let (mut limits, start) = limits();
        let mut to = |chat, ms| limits.count("x", chat, 1, start + Duration::from_millis(ms));
        for chat in 1..=30 {
            assert_eq!(to(chat, 500), Ok(()));
        }
        assert_eq!(to(31, 1_499), Err(1));
        assert_eq!(to(31, 1_500), Ok(()));
    }

    #[test]
    fn an_album_counts_each_of_its_parts() {
        let (mut limits, start) = limits();
        assert_eq!(limits.count("sendmediagroup", 7, 10, start), Ok(()));
        let later = start + Duration::from_millis(2_900);
        assert_eq!(limits.count("sendmessage", 7, 1, later), Err(1));
        assert_eq!(limits.figures()["sent"], 10);
    }

    #[test]
    fn without_limits_everything_is_counted_and_nothing_refused() {
        let mut limits = Limits::default();
        for _ in 0..100 {
            assert_eq!(limits.count("sendmessage", 7, 1, Instant::now()), Ok(()));
        }
        assert_eq!(limits.figures()["sent"], 100);
    }
}
