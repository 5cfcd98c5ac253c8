//! Messages that wait for the rate limit, by priority and then by arrival.
//!
//! One task asks Redis for one message after the other. So a thousand waiting messages ask no more often than one, urgent
//! ones overtake others, and the messages to a chat keep their order. Coordinators do not know each other's waiting
//! messages; between them, the part of the limit that [`Priority`] reserves lets answers pass.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::Priority;
use super::local_limiter::LocalRateLimiter;
use super::rate_limit_store::{RateLimitStore, StoreAnswer};
use super::request::SendRequest;
use super::revision::InFlightEdit;

/// Longest wait in the scheduler. A longer one is reported to the caller, who can do something else meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait of a placeholder: its task does not live longer.
const PLACEHOLDER_WAITS: Duration = Duration::from_secs(120);
/// Pause after Redis did not answer.
const REDIS_PAUSE: Duration = Duration::from_secs(1);
/// Retry delay reported during shutdown; nobody will use it.
const WHEN_CLOSING: Duration = Duration::from_secs(1);

/// What the scheduler decides about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send now.
    Go,
    /// Edit the message now.
    Begun(InFlightEdit),
    /// An older edit of the message is in flight.
    Busy,
    /// An edit of this later turn was begun.
    Superseded { by: u64 },
    /// Try again after this long.
    RetryAfter(Duration),
    /// Do not send it at all.
    Drop,
    /// The bot cannot write to the chat.
    Unreachable,
    /// The group has another id.
    Migrated(i64),
}

/// A message that waits for the scheduler's decision.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) request: SendRequest,
    pub(super) answer: oneshot::Sender<Decision>,
}

struct Waiting {
    queued: Queued,
    /// The limit of its chat allows it from here on.
    not_before: Instant,
    /// Dropped after this.
    until: Option<Instant>,
}

/// Decides when messages are sent. Runs until all senders are dropped.
#[derive(Debug)]
pub struct SendScheduler {
    requests: mpsc::Receiver<Queued>,
    waiting: BTreeMap<(usize, u64), Waiting>,
    came: u64,
    store: Arc<RateLimitStore>,
    local_limiter: Arc<Mutex<LocalRateLimiter>>,
    /// By rank: the bot's limit allows these messages from here on.
    closed_until: [Instant; 3],
    ask_redis_from: Instant,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("until", &self.until).finish_non_exhaustive()
    }
}

