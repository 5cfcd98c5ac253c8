//! Long polling: fetches updates, handles them, and confirms what is safe.
//!
//! Telegram forgets an update when a later `getUpdates` names a higher offset. The offset only passes updates whose task is
//! in Redis or whose reply is in the chat ([`super::watermark`]). After a crash Telegram sends the rest again, and the same
//! update makes the same tasks. Updates of one chat are handled in order, different chats at once. One coordinator polls at
//! a time ([`super::poller_lease`]); the others only deliver answers.
//!
//! An update that cannot be read ([`crate::telegram::updates`]) is skipped alone: the offset passes it, it is counted and
//! logged, and its sender is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ops::retry::{self, RetryPolicy};
use ops::shutdown::{Shutdown, ShuttingDown};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dispatch::{self, Admitted, Dispatcher};
use super::poller_lease::PollerLease;
use super::problem::UpdateProblem;
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
const AFTER_CONFLICT: Duration = Duration::from_secs(3);
/// Wait of the first long poll after trouble, so that its end is noticed soon.
const TRY_WAIT: Duration = Duration::from_secs(1);
/// Another program that sets its webhook again within this time sets it all the time.
const TAKEN_BACK_LATELY: Duration = Duration::from_secs(60);
/// Pause before such a webhook is removed again.
const BEFORE_TAKING_BACK: Duration = Duration::from_secs(20);
/// Pause between two checks of a webhook that is left in place.
const WEBHOOK_LEFT: Duration = Duration::from_secs(10);
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
    shutdown: CancellationToken,
) {
    while !shutdown.is_cancelled() {
        match lease.acquire().await {
            Ok(Some(offset)) => {
                tracing::info!("this coordinator fetches the updates");
                let lost = CancellationToken::new();
                let mut poller = Poller::new(dispatcher, bot, offset, foreign_webhook, problem);
                // A dropped branch loses nothing: updates that are not confirmed are fetched again.
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = lease.keep(&lost) => {}
                    () = poller.run(&lease, &lost) => {}
                }
                poller.finish(&lease).await;
                // The coordinator that polls now reports its own problems.
                problem.send_replace(None);
            }
            Ok(None) => {}
            Err(error) => {
                lease.note_trouble("ask who fetches the updates", &error);
            }
        }
        let _ = shutdown.run_until_cancelled(tokio::time::sleep(RETRY_PAUSE)).await;
    }
    lease.release().await;
}

