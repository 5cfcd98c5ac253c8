//! While Redis refuses a question, it is tried again, and the person is told once.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use queue::{Refusal, TaskId};
use tokio::time::Instant;

use super::replies::Replies;
use crate::access::dedup::Dedup;
use crate::chat::address::ChatAddress;
use crate::chat::effect::Pressed;
use crate::chat::screen::Screen;
use crate::chat::text::Lang;

/// Shorter refusals are not worth a message: a slot that moves, a server that loads.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// Most questions that are remembered.
const REMEMBERED: usize = 10_000;
/// How long all coordinators remember it, if Redis stores that.
const TOLD_ONCE_IN: Duration = Duration::from_secs(600);

/// Questions whose sender this process has told.
#[derive(Debug, Default)]
struct ToldQuestions {
    questions: Mutex<(HashSet<TaskId>, VecDeque<TaskId>)>,
}

impl ToldQuestions {
    /// Whether it is the first time.
    fn first(&self, id: &TaskId) -> bool {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *questions;
        if !known.insert(id.clone()) {
            return false;
        }
        order.push_back(id.clone());
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        true
    }
}

/// Tells people that their questions wait. Used through an [`Arc`].
#[derive(Debug)]
pub(crate) struct DelayNotices {
    told: ToldQuestions,
    dedup: Dedup,
    replies: Arc<Replies>,
}

impl DelayNotices {
    /// Notices are sent through `replies`; with `dedup` only one coordinator sends each.
    pub(crate) fn new(dedup: Dedup, replies: Arc<Replies>) -> Self {
        Self { told: ToldQuestions::default(), dedup, replies }
    }

    async fn tell(&self, question: &WaitingQuestion) {
        let WaitingQuestion { id, address, lang, pressed } = question;
        if !self.told.first(id) {
            return;
        }
        // Another coordinator may get the same update meanwhile. With a random origin the notice is sent at most once.
        let me = uuid::Uuid::now_v7().simple().to_string();
        if !self.dedup.is_first(&format!("kept:{id}"), &me, TOLD_ONCE_IN).await {
            return;
        }
        let text = lang.text("busy-kept");
        match pressed {
            Some(pressed) => self.replies.answer_button(pressed.query_id.clone(), Some(text)),
            // Out of order: the question does not wait for the notice.
            None => self.replies.tell_aside(*address, Screen::plain(text)),
        }
    }
}

/// The attempts to get one question into Redis.
#[derive(Debug)]
pub(crate) struct Attempts {
    began: Instant,
    told: AtomicBool,
}

impl Attempts {
    /// The first attempt is now.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), told: AtomicBool::new(false) }
    }

    /// Whether an error is a refusal that has lasted for a while.
    pub(crate) fn refusal_lasts(&self, error: &redis::RedisError) -> bool {
        Refusal::of(error).is_some() && self.began.elapsed() >= TOLD_AFTER
    }

    /// Handles a failed attempt: tells the person when Redis keeps refusing.
    pub(crate) async fn failed(
        &self,
        notices: &DelayNotices,
        error: &redis::RedisError,
        question: &WaitingQuestion,
    ) {
        if !self.refusal_lasts(error) || self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        notices.tell(question).await;
    }
}

/// A question that Redis does not take yet, and who asked it.
#[derive(Debug, Clone)]
pub(crate) struct WaitingQuestion {
    /// Its task.
    pub(crate) id: TaskId,
    /// Where it was asked.
    pub(crate) address: ChatAddress,
    /// The language of its sender.
    pub(crate) lang: Lang,
    /// The press that asked it.
    pub(crate) pressed: Option<Pressed>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_told_of_once_and_the_oldest_are_forgotten() {
        let lane = queue::Lane::whole(&"t".parse().unwrap_or_else(|_| unreachable!()));
        let id = |n: usize| TaskId::from_cause(&lane, &n.to_string());
        let told = ToldQuestions::default();
        assert!(told.first(&id(0)));
        assert!(!told.first(&id(0)));
        for n in 1..=REMEMBERED {
            assert!(told.first(&id(n)));
        }
        assert!(told.first(&id(0)), "forgotten by now");
    }

    #[test]
    fn what_is_over_in_a_moment_or_no_refusal_is_not_told() {
        let refused = redis::make_extension_error("OOM".to_owned(), None);
        let broken = redis::RedisError::from(std::io::Error::other("broken"));
        let now = Instant::now();
        let at = |began| Attempts { began, told: AtomicBool::new(false) };
        let lasting = at(now.checked_sub(TOLD_AFTER).unwrap());
        let begun = at(now + TOLD_AFTER);
        assert!(lasting.refusal_lasts(&refused));
        assert!(!begun.refusal_lasts(&refused), "it may be over in a moment");
        assert!(!lasting.refusal_lasts(&broken), "a server that is away has refused nothing");
    }
}
