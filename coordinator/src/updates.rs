//! The update loop: fetches updates, handles them, and confirms what is safe.
//!
//! Telegram forgets an update when a later `getUpdates` names a higher offset. That offset only moves behind updates
//! whose task is in Redis or whose reply is in the chat ([`watermark`]): after a crash Telegram sends the rest again,
//! and the same update makes the same tasks. Updates of one chat are handled in order, different chats at once. One
//! coordinator polls at a time ([`lease`]); the others only deliver answers. Or Telegram brings the updates, to all
//! coordinators at once ([`webhook`]).

pub mod incoming;
pub mod lease;
pub mod watermark;
pub mod webhook;
pub mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bot_api::{BotApi, BotError};
use crate::perform::Performer;
use crate::turns::Turns;
use incoming::Me;
use lease::PollerLease;
use watermark::Watermark;
use work::Work;

/// How long one long poll waits when everything fetched so far is handled.
const LONG_POLL: Duration = Duration::from_secs(25);
/// How long one slow chat keeps the next fetch waiting; it is then handled beside it.
const BATCH_AT_MOST: Duration = Duration::from_secs(5);
/// Pause before a fetch that can only bring what is in hand already.
const STILL_IN_HAND: Duration = Duration::from_millis(500);
/// How long whoever does not fetch any more waits for what is in hand.
const FINISH_AT_MOST: Duration = Duration::from_secs(10);
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
const AFTER_CONFLICT: Duration = Duration::from_secs(3);
/// Updates that wait to be reported as handled.
const REPORTS: usize = 256;

/// Handles updates until `shutdown`.
pub async fn poll_until(performer: &Arc<Performer>, me: &str, shutdown: CancellationToken) {
    let lease = PollerLease::new(performer.queue.clone(), performer.sender.bot().id(), me);
    while !shutdown.is_cancelled() {
        match lease.acquire().await {
            Ok(Some(offset)) => {
                tracing::info!("this coordinator fetches the updates");
                let lost = CancellationToken::new();
                let mut poller = Poller::new(performer, offset);
                // Either branch may be dropped: what was fetched and not confirmed is fetched again.
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = lease.keep(&lost) => {}
                    () = poller.run(&lease, &lost) => {}
                }
                poller.finish(&lease).await;
            }
            Ok(None) => {}
            Err(error) => {
                performer.queue.note_trouble(None, "ask who fetches the updates", &error);
            }
        }
        let _ = shutdown.run_until_cancelled(tokio::time::sleep(AFTER_TROUBLE)).await;
    }
    lease.release().await;
}

struct Poller<'a> {
    performer: &'a Arc<Performer>,
    bot: &'a BotApi,
    watermark: Watermark,
    /// The offset that Redis knows.
    noted: u32,
    chats: TaskTracker,
    turns: Turns,
    handled: mpsc::Sender<u32>,
    reports: mpsc::Receiver<u32>,
}

impl<'a> Poller<'a> {
    fn new(performer: &'a Arc<Performer>, offset: u32) -> Self {
        let (handled, reports) = mpsc::channel(REPORTS);
        Self {
            performer,
            bot: performer.sender.bot(),
            watermark: Watermark::new(offset),
            noted: offset,
            chats: TaskTracker::new(),
            turns: Turns::default(),
            handled,
            reports,
        }
    }

    async fn run(&mut self, lease: &PollerLease, lost: &CancellationToken) {
        self.leave_webhook().await;
        while !lost.is_cancelled() {
            let wait = if self.watermark.all_done() { LONG_POLL } else { Duration::ZERO };
            let updates = match self.bot.updates(self.watermark.offset(), wait).await {
                Ok(updates) => updates,
                Err(error) => {
                    tracing::warn!(error = %error, "cannot fetch updates; trying again");
                    let wait = match error {
                        BotError::Conflict => AFTER_CONFLICT,
                        other => other.try_again_after(AFTER_TROUBLE).unwrap_or(AFTER_CONFLICT),
                    };
                    tokio::time::sleep(wait).await;
                    continue;
                }
            };
            let mut by_chat: BTreeMap<i64, Vec<Work>> = BTreeMap::new();
            let mut fresh = false;
            let me = Me { id: self.bot.id(), username: self.bot.username() };
            for update in updates {
                let update_id = update.id.0;
                if !self.watermark.begin(update_id) {
                    continue;
                }
                fresh = true;
                match work::read(update, me) {
                    Some(work) => {
                        let work = work.admit(self.performer).await;
                        by_chat.entry(work.chat_id).or_default().push(work);
                    }
                    None => self.watermark.done(update_id),
                }
            }
            for (_, chat) in by_chat {
                self.start(chat);
            }
            self.collect(fresh).await;
            self.note(lease).await;
        }
    }

    /// Whoever fetches must not have updates brought as well. Only at the beginning: a coordinator that has been told to
    /// take them since then shall have them.
    async fn leave_webhook(&self) {
        loop {
            let error = match self.bot.delete_webhook().await {
                Ok(()) => return,
                Err(error) => error,
            };
            tracing::warn!(error = %error, "cannot tell Telegram that updates are fetched; trying again");
            let Some(wait) = error.try_again_after(AFTER_TROUBLE) else { return };
            tokio::time::sleep(wait).await;
        }
    }

    /// Notes how far it came, when it came further.
    async fn note(&mut self, lease: &PollerLease) {
        let offset = self.watermark.offset();
        if self.noted != offset {
            lease.note_offset(offset).await;
            self.noted = offset;
        }
    }

    /// Handles one chat's updates in order, beside the others.
    fn start(&self, chat: Vec<Work>) {
        let (performer, handled) = (Arc::clone(self.performer), self.handled.clone());
        // After what an earlier fetch brought of this chat.
        let turn = chat.first().map(|work| self.turns.join(work.chat_id));
        self.chats.spawn(async move {
            if let Some(turn) = &turn {
                turn.come().await;
            }
            for work in chat {
                let update_id = work.update_id;
                let performer = Arc::clone(&performer);
                // In a task of its own: one that panics is a bug, and must not stop all that follow.
                match tokio::spawn(async move { work.handle(&performer).await }).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        tracing::error!(update_id, error = %error, "an update is passed over");
                    }
                }
                let _ = handled.send(update_id).await; // Gone when we stopped polling.
            }
        });
    }

    /// Waits until all is handled, for as long as one slow chat may keep the others waiting.
    async fn collect(&mut self, fresh: bool) {
        let until = Instant::now() + if fresh { BATCH_AT_MOST } else { STILL_IN_HAND };
        while !self.watermark.all_done() {
            match tokio::time::timeout_at(until, self.reports.recv()).await {
                Ok(Some(update_id)) => self.watermark.done(update_id),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Lets what is in hand end and notes how far it came.
    async fn finish(self, lease: &PollerLease) {
        let Self { chats, handled, mut reports, mut watermark, noted, .. } = self;
        chats.close();
        // The reports end when the last chat has dropped its end of the channel.
        drop(handled);
        let ending = async {
            while let Some(update_id) = reports.recv().await {
                watermark.done(update_id);
            }
            chats.wait().await;
        };
        if tokio::time::timeout(FINISH_AT_MOST, ending).await.is_err() {
            tracing::warn!("some updates are in hand still; whoever fetches next gets them again");
        }
        if noted != watermark.offset() && matches!(lease.acquire().await, Ok(Some(_))) {
            lease.note_offset(watermark.offset()).await;
        }
    }
}