impl SendScheduler {
    pub(super) fn new(
        requests: mpsc::Receiver<Queued>,
        store: Arc<RateLimitStore>,
        local_limiter: Arc<Mutex<LocalRateLimiter>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            requests,
            waiting: BTreeMap::new(),
            came: 0,
            store,
            local_limiter,
            closed_until: [now; 3],
            ask_redis_from: now,
        }
    }

    /// Decides about messages. After `closing` none waits: their senders get [`Decision::RetryAfter`].
    pub async fn run(mut self, closing: CancellationToken) {
        loop {
            while let Ok(queued) = self.requests.try_recv() {
                self.enter(queued).await;
            }
            self.forget_the_late();
            if let Some(position) = self.next() {
                self.admit(position).await;
                continue;
            }
            if closing.is_cancelled() {
                self.send_away(WHEN_CLOSING);
            }
            let wake_at = self.wake_at();
            // A dropped branch loses nothing: the loop checks all of them again.
            tokio::select! {
                queued = self.requests.recv() => match queued {
                    Some(queued) => self.enter(queued).await,
                    None => return,
                },
                () = sleep_until(wake_at) => {}
                () = closing.cancelled(), if !closing.is_cancelled() => {}
            }
        }
    }

    async fn enter(&mut self, queued: Queued) {
        let now = Instant::now();
        if queued.request.priority == Priority::Progress {
            // Something more urgent waits, or the limit is used up: the next progress says more anyway.
            let full = !self.waiting.is_empty() || now < self.closed(Priority::Progress);
            let decision = if full { None } else { decision(self.take(&queued).await).ok() };
            tell(queued, decision.unwrap_or(Decision::Drop));
            return;
        }
        let closed_for = self.closed(queued.request.priority).saturating_duration_since(now);
        if closed_for > PATIENCE {
            return tell(queued, Decision::RetryAfter(closed_for));
        }
        let late = now + PLACEHOLDER_WAITS;
        let until = (queued.request.priority == Priority::Placeholder).then_some(late);
        let position = (queued.request.priority.rank(), self.came);
        self.came += 1;
        self.waiting.insert(position, Waiting { queued, not_before: now, until });
    }

    /// The first message that may be sent. None overtakes another of the same chat.
    fn next(&self) -> Option<(usize, u64)> {
        let now = Instant::now();
        let mut held_up = HashSet::new();
        let may_go = |waiting: &Waiting| {
            waiting.not_before <= now && self.closed(waiting.queued.request.priority) <= now
        };
        self.waiting.iter().find_map(|(position, waiting)| {
            let first = !held_up.contains(&waiting.queued.request.chat_id);
            if first && may_go(waiting) {
                return Some(*position);
            }
            held_up.insert(waiting.queued.request.chat_id);
            None
        })
    }

    /// When a message may be sent, or is dropped.
    fn wake_at(&self) -> Option<Instant> {
        let mut held_up = HashSet::new();
        let waiting = self.waiting.values();
        waiting
            .filter_map(|waiting| {
                let free = held_up
                    .insert(waiting.queued.request.chat_id)
                    .then(|| waiting.not_before.max(self.closed(waiting.queued.request.priority)));
                [free, waiting.until].into_iter().flatten().min()
            })
            .min()
    }

    async fn admit(&mut self, position: (usize, u64)) {
        let Some(mut first) = self.waiting.remove(&position) else { return };
        if first.queued.answer.is_closed() {
            return;
        }
        let (wait, all) = match decision(self.take(&first.queued).await) {
            Ok(admission) => return tell(first.queued, admission),
            Err(wait) => wait,
        };
        let at = Instant::now() + wait;
        // An album needs more of the limit than others: it waits without holding them up.
        let all = all && first.queued.request.messages <= 1;
        if all {
            // Less urgent messages have less of the limit.
            for closed in self.closed_until.iter_mut().skip(first.queued.request.priority.rank()) {
                *closed = (*closed).max(at);
            }
        } else {
            first.not_before = at;
        }
        if wait <= PATIENCE {
            self.waiting.insert(position, first);
        } else if all {
            tell(first.queued, Decision::RetryAfter(wait));
            self.send_away(wait);
        } else {
            tell(first.queued, Decision::RetryAfter(wait));
        }
    }

    /// Asks Redis, or the local limiter while Redis does not answer; that cannot decide about edits.
    async fn take(&mut self, queued: &Queued) -> StoreAnswer {
        let now = Instant::now();
        if self.ask_redis_from <= now {
            match self.store.take(queued.request).await {
                Ok(answer) => return answer,
                Err(error) => {
                    tracing::warn!(error = %error, "rate limit not read; sending at the local rate");
                    self.ask_redis_from = Instant::now() + REDIS_PAUSE;
                }
            }
        }
        if queued.request.change.is_some() {
            return StoreAnswer::RedisAway;
        }
        let now = Instant::now();
        let mut local_limiter = self.local_limiter.lock().unwrap_or_else(PoisonError::into_inner);
        match local_limiter.take(now, queued.request, &self.store.limits) {
            None => StoreAnswer::Go,
            // Only this chat's wait: Telegram may have asked to wait longer with it than with others.
            Some(at) => StoreAnswer::Wait { wait: at.saturating_duration_since(now), all: false },
        }
    }

    fn closed(&self, priority: Priority) -> Instant {
        let closed = self.closed_until.get(priority.rank());
        closed.copied().unwrap_or_else(Instant::now)
    }

    fn send_away(&mut self, wait: Duration) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            tell(waiting.queued, Decision::RetryAfter(wait));
        }
    }

    fn forget_the_late(&mut self) {
        let now = Instant::now();
        let late = |waiting: &mut Waiting| waiting.until.is_some_and(|until| until <= now);
        let positions: Vec<_> = self
            .waiting
            .iter_mut()
            .filter_map(|(position, waiting)| late(waiting).then_some(*position))
            .collect();
        for position in positions {
            if let Some(waiting) = self.waiting.remove(&position) {
                tell(waiting.queued, Decision::Drop);
            }
        }
    }
}

/// The decision, or how long to wait and whether all chats have to.
pub(super) fn decision(answer: StoreAnswer) -> Result<Decision, (Duration, bool)> {
    Ok(match answer {
        StoreAnswer::Go => Decision::Go,
        StoreAnswer::Begun(in_flight) => Decision::Begun(in_flight),
        StoreAnswer::Busy => Decision::Busy,
        StoreAnswer::Superseded { by } => Decision::Superseded { by },
        StoreAnswer::RedisAway => Decision::RetryAfter(REDIS_PAUSE),
        StoreAnswer::Unreachable => Decision::Unreachable,
        StoreAnswer::Migrated(chat_id) => Decision::Migrated(chat_id),
        StoreAnswer::Wait { wait, all } => return Err((wait, all)),
    })
}

fn tell(queued: Queued, admission: Decision) {
    let _ = queued.answer.send(admission); // Gone when the caller does not want to send any more.
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
