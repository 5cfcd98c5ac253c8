//! Sessions that this process has just read or stored, so that the next change need not read them first.
//!
//! A copy may be out of date: the compare-and-set finds out, and returns the stored session.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::chat::address::SessionKey;
use crate::chat::session::Session;
use crate::metrics;

/// How long a copy is kept. Most answers, and most next presses, come sooner.
const KEEP: Duration = Duration::from_secs(30);
/// Most bytes of stored JSON of all copies. In memory a copy takes about twice as much.
const BYTES_AT_MOST: usize = 16 << 20;

/// Copies of sessions. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionCache {
    copies: Arc<Mutex<Copies>>,
}

#[derive(Debug, Default)]
struct Copies {
    by_key: HashMap<SessionKey, SessionCopy>,
    /// Oldest first. An entry whose time is not its copy's is left over from an earlier copy.
    order: VecDeque<(SessionKey, Instant)>,
    bytes: usize,
    /// A task removes copies that expire.
    expiring: bool,
}

#[derive(Debug)]
struct SessionCopy {
    session: Session,
    bytes: usize,
    at: Instant,
}

impl SessionCache {
    /// Takes a copy out. Whoever changes the session meanwhile reads it from Redis.
    pub(super) fn take(&self, who: SessionKey) -> Option<Session> {
        let mut copies = self.copies();
        copies.expire(Instant::now());
        let copy = copies.remove(who);
        metrics::session_copy(copy.is_some());
        copy
    }

    /// Whether there is a copy.
    pub(super) fn has(&self, who: SessionKey) -> bool {
        let mut copies = self.copies();
        copies.expire(Instant::now());
        copies.by_key.contains_key(&who)
    }

    /// Keeps a copy of what was read or stored, `bytes` long as JSON, unless a newer one is there.
    pub(super) fn put(&self, who: SessionKey, session: Session, bytes: usize) {
        let mut copies = self.copies();
        copies.put(Instant::now(), who, session, bytes);
        let expiring = std::mem::replace(&mut copies.expiring, true);
        drop(copies);
        if !expiring {
            self.expire_in_background();
        }
    }

    /// Copies expire also when nobody asks for one. Ends when there are none.
    fn expire_in_background(&self) {
        let cache = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP).await;
                let mut copies = cache.copies();
                copies.expire(Instant::now());
                if copies.by_key.is_empty() {
                    copies.expiring = false;
                    return;
                }
            }
        });
    }

    fn copies(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copies {
    fn put(&mut self, now: Instant, who: SessionKey, session: Session, bytes: usize) {
        self.expire(now);
        if self.by_key.get(&who).is_some_and(|known| known.session.rev >= session.rev) {
            return;
        }
        self.remove(who);
        self.bytes += bytes;
        self.order.push_back((who, now));
        self.by_key.insert(who, SessionCopy { session, bytes, at: now });
        while self.bytes > BYTES_AT_MOST
            && let Some((oldest, at)) = self.order.pop_front()
        {
            self.drop_copy_of(oldest, at);
        }
    }

    fn remove(&mut self, who: SessionKey) -> Option<Session> {
        let copy = self.by_key.remove(&who)?;
        self.bytes -= copy.bytes;
        Some(copy.session)
    }

    fn expire(&mut self, now: Instant) {
        while let Some((oldest, at)) = self.order.front().copied()
            && now.duration_since(at) >= KEEP
        {
            self.order.pop_front();
            self.drop_copy_of(oldest, at);
        }
    }

    /// Drops a copy, unless a later one is in its place.
    fn drop_copy_of(&mut self, who: SessionKey, at: Instant) {
        if self.by_key.get(&who).is_some_and(|copy| copy.at == at) {
            self.remove(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(user_id: i64) -> SessionKey {
        SessionKey { chat_id: user_id, user_id }
    }

    fn session(rev: u64) -> Session {
        Session { rev, ..Session::default() }
    }

    #[test]
    fn a_copy_is_kept_for_a_short_time_and_the_newest_counts() {
        let mut copies = Copies::default();
        let start = Instant::now();
        copies.put(start, who(1), session(5), 100);
        copies.put(start, who(1), session(4), 100);
        assert_eq!(copies.remove(who(1)), Some(session(5)));
        assert_eq!(copies.remove(who(1)), None);
        copies.put(start, who(1), session(6), 100);
        let later = start + KEEP / 2;
        copies.put(later, who(1), session(7), 100);
        copies.put(later, who(2), session(1), 100);
        copies.expire(start + KEEP);
        assert_eq!(copies.by_key.len(), 2, "the later copy is younger");
        copies.expire(later + KEEP);
        assert!(copies.by_key.is_empty() && copies.order.is_empty());
        assert_eq!(copies.bytes, 0);
    }

    #[tokio::test]
    async fn a_copy_is_taken_once() {
        let cache = SessionCache::default();
        cache.put(who(1), session(5), 100);
        assert!(cache.has(who(1)) && !cache.has(who(2)));
        assert_eq!(cache.take(who(1)), Some(session(5)));
        assert_eq!(cache.take(who(1)), None);
    }

    #[test]
    fn the_oldest_copies_make_room() {
        let mut copies = Copies::default();
        let now = Instant::now();
        let third = BYTES_AT_MOST / 3;
        for user in 1..=4 {
            copies.put(now, who(user), session(1), third);
        }
        let mut kept: Vec<i64> = copies.by_key.keys().map(|who| who.user_id).collect();
        kept.sort_unstable();
        assert_eq!(kept, [2, 3, 4]);
        copies.put(now, who(5), session(1), BYTES_AT_MOST + 1);
        assert!(copies.by_key.is_empty(), "one that is too large is not kept");
        assert_eq!(copies.bytes, 0);
    }
}
