//! The line in front of the Bot API: who waits for room, in order of urgency and then of coming.
//!
//! One task asks Redis for one message after the other. So a thousand that wait ask no more often than one, what is
//! urgent overtakes what is not, and the messages to a chat keep their order. Coordinators do not know each other's lines:
//! there the room that [`Urgency`] keeps free is what lets answers pass.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::Urgency;
use super::local_limiter::Pace;
use super::rate_limit_store::{Books, Verdict};
use super::request::Parcel;
use super::revision::Flight;

/// A wait that is known to be longer is given back: who waits here holds up what they could do meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// A placeholder that did not go by then comes too late to be of use: its task does not live longer.
const PLACEHOLDER_WAITS: Duration = Duration::from_secs(120);
/// How long Redis is not asked after it did not answer.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// Whoever asks when the process is shutting down and there is no room may come back, which they will not.
const WHEN_CLOSING: Duration = Duration::from_secs(1);

/// What is said to somebody in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// Send now.
    Go,
    /// Change the message now.
    Begun(Flight),
    /// Something older is on its way to the message.
    Busy,
    /// The message was to show what was asked at this later turn.
    Overtaken { by: u64 },
    /// Come back after this long.
    Later(Duration),
    /// Do not send it at all.
    NoRoom,
    /// The chat cannot be written to.
    Gone,
    /// The group has another id.
    Moved(i64),
}

/// Somebody who wants to send a message.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) parcel: Parcel,
    pub(super) answer: oneshot::Sender<Admission>,
}

struct Waiting {
    request: Request,
    /// No room in its chat before.
    not_before: Instant,
    /// Of no use behind that.
    until: Option<Instant>,
}

/// The line. Runs until nobody can ask any more.
#[derive(Debug)]
pub struct Line {
    requests: mpsc::Receiver<Request>,
    waiting: BTreeMap<(usize, u64), Waiting>,
    came: u64,
    books: Arc<Books>,
    pace: Arc<Mutex<Pace>>,
    /// By rank: no room for all of them before.
    closed_until: [Instant; 3],
    ask_redis_from: Instant,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Line {
    pub(super) fn new(
        requests: mpsc::Receiver<Request>,
        books: Arc<Books>,
        pace: Arc<Mutex<Pace>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            requests,
            waiting: BTreeMap::new(),
            came: 0,
            books,
            pace,
            closed_until: [now; 3],
            ask_redis_from: now,
        }
    }

