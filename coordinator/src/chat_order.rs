//! Keeps the order within each chat, while different chats go on at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The end of the last ticket in each chat that has one.
type Last = HashMap<i64, Arc<CancellationToken>>;

/// Tickets of all chats. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChatOrder {
    last: Arc<Mutex<Last>>,
}

/// A position in the order of one chat. Ends when it is dropped, even before its time has come.
#[derive(Debug)]
pub(crate) struct ChatTicket {
    order: ChatOrder,
    chat_id: i64,
    before: Option<Arc<CancellationToken>>,
    end: Arc<CancellationToken>,
}

impl ChatOrder {
    /// Takes the next ticket of a chat. Its position is fixed from now on.
    pub(crate) fn ticket(&self, chat_id: i64) -> ChatTicket {
        let end = Arc::new(CancellationToken::new());
        let before = self.last().insert(chat_id, Arc::clone(&end));
        ChatTicket { order: self.clone(), chat_id, before, end }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChatTicket {
    /// Waits until the ticket before has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the ticket keeps its position.
    pub(crate) async fn wait(&self) {
        if let Some(before) = &self.before {
            before.cancelled().await;
        }
    }
}

impl Drop for ChatTicket {
    fn drop(&mut self) {
        let end = Arc::clone(&self.end);
        let before = self.before.take();
        let mut last = self.order.last();
        if last.get(&self.chat_id).is_some_and(|known| Arc::ptr_eq(known, &end)) {
            match &before {
                // Dropped before its time: the next ticket waits for the one before.
                Some(before) if !before.is_cancelled() => {
                    last.insert(self.chat_id, Arc::clone(before));
                }
                _ => {
                    last.remove(&self.chat_id);
                }
            }
        }
        drop(last);
        end.cancel();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[track_caller]
    fn has_come(ticket: &ChatTicket, expected: bool) {
        assert_eq!(ticket.wait().now_or_never().is_some(), expected);
    }

    #[tokio::test]
    async fn a_chat_goes_in_order_and_holds_up_no_other() {
        let order = ChatOrder::default();
        let first = order.ticket(1);
        let second = order.ticket(1);
        let third = order.ticket(1);
        has_come(&first, true);
        has_come(&second, false);
        has_come(&order.ticket(2), true);
        drop(first);
        has_come(&third, false);
        has_come(&second, true);
        drop(second);
        has_come(&third, true);
        drop(third);
        assert!(order.last().is_empty(), "nothing is kept of chats that are done");
    }

    #[tokio::test]
    async fn a_turn_that_is_given_up_is_passed_over() {
        let order = ChatOrder::default();
        let first = order.ticket(1);
        let second = order.ticket(1);
        drop(second);
        let third = order.ticket(1);
        has_come(&third, false);
        drop(first);
        has_come(&third, true);
        drop(third);
        assert!(order.last().is_empty());
    }
}
