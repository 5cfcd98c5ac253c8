//! Long polling: fetches updates, handles them, and confirms what is safe.
//!
//! Telegram forgets an update when a later `getUpdates` names a higher offset. The offset only passes updates whose task is
//! in Redis or whose reply is in the chat ([`super::watermark`]). After a crash Telegram sends the rest again, and the same
//! update makes the same tasks. Updates of one chat are handled in order, different chats at once. One coordinator polls at
//! a time ([`super::poller_lease`]); the others only deliver answers.
//!
//! An update that cannot be read ([`crate::telegram::updates`]) is skipped alone: the offset passes it, it is counted and
//! logged, and its sender is told.

mod conflict;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ops::health::Turns;
use ops::shutdown::ShuttingDown;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::conflict::Conflicts;
pub(crate) use self::conflict::host;
use super::dispatch::{self, Admitted, Dispatcher};
use super::poller_lease::PollerLease;
use super::problem::{self, UpdateProblem};
use super::watermark::Watermark;
use crate::chat_order::ChatOrder;
use crate::config::ForeignWebhook;
use crate::telegram::bot_api::{BotApi, BotError};
use crate::telegram::updates::batch::{self, Numbered};
use crate::telegram::updates::incoming::BotIdentity;

/// Wait of a long poll when all fetched updates are handled.
const LONG_POLL: Duration = Duration::from_secs(25);
/// How long a slow chat delays the next fetch; after that it is handled in parallel.
const BATCH_AT_MOST: Duration = Duration::from_secs(5);
/// Pause before a fetch that can only repeat updates that are being handled.
const STILL_IN_HAND: Duration = Duration::from_millis(500);
/// How long the end of polling waits for updates that are being handled.
const FINISH_AT_MOST: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Wait of the first long poll after trouble, so that its end is noticed soon.
const TRY_WAIT: Duration = Duration::from_secs(1);
/// Capacity of the channel of handled updates.
const REPORTS: usize = 256;
/// Updates without an id that are remembered, so that each is answered and counted once.
const NAMELESS: usize = 256;

/// Handles updates until `shutdown`.
pub(crate) async fn poll_until(
    dispatcher: &Arc<Dispatcher>,
    bot: &BotApi,
    lease: PollerLease,
    foreign_webhook: ForeignWebhook,
    problem: &UpdateProblem,
    turns: &Turns,
    shutdown: CancellationToken,
) {
    while !shutdown.is_cancelled() {
        turns.turned();
        match lease.acquire().await {
            Ok(Some(offset)) => {
                tracing::info!("polling for updates");
                let lost = CancellationToken::new();
                let mut poller = Poller::new(dispatcher, bot, offset, foreign_webhook, problem);
                // A dropped branch loses nothing: updates that are not confirmed are fetched again.
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = lease.keep(&lost) => {}
                    () = poller.run(&lease, turns, &lost) => {}
                }
                poller.finish(&lease).await;
                // The coordinator that polls now reports its own problems.
                problem::end(problem);
            }
            Ok(None) => {}
            Err(error) => {
                lease.note_trouble("acquire the polling lease", &error);
            }
        }
        let _ = shutdown.run_until_cancelled(tokio::time::sleep(RETRY_PAUSE)).await;
    }
    lease.release().await;
}

struct Poller<'a> {
    dispatcher: &'a Arc<Dispatcher>,
    bot: &'a BotApi,
    conflicts: Conflicts<'a>,
    problem: &'a UpdateProblem,
    watermark: Watermark,
    /// The offset in Redis.
    noted: u32,
    reading: batch::ReadProgress,
    nameless: VecDeque<u64>,
    chats: TaskTracker,
    order: ChatOrder,
    handled: mpsc::Sender<u32>,
    reports: mpsc::Receiver<u32>,
}

impl<'a> Poller<'a> {
    fn new(
        dispatcher: &'a Arc<Dispatcher>,
        bot: &'a BotApi,
        offset: u32,
        foreign_webhook: ForeignWebhook,
        problem: &'a UpdateProblem,
    ) -> Self {
        let (handled, reports) = mpsc::channel(REPORTS);
        Self {
            dispatcher,
            bot,
            conflicts: Conflicts::new(bot, foreign_webhook, problem),
            problem,
            watermark: Watermark::new(offset),
            noted: offset,
            reading: batch::ReadProgress::default(),
            nameless: VecDeque::new(),
            chats: TaskTracker::new(),
            order: ChatOrder::default(),
            handled,
            reports,
        }
    }

