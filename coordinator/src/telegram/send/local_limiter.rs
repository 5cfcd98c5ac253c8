//! Rate limits while Redis is away: every coordinator decides alone, so each sends little. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::{Limits, RateLimit};
use super::request::SendRequest;

/// Number of coordinators that may share the bot's limit unaware of each other.
const SHARED_BY: u32 = 4;
/// Chats that are remembered.
const CHATS: usize = 10_000;

/// What this process has sent, and which chats wait.
#[derive(Debug, Default)]
pub(super) struct LocalRateLimiter {
    all: VecDeque<Instant>,
    /// When the next message to a chat may go.
    chats: HashMap<i64, Instant>,
}

impl LocalRateLimiter {
    /// Takes a message from the limit, or says when to try again.
    pub(super) fn take(
        &mut self,
        now: Instant,
        request: SendRequest,
        limits: &Limits,
    ) -> Option<Instant> {
        let SendRequest { chat_id, messages, .. } = request;
        let mut free_at = self.chats.get(&chat_id).copied().filter(|at| now < *at);
        for RateLimit { most, within } in limits.overall() {
            let most = usize::try_from((most / SHARED_BY).max(1)).unwrap_or(1);
            while most < self.all.len() {
                self.all.pop_front();
            }
            let first = self.all.front().copied().filter(|_| most <= self.all.len());
            free_at = free_at.max(first.map(|first| first + within).filter(|at| now < *at));
        }
        if free_at.is_some() {
            return free_at;
        }
        if limits.overall().next().is_some() {
            self.all.extend((0..messages).map(|_| now));
        }
        if let Some(pause) =
            limits.of_chat(chat_id).map(|rule| rule.within / rule.most * messages).max()
        {
            self.pause(now, chat_id, pause);
        }
        None
    }

    /// Sends nothing to a chat for this long.
    pub(super) fn pause(&mut self, now: Instant, chat_id: i64, wait: Duration) {
        if self.chats.len() >= CHATS {
            self.chats.retain(|_, at| now < *at);
        }
        let at = self.chats.entry(chat_id).or_insert(now);
        *at = (*at).max(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::send::Priority;

    fn one(chat_id: i64) -> SendRequest {
        SendRequest { chat_id, priority: Priority::Answer, messages: 1, change: None }
    }

    #[test]
    fn a_chat_gets_one_message_at_a_time_and_all_of_them_a_quarter() {
        let mut local_limiter = LocalRateLimiter::default();
        let limits = Limits::new(30, 1, 20);
        let now = Instant::now();
        assert_eq!(local_limiter.take(now, one(1), &limits), None);
        assert!(local_limiter.take(now, one(1), &limits).is_some(), "its second message waits");
        for chat_id in 2..=7 {
            assert_eq!(local_limiter.take(now, one(chat_id), &limits), None);
        }
        let free_at = local_limiter.take(now, one(8), &limits).unwrap();
        assert!(now + Duration::from_secs(1) <= free_at, "seven is a quarter of thirty");
        assert_eq!(local_limiter.take(free_at, one(8), &limits), None);
    }

    #[test]
    fn a_pause_is_kept_in_full() {
        let mut local_limiter = LocalRateLimiter::default();
        let limits = Limits::new(0, 0, 0);
        let now = Instant::now();
        local_limiter.pause(now, 1, Duration::from_secs(60));
        local_limiter.pause(now, 1, Duration::from_secs(2));
        assert_eq!(local_limiter.take(now, one(1), &limits), Some(now + Duration::from_secs(60)));
        assert_eq!(local_limiter.take(now + Duration::from_secs(60), one(1), &limits), None);
    }
}