    /// Lets through whoever has room. After `closing` nobody waits any more: they are told to come back.
    pub async fn run(mut self, closing: CancellationToken) {
        loop {
            while let Ok(request) = self.requests.try_recv() {
                self.enter(request).await;
            }
            self.forget_the_late();
            if let Some(place) = self.next() {
                self.admit(place).await;
                continue;
            }
            if closing.is_cancelled() {
                self.send_away(WHEN_CLOSING);
            }
            let wake_at = self.wake_at();
            // Losing a branch loses nothing: all of them are looked at again.
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.enter(request).await,
                    None => return,
                },
                () = sleep_until(wake_at) => {}
                () = closing.cancelled(), if !closing.is_cancelled() => {}
            }
        }
    }

    async fn enter(&mut self, request: Request) {
        let now = Instant::now();
        if request.parcel.urgency == Urgency::Progress {
            // Somebody waits who is more important, or there is no room: the next progress says more anyway.
            let full = !self.waiting.is_empty() || now < self.closed(Urgency::Progress);
            let decided = if full { None } else { decided(self.take(&request).await).ok() };
            tell(request, decided.unwrap_or(Admission::NoRoom));
            return;
        }
        let closed_for = self.closed(request.parcel.urgency).saturating_duration_since(now);
        if PATIENCE < closed_for {
            return tell(request, Admission::Later(closed_for));
        }
        let late = now + PLACEHOLDER_WAITS;
        let until = (request.parcel.urgency == Urgency::Placeholder).then_some(late);
        let place = (request.parcel.urgency.rank(), self.came);
        self.came += 1;
        self.waiting.insert(place, Waiting { request, not_before: now, until });
    }

    /// The first in line that may have room. Nobody overtakes somebody of the same chat.
    fn next(&self) -> Option<(usize, u64)> {
        let now = Instant::now();
        let mut held_up = HashSet::new();
        let may_go = |waiting: &Waiting| {
            waiting.not_before <= now && self.closed(waiting.request.parcel.urgency) <= now
        };
        self.waiting.iter().find_map(|(place, waiting)| {
            let first = !held_up.contains(&waiting.request.parcel.chat_id);
            if first && may_go(waiting) {
                return Some(*place);
            }
            held_up.insert(waiting.request.parcel.chat_id);
            None
        })
    }

    /// When somebody may have room, or is too late.
    fn wake_at(&self) -> Option<Instant> {
        let mut held_up = HashSet::new();
        let waiting = self.waiting.values();
        waiting
            .filter_map(|waiting| {
                let free = held_up
                    .insert(waiting.request.parcel.chat_id)
                    .then(|| waiting.not_before.max(self.closed(waiting.request.parcel.urgency)));
                [free, waiting.until].into_iter().flatten().min()
            })
            .min()
    }

    async fn admit(&mut self, place: (usize, u64)) {
        let Some(mut first) = self.waiting.remove(&place) else { return };
        if first.request.answer.is_closed() {
            return;
        }
        let (wait, all) = match decided(self.take(&first.request).await) {
            Ok(admission) => return tell(first.request, admission),
            Err(wait) => wait,
        };
        let at = Instant::now() + wait;
        // An album needs more room than most: it waits for that without closing the line to the others.
        let all = all && first.request.parcel.messages <= 1;
        if all {
            // What is less urgent has less room.
            for closed in self.closed_until.iter_mut().skip(first.request.parcel.urgency.rank()) {
                *closed = (*closed).max(at);
            }
        } else {
            first.not_before = at;
        }
        if wait <= PATIENCE {
            self.waiting.insert(place, first);
        } else if all {
            tell(first.request, Admission::Later(wait));
            self.send_away(wait);
        } else {
            tell(first.request, Admission::Later(wait));
        }
    }

    /// Asks Redis, or the local pace while Redis does not answer; that knows nothing of changes.
    async fn take(&mut self, request: &Request) -> Verdict {
        let now = Instant::now();
        if self.ask_redis_from <= now {
            match self.books.take(request.parcel).await {
                Ok(verdict) => return verdict,
                Err(error) => {
                    tracing::warn!(error = %error, "cannot ask for room to send; going slowly");
                    self.ask_redis_from = Instant::now() + AFTER_TROUBLE;
                }
            }
        }
        if request.parcel.change.is_some() {
            return Verdict::Away;
        }
        let now = Instant::now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        match pace.take(now, request.parcel, &self.books.limits) {
            None => Verdict::Go,
            // Not everyone's wait: the chat may have been told to wait longer than the others.
            Some(at) => Verdict::Wait { wait: at.saturating_duration_since(now), all: false },
        }
    }

    fn closed(&self, urgency: Urgency) -> Instant {
        let closed = self.closed_until.get(urgency.rank());
        closed.copied().unwrap_or_else(Instant::now)
    }

    fn send_away(&mut self, wait: Duration) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            tell(waiting.request, Admission::Later(wait));
        }
    }

    fn forget_the_late(&mut self) {
        let now = Instant::now();
        let late = |waiting: &mut Waiting| waiting.until.is_some_and(|until| until <= now);
        let places: Vec<_> = self
            .waiting
            .iter_mut()
            .filter_map(|(place, waiting)| late(waiting).then_some(*place))
            .collect();
        for place in places {
            if let Some(waiting) = self.waiting.remove(&place) {
                tell(waiting.request, Admission::NoRoom);
            }
        }
    }
}

/// What is said at once; or else how long there is no room, and whether for all.
pub(super) fn decided(verdict: Verdict) -> Result<Admission, (Duration, bool)> {
    Ok(match verdict {
        Verdict::Go => Admission::Go,
        Verdict::Begun(flight) => Admission::Begun(flight),
        Verdict::Busy => Admission::Busy,
        Verdict::Overtaken { by } => Admission::Overtaken { by },
        Verdict::Away => Admission::Later(AFTER_TROUBLE),
        Verdict::Gone => Admission::Gone,
        Verdict::Moved(chat_id) => Admission::Moved(chat_id),
        Verdict::Wait { wait, all } => return Err((wait, all)),
    })
}

fn tell(request: Request, admission: Admission) {
    let _ = request.answer.send(admission); // Gone when the caller does not want to send any more.
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
