//! Telegram's rate limits, and how much of them is reserved for urgent messages. Pure.

use std::time::Duration;

/// Safety margin for network jitter: two calls sent a span apart may arrive this much closer together.
const UNEVEN: Duration = Duration::from_millis(200);
/// Burst of a chat: its messages of this many seconds may be sent at once, so that a placeholder and its answer do not wait
/// for each other.
const BURST_SECONDS: u32 = 3;

/// What is sent first when the limit is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The answer of a task.
    Answer,
    /// A reply without a task: a welcome, a turned page.
    Reply,
    /// A placeholder.
    Placeholder,
    /// Progress of a task. Dropped when it cannot be sent at once.
    Progress,
}

impl Priority {
    /// The rank in the scheduler: a turned page is as urgent as an answer.
    pub(crate) fn rank(self) -> usize {
        match self {
            Self::Answer | Self::Reply => 0,
            Self::Placeholder => 1,
            Self::Progress => 2,
        }
    }
}

/// At most `most` messages within any span of `within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Messages; at least one.
    pub most: u32,
    /// The span.
    pub within: Duration,
}

impl RateLimit {
    fn new(most: u32, seconds: u32) -> Option<Self> {
        (most > 0).then(|| Self { most, within: Duration::from_secs(seconds.into()) + UNEVEN })
    }

    /// How many messages the span may hold for this priority, including the next one.
    pub(crate) fn allowance(self, priority: Priority) -> u32 {
        let kept = match priority {
            Priority::Answer | Priority::Reply => 0,
            Priority::Placeholder => (self.most / 10).max(1),
            Priority::Progress => self.most / 3 * 2,
        };
        self.most.saturating_sub(kept).max(1)
    }
}

/// The configured limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    overall: Option<RateLimit>,
    chat: Option<RateLimit>,
    group: Option<RateLimit>,
}

impl Limits {
    /// Messages per second to all chats, per second to one chat, per minute to one group; 0 for no limit.
    pub fn new(overall_a_second: u32, chat_a_second: u32, group_a_minute: u32) -> Self {
        Self {
            overall: RateLimit::new(overall_a_second, 1),
            chat: RateLimit::new(chat_a_second.saturating_mul(BURST_SECONDS), BURST_SECONDS),
            group: RateLimit::new(group_a_minute, 60),
        }
    }

    /// The rules for all chats together.
    pub(crate) fn overall(&self) -> impl Iterator<Item = RateLimit> + use<> {
        self.overall.into_iter()
    }

    /// The rules for one chat. Groups have negative ids; both rules count there.
    pub(crate) fn of_chat(&self, chat_id: i64) -> impl Iterator<Item = RateLimit> + use<> {
        self.chat.into_iter().chain(self.group.filter(|_| chat_id < 0))
    }

    /// Whether there is no limit at all.
    pub(crate) fn none(&self) -> bool {
        self.overall.is_none() && self.chat.is_none() && self.group.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_urgent_has_all_the_room_and_the_rest_leaves_some() {
        let check = |most: u32, expected: [u32; 4]| {
            let rule = RateLimit::new(most, 1).unwrap();
            let all =
                [Priority::Answer, Priority::Reply, Priority::Placeholder, Priority::Progress];
            assert_eq!(all.map(|priority| rule.allowance(priority)), expected, "{most}");
        };
        check(30, [30, 30, 27, 10]);
        check(20, [20, 20, 18, 8]);
        check(3, [3, 3, 2, 1]);
        check(1, [1, 1, 1, 1]);
    }

    #[test]
    fn a_group_has_the_rule_of_a_chat_and_its_own() {
        let limits = Limits::new(30, 1, 20);
        let mosts = |chat_id| limits.of_chat(chat_id).map(|rule| rule.most).collect::<Vec<_>>();
        assert_eq!((mosts(7), mosts(-7)), (vec![3], vec![3, 20]));
        assert!(Limits::new(0, 0, 0).none());
    }
}
