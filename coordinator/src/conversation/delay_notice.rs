//! A question that Redis does not take at the moment: it is kept and tried again, and the person is told so once.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use queue::{Refusal, TaskId};
use tokio::time::Instant;

use super::handler::Performer;
use crate::chat::address::Place;
use crate::chat::effect::Pressed;
use crate::chat::screen::Screen;
use crate::chat::text::Lang;
use crate::telegram::send::Urgency;

/// A refusal that is over sooner is not worth a message: a slot that moves, a server that loads a little.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// Questions of which it is remembered that their askers were told.
const REMEMBERED: usize = 10_000;
/// For how long all coordinators remember it, where Redis takes that note.
const TOLD_ONCE_IN: Duration = Duration::from_secs(600);

/// Whom this process has told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    questions: Mutex<(HashSet<TaskId>, VecDeque<TaskId>)>,
}

impl Told {
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

/// One question, while it is tried.
#[derive(Debug)]
pub(super) struct Kept {
    began: Instant,
    over: bool,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), over: false }
    }

    /// Whether an error is a refusal, and one that is not over in a moment.
    pub(super) fn lasts(&self, error: &redis::RedisError) -> bool {
        Refusal::of(error).is_some() && self.began.elapsed() >= TOLD_AFTER
    }

    /// Redis did not take it. Tells the person when that is for a reason of Redis' own and lasts.
    pub(super) async fn refused(
        &mut self,
        performer: &Arc<Performer>,
        error: &redis::RedisError,
        question: &AskedFor,
    ) {
        if self.over || !self.lasts(error) {
            return;
        }
        self.over = true;
        let AskedFor { id, place, lang, pressed } = question;
        if !performer.told.first(id) {
            return;
        }
        // The same update may come to another coordinator meanwhile. Each is another one here: once too seldom is better
        // than again and again.
        let me = uuid::Uuid::now_v7().simple().to_string();
        if !performer.first(&format!("kept:{id}"), &me, TOLD_ONCE_IN).await {
            return;
        }
        let text = lang.text("busy-kept");
        match pressed {
            Some(pressed) => performer.answer_button(pressed.query_id.clone(), Some(text)),
            None => {
                let (performer, place) = (Arc::clone(performer), *place);
                let background = performer.background.clone();
                // Beside the question: it is tried again whether its asker hears of it or not.
                background.spawn(async move {
                    let screen = Screen::plain(text);
                    if let Err(error) = performer.sender.send(&place, &screen, Urgency::Reply).await
                    {
                        tracing::debug!(error = %error, "it was not said that a question is kept");
                    }
                });
            }
        }
    }
}

/// What is told about a question.
#[derive(Debug, Clone)]
pub(super) struct AskedFor {
    pub(super) id: TaskId,
    pub(super) place: Place,
    pub(super) lang: Lang,
    pub(super) pressed: Option<Pressed>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_told_of_once_and_the_oldest_are_forgotten() {
        let lane = queue::Lane::whole(&"t".parse().unwrap_or_else(|_| unreachable!()));
        let id = |n: usize| TaskId::from_cause(&lane, &n.to_string());
        let told = Told::default();
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
        let lasting = Kept { began: now.checked_sub(TOLD_AFTER).unwrap(), over: false };
        let begun = Kept { began: now + TOLD_AFTER, over: false };
        assert!(lasting.lasts(&refused));
        assert!(!begun.lasts(&refused), "it may be over in a moment");
        assert!(!lasting.lasts(&broken), "a server that is away has refused nothing");
    }
}
