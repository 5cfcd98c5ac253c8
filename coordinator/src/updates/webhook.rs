//! Updates that Telegram brings, instead of being fetched.
//!
//! An update is taken (200) when it is handled: its task is in Redis, or its reply is in the chat. Otherwise it is refused
//! (503) and Telegram brings it again, to any coordinator; the same update makes the same tasks. Who does not know the
//! secret gets no further than its header. The secret follows from the bot's token, so all coordinators have the same
//! without asking each other, and it is another when the token is.
//!
//! TLS is the proxy's in front, and so is patience with slow clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use http_body_util::LengthLimitError;
use reqwest::Url;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use teloxide_core::types::Update;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::incoming::Me;
use super::work;
use crate::bot_api::BotApi;
use crate::perform::Performer;
use crate::turns::Turns;

/// Bot API, `setWebhook`: the header with the secret token.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Many times the largest update, a message of 4,096 letters with as many entities as there may be.
const BODY_BYTES: usize = 1 << 20;
const BODY_AT_MOST: Duration = Duration::from_secs(10);
/// Telegram gives a request up after about a minute. It is told before, so that it does not guess.
const HANDLE_AT_MOST: Duration = Duration::from_secs(25);
/// Updates in hand at once: several times what Telegram brings at once.
const AT_ONCE: usize = 256;
/// How often it is looked whether Telegram still brings updates to us.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const AFTER_TROUBLE: Duration = Duration::from_secs(2);
/// How long a shutdown waits for updates in hand; what is not handled then is brought again.
const DRAIN: Duration = Duration::from_secs(12);

/// Where updates are brought to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The public address.
    pub url: Url,
    /// Where this process takes them from the proxy.
    pub listen: SocketAddr,
}

struct Webhook {
    performer: Arc<Performer>,
    turns: Turns,
    slots: Semaphore,
    path: String,
    secret: String,
}

/// Takes updates until `shutdown`.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn serve_until(
    performer: &Arc<Performer>,
    config: &WebhookConfig,
    token: &str,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; name another address with --webhook-listen", config.listen)
    })?;
    let secret = secret(token);
    let webhook = Arc::new(Webhook {
        performer: Arc::clone(performer),
        turns: Turns::default(),
        slots: Semaphore::new(AT_ONCE),
        path: config.url.path().to_owned(),
        secret: secret.clone(),
    });
    let app = Router::new().fallback(receive).with_state(webhook);
    let bot = performer.sender.bot();
    let registering = register_until(bot, &config.url, &secret, &shutdown);
    let serving = async {
        let stop = shutdown.clone().cancelled_owned();
        axum::serve(listener, app).with_graceful_shutdown(stop).await
    };
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tracing::info!(address = %config.listen, "updates are brought here");
    // Losing what is still in hand when the drain is over means that Telegram brings it again.
    tokio::select! {
        served = serving => served.context("taking updates")?,
        () = async { tokio::join!(registering, overdue); } => {}
    }
    Ok(())
}

/// Tells Telegram where updates go, and tells it again should somebody have told it otherwise.
async fn register_until(bot: &BotApi, url: &Url, secret: &str, shutdown: &CancellationToken) {
    let mut told = false;
    loop {
        let wait = match register(bot, url, secret, told).await {
            Ok(()) => {
                told = true;
                LOOK_EVERY
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot tell Telegram where updates go; trying again");
                error.try_again_after(AFTER_TROUBLE).unwrap_or(LOOK_EVERY)
            }
        };
        if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

async fn register(
    bot: &BotApi,
    url: &Url,
    secret: &str,
    told: bool,
) -> Result<(), crate::bot_api::BotError> {
    if told {
        let (current, trouble) = bot.webhook().await?;
        if let Some(trouble) = trouble {
            tracing::debug!(trouble, "Telegram could not bring an update at some time");
        }
        if current.as_ref() == Some(url) {
            return Ok(());
        }
        tracing::warn!("somebody had updates go elsewhere; they are asked for again");
    }
    bot.set_webhook(url, secret).await?;
    tracing::info!("Telegram brings the updates");
    Ok(())
}

async fn receive(State(webhook): State<Arc<Webhook>>, request: Request) -> StatusCode {
    if request.uri().path() != webhook.path {
        return StatusCode::NOT_FOUND;
    }
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let presented = request.headers().get(SECRET_HEADER).map_or(&[][..], |value| value.as_bytes());
    // In constant time: long it takes must not tell how many letters are right.
    if !bool::from(presented.ct_eq(webhook.secret.as_bytes())) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(_slot) = webhook.slots.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE };
    let update = match update(request.into_body()).await {
        Ok(update) => update,
        Err(refusal) => return refusal,
    };
    let bot = webhook.performer.sender.bot();
    let me = Me { id: bot.id(), username: bot.username() };
    let Some(work) = work::read(update, me) else { return StatusCode::OK };
    let work = work.admit(&webhook.performer).await;
    // Given up in the middle it is as if the process had died: brought again, it goes on from what is in Redis.
    let handled = tokio::time::timeout(HANDLE_AT_MOST, async {
        let turn = webhook.turns.join(work.chat_id);
        turn.come().await;
        work.handle(&webhook.performer).await
    });
    match handled.await {
        Ok(true) => StatusCode::OK,
        Ok(false) | Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn update(body: Body) -> Result<Update, StatusCode> {
    let reading = axum::body::to_bytes(body, BODY_BYTES);
    let body = match tokio::time::timeout(BODY_AT_MOST, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error);
            let too_long = cause.and_then(|cause| cause.downcast_ref::<LengthLimitError>());
            return Err(match too_long {
                Some(_) => StatusCode::PAYLOAD_TOO_LARGE,
                None => StatusCode::BAD_REQUEST,
            });
        }
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
    };
    serde_json::from_slice(&body).map_err(|_unreadable| {
        // The error's text may quote what a person wrote.
        tracing::warn!("an update cannot be read");
        StatusCode::BAD_REQUEST
    })
}

/// What Telegram shows us with each update. Hexadecimal: Bot API takes letters, digits, `_` and `-`, at most 256.
fn secret(token: &str) -> String {
    let digest = Sha256::new().chain_update("webhook secret of ").chain_update(token).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_one_that_telegram_takes_and_says_nothing_of_the_token() {
        let secret = secret("123456:SIMULATOR");
        assert_eq!(secret.len(), 64);
        assert!(secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(secret, super::secret("123456:SIMULATOR"), "the same in every process");
        assert_ne!(secret, super::secret("123456:SIMULATOS"));
    }
}