struct Poller<'a> {
    dispatcher: &'a Arc<Dispatcher>,
    bot: &'a BotApi,
    foreign_webhook: ForeignWebhook,
    taken_back: Option<Instant>,
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
            foreign_webhook,
            taken_back: None,
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

    async fn run(&mut self, lease: &PollerLease, lost: &CancellationToken) {
        self.remove_webhook(lease).await;
        while !lost.is_cancelled() {
            match self.fetch().await {
                Ok(batch) => {
                    self.problem.send_replace(None);
                    let brought = !batch.is_empty();
                    let fresh = self.handle(batch).await;
                    self.collect(fresh).await;
                    self.note(lease).await;
                    if brought && !fresh && self.watermark.all_done() {
                        // The server repeats updates that were confirmed.
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
                Err(error) => self.cannot_fetch(&error, lease).await,
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
            method: "getUpdates",
            what: "its result is no list".to_owned(),
        })
    }

    /// Starts to handle a batch. Whether it had anything new.
    async fn handle(&mut self, batch: Vec<Numbered>) -> bool {
        let me = BotIdentity { id: self.bot.id(), username: self.bot.username() };
        let mut by_chat: BTreeMap<i64, Vec<Admitted>> = BTreeMap::new();
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
                Some(chat_update) => {
                    let chat_id = chat_update.chat_id;
                    let admitted = self.dispatcher.admit(chat_update).await;
                    by_chat.entry(chat_id).or_default().push(admitted);
                }
                None => self.watermark.done(update_id),
            }
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

    /// Reports why updates do not come, once for each cause, and waits or does something about it.
    async fn cannot_fetch(&mut self, error: &BotError, lease: &PollerLease) {
        let wait = match error {
            BotError::Conflict | BotError::WebhookSet => self.conflict(error, lease).await,
            other => {
                self.say(&format!("updates cannot be fetched: {other}"));
                other.try_again_after(RETRY_PAUSE).unwrap_or(AFTER_CONFLICT)
            }
        };
        tokio::time::sleep(wait).await;
    }

    /// Another program gets the updates, by polling or a webhook. Returns how long to wait.
    async fn conflict(&mut self, error: &BotError, lease: &PollerLease) -> Duration {
        let url = match self.bot.webhook().await {
            Ok((url, _)) => url,
            Err(error) => {
                tracing::debug!(error = %error, "cannot ask where updates are brought to");
                None
            }
        };
        if url.is_none() && *error == BotError::Conflict {
            self.say(
                "another program fetches this bot's updates with the same token; only one of them gets each update",
            );
            return AFTER_CONFLICT;
        }
        let address = url.as_deref().map_or("an address that Telegram does not say", host);
        if let Some(url) = &url
            && matches!(lease.is_own_webhook(url).await, Ok(true))
        {
            self.say(&format!(
                "another coordinator of this bot has updates brought to {address}; stop one kind or the other"
            ));
            return WEBHOOK_LEFT;
        }
        match self.foreign_webhook {
            ForeignWebhook::Leave => {
                self.say(&format!(
                    "a webhook is set to {address}, so updates cannot be fetched; it is left, as FOREIGN_WEBHOOK says"
                ));
                WEBHOOK_LEFT
            }
            ForeignWebhook::Remove => {
                self.say(&format!(
                    "a webhook is set to {address}, so updates cannot be fetched; it is removed"
                ));
                if self.taken_back.is_some_and(|when| when.elapsed() < TAKEN_BACK_LATELY) {
                    tokio::time::sleep(BEFORE_TAKING_BACK).await;
                }
                self.taken_back = Some(Instant::now());
                match self.bot.delete_webhook().await {
                    Ok(()) => Duration::ZERO,
                    Err(error) => {
                        tracing::warn!(error = %error, "the webhook cannot be removed; trying again");
                        error.try_again_after(RETRY_PAUSE).unwrap_or(WEBHOOK_LEFT)
                    }
                }
            }
        }
    }

    /// Reports a problem to `/readyz`, and to the log when it is a new one.
    fn say(&self, problem: &str) {
        let before = self.problem.send_replace(Some(problem.to_owned()));
        if before.as_deref() != Some(problem) {
            tracing::warn!("{problem}");
        }
    }

    /// Removes a webhook, because polling does not work beside one.
    async fn remove_webhook(&self, lease: &PollerLease) {
        let remove = || async {
            match self.foreign_webhook {
                ForeignWebhook::Remove => self.bot.delete_webhook().await,
                ForeignWebhook::Leave => self.remove_own_webhook(lease).await,
            }
        };
        let pause_after = |error: &BotError, pause| {
            tracing::warn!(error = %error, "cannot remove the webhook");
            error.try_again_after(pause)
        };
        // A shutdown drops this future. When it gives up, the fetch says why updates do not come.
        let policy = RetryPolicy::fixed(RETRY_PAUSE);
        let _ = retry::until_given_up(policy, &Shutdown::never(), remove, pause_after).await;
    }

    /// Removes the webhook if coordinators of this bot set it.
    async fn remove_own_webhook(&self, lease: &PollerLease) -> Result<(), BotError> {
        let (Some(url), _) = self.bot.webhook().await? else { return Ok(()) };
        match lease.is_own_webhook(&url).await {
            Ok(true) => self.bot.delete_webhook().await,
            Ok(false) => Ok(()),
            Err(error) => Err(BotError::Transient(error.to_string())),
        }
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
                        tracing::error!(update_id, error = %error, "an update is passed over");
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
            tracing::warn!("some updates are in hand still; whoever fetches next gets them again");
        }
        if noted != watermark.offset() && matches!(lease.acquire().await, Ok(Some(_))) {
            lease.note_offset(watermark.offset()).await;
        }
    }
}

/// Only the host of a URL: the rest of it may be a secret.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    rest.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_webhook_only_the_host_is_named() {
        assert_eq!(host("https://bot.example:8443/secret?x#y"), "bot.example:8443");
        assert_eq!(host("https://me:secret@bot.example/"), "bot.example");
    }
}
