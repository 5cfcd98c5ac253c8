//! Which updates may be confirmed. Pure.

use std::collections::{BTreeSet, VecDeque};

/// Handled updates that are remembered: ten times what one fetch returns.
const REMEMBERED: usize = 1_000;

/// Tracks updates until they are handled. The offset never passes one that is still being handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// All below are handled.
    offset: u32,
    in_hand: BTreeSet<u32>,
    /// Handled, while an earlier one is still being handled.
    waiting: BTreeSet<u32>,
    /// Handled last. A server that ignores the offset repeats them.
    handled: VecDeque<u32>,
}

impl Watermark {
    /// All before `offset` are handled; 0 when nothing is known.
    pub(crate) fn new(offset: u32) -> Self {
        Self {
            offset,
            in_hand: BTreeSet::new(),
            waiting: BTreeSet::new(),
            handled: VecDeque::new(),
        }
    }

    /// Starts to handle an update; false when that was done already.
    ///
    /// An id below the offset means that the server restarted its ids (Bot API: after a week without updates the
    /// next id is random), and so do we. Updates of the old count are confirmed no more.
    pub(crate) fn begin(&mut self, update_id: u32) -> bool {
        let known = self.waiting.contains(&update_id) || self.in_hand.contains(&update_id);
        if known || self.handled.contains(&update_id) {
            return false;
        }
        if update_id < self.offset {
            tracing::warn!("update ids restarted at the server");
            self.offset = update_id;
            self.in_hand.clear();
            self.waiting.clear();
        }
        self.in_hand.insert(update_id)
    }

    /// An update is handled.
    pub(crate) fn done(&mut self, update_id: u32) {
        if !self.in_hand.remove(&update_id) {
            return;
        }
        self.waiting.insert(update_id);
        self.handled.push_back(update_id);
        if self.handled.len() > REMEMBERED {
            self.handled.pop_front();
        }
        let first_open = self.in_hand.first().copied();
        while let Some(first) = self.waiting.first().copied() {
            if first_open.is_some_and(|open| open < first) {
                break;
            }
            self.waiting.pop_first();
            self.offset = first.saturating_add(1);
        }
    }

    /// The offset to fetch from. All updates before it are confirmed.
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// Whether no update is being handled.
    pub(crate) fn all_done(&self) -> bool {
        self.in_hand.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_waits_for_the_earliest_update() {
        let mut watermark = Watermark::new(0);
        for update in [10, 11, 13] {
            assert!(watermark.begin(update));
        }
        watermark.done(11);
        watermark.done(13);
        assert_eq!(watermark.offset(), 0, "10 is in hand");
        assert!(!watermark.begin(11), "fetched again, handled already");
        assert!(!watermark.begin(10), "fetched again, in hand");
        watermark.done(10);
        assert_eq!(watermark.offset(), 14);
        assert!(watermark.all_done());
    }

    #[test]
    fn a_server_that_counts_anew_is_followed() {
        let mut watermark = Watermark::new(700_000_000);
        assert!(watermark.begin(1_000));
        assert_eq!(watermark.offset(), 1_000, "1,000 is in hand");
        assert!(watermark.begin(1_001));
        watermark.done(1_000);
        assert_eq!(watermark.offset(), 1_001);
        watermark.done(1_001);
        assert_eq!(watermark.offset(), 1_002);
    }

    #[test]
    fn what_was_counted_before_moves_no_offset_of_the_new_count() {
        let mut watermark = Watermark::new(700_000_000);
        assert!(watermark.begin(700_000_000) && watermark.begin(700_000_001));
        watermark.done(700_000_001);
        assert!(watermark.begin(1_000));
        watermark.done(1_000);
        assert_eq!(watermark.offset(), 1_001);
        watermark.done(700_000_000);
        assert_eq!(watermark.offset(), 1_001, "1,001 was never asked for");
    }

    #[test]
    fn the_last_number_there_is_is_handled_once() {
        let last = u32::try_from(i32::MAX).unwrap();
        let mut watermark = Watermark::new(last);
        assert!(watermark.begin(last));
        watermark.done(last);
        assert!(!watermark.begin(last), "given again");
        assert_eq!(watermark.offset(), last + 1);
    }

    #[test]
    fn handled_updates_are_known_while_they_wait_and_the_last_ones_longer() {
        let many = u32::try_from(REMEMBERED).unwrap() + 1;
        let mut watermark = Watermark::new(0);
        for update in 0..=many {
            assert!(watermark.begin(update));
        }
        (1..=many).for_each(|update| watermark.done(update));
        assert_eq!(watermark.offset(), 0, "0 is in hand");
        assert!(!watermark.begin(1), "handled, and not confirmed");
        assert_eq!(watermark.handled.len(), REMEMBERED);
    }

    #[test]
    fn what_was_never_begun_moves_nothing() {
        let mut watermark = Watermark::new(5);
        watermark.done(9);
        assert_eq!(watermark.offset(), 5);
        assert!(watermark.begin(5));
        watermark.done(5);
        assert_eq!(watermark.offset(), 6);
    }
}
