//! One after the other in each chat, different chats at once: for updates that come each on its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

type Turns = HashMap<i64, Arc<Turn<()>>>;

/// Whose turn it is in which chat. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Chats {
    turns: Arc<Mutex<Turns>>,
}

/// The turn in one chat. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct InTurn {
    chats: Chats,
    chat_id: i64,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Chats {
    /// Waits for the turn; in the order of coming.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: who does not wait any more is passed over.
    pub(super) async fn turn(&self, chat_id: i64) -> InTurn {
        let turn = Arc::clone(self.turns().entry(chat_id).or_default());
        // Begun before it is waited for, so that a place that is given up is cleared away too.
        let mut mine = InTurn { chats: self.clone(), chat_id, turn: None };
        mine.turn = Some(turn.lock_owned().await);
        mine
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InTurn {
    fn drop(&mut self) {
        self.turn = None;
        let mut turns = self.chats.turns();
        // Nobody else holds it or waits for it: both have a handle of their own, made under this lock.
        if turns.get(&self.chat_id).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.chat_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_chat_goes_in_order_and_holds_up_no_other() {
        let chats = Chats::default();
        let first = chats.turn(1).await;
        let mut second = Box::pin(chats.turn(1));
        let mut third = Box::pin(chats.turn(1));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        assert!(chats.turn(2).now_or_never().is_some());
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "it came last");
        drop(second.await);
        drop(third.await);
        assert!(chats.turns().is_empty(), "nothing is kept of chats that are done");
    }

    #[tokio::test]
    async fn a_place_that_is_given_up_is_passed_over() {
        let chats = Chats::default();
        let first = chats.turn(1).await;
        let mut second = Box::pin(chats.turn(1));
        assert!((&mut second).now_or_never().is_none());
        drop(second);
        drop(first);
        assert!(chats.turns().is_empty());
    }
}