    async fn run(&mut self, lease: &PollerLease, turns: &Turns, lost: &CancellationToken) {
        self.conflicts.remove_webhook(lease, turns).await;
        while !lost.is_cancelled() {
            turns.turned();
            match self.fetch().await {
                Ok(batch) => {
                    problem::end(self.problem);
                    let brought = !batch.is_empty();
                    let fresh = self.handle(batch).await;
                    self.collect(fresh).await;
                    self.note(lease).await;
                    if brought && !fresh && self.watermark.all_done() {
                        // The server repeats updates that were confirmed.
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
                Err(error) => {
                    let wait = self.conflicts.cannot_fetch(&error, lease).await;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn fetch(&mut self) -> Result<Vec<Numbered>, BotError> {
        let wait = if !self.watermark.all_done() {
            Duration::ZERO
        } else if self.problem.borrow().is_none() {
            LONG_POLL
        } else {
            TRY_WAIT
        };
        let offset = self.watermark.offset();
        let list = self.bot.updates(offset, wait).await?;
        batch::read(&list, offset, &mut self.reading).ok_or_else(|| BotError::Unreadable {
            method: "getUpdates".to_owned(),
            what: "its result is no list".to_owned(),
        })
    }

    /// Starts to handle a batch. Whether it had anything new.
    async fn handle(&mut self, batch: Vec<Numbered>) -> bool {
        let me = BotIdentity { id: self.bot.id(), username: self.bot.username() };
        let mut admissions = Vec::new();
        let mut fresh = false;
        for Numbered { id, parsed } in batch {
            if id.is_some_and(|id| !self.watermark.begin(id)) {
                continue;
            }
            fresh = true;
            // Without an id of its own nothing waits for it.
            let update_id = id.unwrap_or(self.watermark.offset());
            let known = parsed.nameless.is_some_and(|of| !self.first_of(of));
            match (!known).then(|| dispatch::read(update_id, parsed, me)).flatten() {
                Some(chat_update) => admissions.push(self.dispatcher.admit(chat_update)),
                None => self.watermark.done(update_id),
            }
        }
        // All at once, which takes one round trip. They reach Redis in their order.
        let mut by_chat: BTreeMap<i64, Vec<Admitted>> = BTreeMap::new();
        for admitted in futures::future::join_all(admissions).await {
            by_chat.entry(admitted.chat_update.chat_id).or_default().push(admitted);
        }
        for (chat_id, updates) in by_chat {
            self.start(chat_id, updates);
        }
        fresh
    }

    /// Whether an update without an id comes for the first time.
    fn first_of(&mut self, fingerprint: u64) -> bool {
        if self.nameless.contains(&fingerprint) {
            return false;
        }
        self.nameless.push_back(fingerprint);
        if self.nameless.len() > NAMELESS {
            self.nameless.pop_front();
        }
        true
    }

    /// Stores the offset in Redis when it has moved.
    async fn note(&mut self, lease: &PollerLease) {
        let offset = self.watermark.offset();
        if self.noted != offset {
            lease.note_offset(offset).await;
            self.noted = offset;
        }
    }

    /// Handles one chat's updates in order, in parallel with other chats.
    fn start(&self, chat_id: i64, updates: Vec<Admitted>) {
        let dispatcher = Arc::clone(self.dispatcher);
        let handled = self.handled.clone();
        // After this chat's updates of earlier fetches.
        let ticket = self.order.ticket(chat_id);
        self.chats.spawn(async move {
            ticket.wait().await;
            for update in updates {
                let update_id = update.chat_update.update_id;
                let dispatcher = Arc::clone(&dispatcher);
                // In a task of its own: one that panics is a bug, and must not stop all that follow.
                match tokio::spawn(async move { dispatcher.handle(&update).await }).await {
                    Ok(Ok(())) => {}
                    Ok(Err(ShuttingDown)) => return,
                    Err(error) => {
                        tracing::error!(update_id, error = %error, "update skipped: its handler panicked");
                    }
                }
                let _ = handled.send(update_id).await; // Gone when we stopped polling.
            }
        });
    }

    /// Waits until all updates are handled, but not longer than a slow chat may delay the next fetch.
    async fn collect(&mut self, fresh: bool) {
        let until = Instant::now() + if fresh { BATCH_AT_MOST } else { STILL_IN_HAND };
        while !self.watermark.all_done() {
            match tokio::time::timeout_at(until, self.reports.recv()).await {
                Ok(Some(update_id)) => self.watermark.done(update_id),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Waits for updates that are being handled, and stores the offset.
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
            tracing::warn!(
                "polling ended before all updates were handled; the coordinator that polls next gets them again"
            );
        }
        if noted != watermark.offset() && matches!(lease.acquire().await, Ok(Some(_))) {
            lease.note_offset(watermark.offset()).await;
        }
    }
}
