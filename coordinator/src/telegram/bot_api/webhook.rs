//! Where Telegram brings updates to.

use reqwest::Url;
use teloxide::payloads::{DeleteWebhookSetters, SetWebhookSetters};
use teloxide::requests::Requester;

use super::call::unusable;
use super::error::BotError;
use super::{ALLOWED_UPDATES, BotApi};
use queue::json::Members;

/// Updates that Telegram brings at once; its own default. Those of one chat are handled one after the other anyway.
const CONNECTIONS: u8 = 40;

impl BotApi {
    /// Has updates brought to `url`, with `secret` in each request. What came before is brought too.
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
        // Without a certificate to upload it is a call like any other.
        self.run(call).await?;
        Ok(())
    }

    /// Where updates are brought to, if anywhere, and what went wrong last with bringing them.
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

    /// Lets updates be fetched again. None is lost.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn delete_webhook(&self) -> Result<(), BotError> {
        self.run(self.bot.delete_webhook().drop_pending_updates(false)).await?;
        Ok(())
    }
}
