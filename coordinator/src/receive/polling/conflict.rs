//! Another program gets this bot's updates, by polling or by a webhook. Only one of them gets each update.

use std::time::Duration;

use ops::health::Turns;
use ops::retry::{self, RetryPolicy};
use ops::shutdown::Shutdown;
use tokio::time::Instant;

use crate::config::ForeignWebhook;
use crate::receive::poller_lease::{LEASE, PollerLease};
use crate::receive::problem::{self, Cause, UpdateProblem};
use crate::telegram::bot_api::{BotApi, BotError};

/// Pause before a failed call is repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const AFTER_CONFLICT: Duration = Duration::from_secs(3);
/// If a webhook is set again within this time after its removal, another program keeps setting it.
const REMOVED_LATELY: Duration = Duration::from_secs(60);
/// Pause before such a webhook is removed again.
const BEFORE_REMOVING_AGAIN: Duration = Duration::from_secs(20);
/// Pause between two checks of a webhook that is left in place.
const WEBHOOK_LEFT: Duration = Duration::from_secs(10);

/// Notices other programs, and removes their webhook if the operator wants that.
#[derive(Debug)]
pub(super) struct Conflicts<'a> {
    bot: &'a BotApi,
    foreign_webhook: ForeignWebhook,
    /// When this coordinator began to poll.
    began: Instant,
    /// When a webhook was last removed.
    removed_at: Option<Instant>,
    problem: &'a UpdateProblem,
}

impl<'a> Conflicts<'a> {
    /// Reports to `problem`.
    pub(super) fn new(
        bot: &'a BotApi,
        foreign_webhook: ForeignWebhook,
        problem: &'a UpdateProblem,
    ) -> Self {
        Self { bot, foreign_webhook, began: Instant::now(), removed_at: None, problem }
    }

    /// Reports why updates do not come, once for each cause, and does something about it where that
    /// helps. Returns how long to wait before the next fetch.
    pub(super) async fn cannot_fetch(&mut self, error: &BotError, lease: &PollerLease) -> Duration {
        match error {
            BotError::Conflict | BotError::WebhookSet => self.conflict(error, lease).await,
            other => {
                self.say(Cause::BotApi, &format!("polling failed: {other}"));
                other.try_again_after(RETRY_PAUSE).unwrap_or(AFTER_CONFLICT)
            }
        }
    }

    /// Another program gets the updates, by polling or a webhook. Returns how long to wait.
    async fn conflict(&mut self, error: &BotError, lease: &PollerLease) -> Duration {
        let url = match self.bot.webhook().await {
            Ok((url, _)) => url,
            Err(error) => {
                tracing::debug!(error = %error, "webhook not read");
                None
            }
        };
        if url.is_none() && *error == BotError::Conflict {
            if self.began.elapsed() < LEASE || lease.is_anothers().await {
                tracing::info!(
                    "a getUpdates call was ended by another, as when coordinators take turns"
                );
            } else {
                self.say(
                    Cause::OtherPoller,
                    "another program polls with this bot's token; each update reaches only one of the two",
                );
            }
            return AFTER_CONFLICT;
        }
        let address = url.as_deref().map_or("an unknown address", host);
        if let Some(url) = &url
            && matches!(lease.is_own_webhook(url).await, Ok(true))
        {
            self.say(Cause::OwnWebhook, &format!(
                "another coordinator of this bot set a webhook to {address}; all must use either polling or a webhook"
            ));
            return WEBHOOK_LEFT;
        }
        match self.foreign_webhook {
            ForeignWebhook::Leave => {
                self.say(Cause::ForeignWebhook, &format!(
                    "a foreign webhook is set to {address}, so polling fails; left in place, as FOREIGN_WEBHOOK says"
                ));
                WEBHOOK_LEFT
            }
            ForeignWebhook::Remove => {
                self.say(
                    Cause::ForeignWebhook,
                    &format!(
                        "a foreign webhook is set to {address}, so polling fails; removing it"
                    ),
                );
                if self.removed_at.is_some_and(|when| when.elapsed() < REMOVED_LATELY) {
                    tokio::time::sleep(BEFORE_REMOVING_AGAIN).await;
                }
                self.removed_at = Some(Instant::now());
                match self.bot.delete_webhook().await {
                    Ok(()) => Duration::ZERO,
                    Err(error) => {
                        tracing::warn!(error = %error, "webhook not removed; retrying");
                        error.try_again_after(RETRY_PAUSE).unwrap_or(WEBHOOK_LEFT)
                    }
                }
            }
        }
    }

    /// Reports a problem to `/readyz`, and to the log when it is a new one.
    fn say(&self, cause: Cause, text: &str) {
        if problem::begin(self.problem, cause, text) {
            tracing::warn!("{text}");
        }
    }

    /// Removes a webhook, because polling does not work beside one.
    pub(super) async fn remove_webhook(&self, lease: &PollerLease, turns: &Turns) {
        let remove = || async {
            match self.foreign_webhook {
                ForeignWebhook::Remove => self.bot.delete_webhook().await,
                ForeignWebhook::Leave => self.remove_own_webhook(lease).await,
            }
        };
        let pause_after = |error: &BotError, pause| {
            turns.turned();
            tracing::warn!(error = %error, "webhook not removed; retrying");
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
}

/// Only the host of a URL: the rest of it may be a secret.
pub(crate) fn host(url: &str) -> &str {
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
