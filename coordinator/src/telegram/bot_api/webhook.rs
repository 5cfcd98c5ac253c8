//! Sets, reads and deletes the webhook.

use reqwest::Url;
use teloxide::payloads::{DeleteWebhookSetters, SetWebhookSetters};
use teloxide::requests::Requester;

use super::call::unusable;
use super::error::BotError;
use super::{ALLOWED_UPDATES, BotApi};
use queue::json::Members;

/// Concurrent webhook requests; Telegram's default. Updates of one chat are handled one after the other anyway.
const CONNECTIONS: u8 = 40;

impl BotApi {
    /// Sets the webhook to `url`, with `secret` in each request. Pending updates are delivered too.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn set_webhook(&self, url: &Url, secret: &str) -> Result<(), BotError> {
        let call = self
            .bot
            .set_webhook(url.clone())
            .secret_token(secret)
            .max_connections(CONNECTIONS)
            .allowed_updates(ALLOWED_UPDATES)
            .drop_pending_updates(false);
        // No certificate is uploaded, so a JSON request is enough.
        self.run(call).await?;
        Ok(())
    }

    /// The webhook's URL, if one is set, and Telegram's last delivery error.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn webhook(&self) -> Result<(Option<String>, Option<String>), BotError> {
        let info = self.run(self.bot.get_webhook_info()).await?;
        let read = |info: Members<'_>| Ok((info.read("url")?, info.may("last_error_message")));
        let (url, trouble): (Option<String>, Option<String>) =
            Members::of(&info).and_then(read).map_err(unusable("getWebhookInfo"))?;
        Ok((url.filter(|url| !url.is_empty()), trouble))
    }

    /// Deletes the webhook, so that polling works again. No update is lost.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn delete_webhook(&self) -> Result<(), BotError> {
        self.run(self.bot.delete_webhook().drop_pending_updates(false)).await?;
        Ok(())
    }
}
