//! The webhook server.
//!
//! An update is accepted (200) when it is handled: its task is in Redis, or its reply is in the chat. Otherwise it is
//! refused (503) and Telegram sends it again, to any coordinator; the same update makes the same tasks. An unreadable update
//! is accepted too, for it would be as unreadable the next time. A request without the secret is refused after its header.
//! The secret is derived from the bot's token, so all coordinators have the same one, and a new token makes a new one.
//!
//! TLS and slow clients are left to the proxy in front.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use http_body_util::LengthLimitError;
use ops::health::Turns;
use ops::shutdown::ShuttingDown;
use reqwest::Url;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::dispatch::{self, Dispatcher};
use super::poller_lease::PollerLease;
use super::problem::{self, Cause, UpdateProblem};
use crate::chat_order::ChatOrder;
use crate::config::WebhookConfig;
use crate::metrics;
use crate::telegram::bot_api::{BotApi, BotError};
use crate::telegram::updates::incoming::BotIdentity;
use crate::telegram::updates::update;

/// Bot API, `setWebhook`: the header with the secret token.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Many times the largest update, a message of 4,096 letters with as many entities as there may be.
const BODY_BYTES: usize = 1 << 20;
const BODY_AT_MOST: Duration = Duration::from_secs(10);
/// Telegram gives up on a request after about a minute; we answer before that.
const HANDLE_AT_MOST: Duration = Duration::from_secs(25);
/// Updates handled at once: several times the webhook's connections.
const AT_ONCE: usize = 256;
/// How often the webhook is checked.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// How long a shutdown waits for updates; Telegram sends the rest again.
const DRAIN: Duration = Duration::from_secs(12);

struct Webhook {
    dispatcher: Arc<Dispatcher>,
    bot: BotApi,
    order: ChatOrder,
    slots: Semaphore,
    path: String,
    secret: String,
}

/// Serves the webhook until `shutdown`.
///
/// # Errors
///
/// When the address cannot be listened on.
pub(crate) async fn serve_until(
    dispatcher: Arc<Dispatcher>,
    bot: &BotApi,
    lease: PollerLease,
    (config, token): (&WebhookConfig, &str),
    problem: &UpdateProblem,
    turns: &Turns,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; name another address with --webhook-listen", config.listen)
    })?;
    let secret = secret(token);
    let webhook = Arc::new(Webhook {
        dispatcher,
        bot: bot.clone(),
        order: ChatOrder::default(),
        slots: Semaphore::new(AT_ONCE),
        path: config.url.path().to_owned(),
        secret: secret.clone(),
    });
    let app = Router::new().fallback(receive).with_state(webhook);
    let registering = register_until(bot, &config.url, &secret, &lease, problem, turns, &shutdown);
    let serving = async {
        let stop = shutdown.clone().cancelled_owned();
        axum::serve(listener, app).with_graceful_shutdown(stop).await
    };
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tracing::info!(address = %config.listen, "listening for webhook calls");
    // Updates that are dropped when the drain is over are sent again by Telegram.
    tokio::select! {
        served = serving => served.context("cannot serve the webhook")?,
        () = async { tokio::join!(registering, overdue); } => {}
    }
    Ok(())
}

/// Sets the webhook, and sets it again when another program has changed it.
async fn register_until(
    bot: &BotApi,
    url: &Url,
    secret: &str,
    lease: &PollerLease,
    problem: &UpdateProblem,
    turns: &Turns,
    shutdown: &CancellationToken,
) {
    let mut told = false;
    loop {
        turns.turned();
        // Before Telegram knows it, so that a coordinator that polls does not take it for another program's.
        lease.note_webhook(url.as_str()).await;
        let wait = match register(bot, url, secret, told).await {
            Ok(()) => {
                told = true;
                problem::end(problem);
                LOOK_EVERY
            }
            Err(error) => {
                let text = format!("the webhook is not set: {error}");
                problem::begin(problem, Cause::WebhookNotSet, &text);
                tracing::warn!(error = %error, "webhook not set; retrying");
                error.try_again_after(RETRY_PAUSE).unwrap_or(LOOK_EVERY)
            }
        };
        if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

async fn register(bot: &BotApi, url: &Url, secret: &str, told: bool) -> Result<(), BotError> {
    if told {
        let (current, trouble) = bot.webhook().await?;
        if let Some(trouble) = trouble {
            tracing::debug!(trouble, "Telegram reports a failed webhook call");
        }
        if current.as_deref() == Some(url.as_str()) {
            return Ok(());
        }
        tracing::warn!("another program changed the webhook; setting it again");
    }
    bot.set_webhook(url, secret).await?;
    tracing::info!("webhook set");
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
    // In constant time: the duration must not reveal how many letters are right.
    if !bool::from(presented.ct_eq(webhook.secret.as_bytes())) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(_slot) = webhook.slots.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE };
    let parsed = match body(request.into_body()).await {
        Ok(Some(json)) => update::read(&json),
        Ok(None) => return StatusCode::OK,
        Err(refusal) => return refusal,
    };
    let me = BotIdentity { id: webhook.bot.id(), username: webhook.bot.username() };
    let update_id = parsed.id.unwrap_or_default();
    let Some(chat_update) = dispatch::read(update_id, parsed, me) else { return StatusCode::OK };
    let update = webhook.dispatcher.admit(chat_update).await;
    // A timeout is like a crash: sent again, the update continues from what is in Redis.
    let handled = tokio::time::timeout(HANDLE_AT_MOST, async {
        let ticket = webhook.order.ticket(update.chat_update.chat_id);
        ticket.wait().await;
        webhook.dispatcher.handle(&update).await
    });
    match handled.await {
        Ok(Ok(())) => StatusCode::OK,
        Ok(Err(ShuttingDown)) | Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The body of a request; none when it is too long. That is accepted all the same, or Telegram would send it again and
/// again.
async fn body(body: Body) -> Result<Option<Vec<u8>>, StatusCode> {
    let reading = axum::body::to_bytes(body, BODY_BYTES);
    match tokio::time::timeout(BODY_AT_MOST, reading).await {
        Ok(Ok(body)) => Ok(Some(body.into())),
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error);
            if cause.and_then(|cause| cause.downcast_ref::<LengthLimitError>()).is_none() {
                return Err(StatusCode::BAD_REQUEST);
            }
            metrics::update_unreadable("too_large");
            tracing::warn!(bytes = BODY_BYTES, "update skipped: too long");
            Ok(None)
        }
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// The secret that Telegram sends with each update. Hexadecimal: the Bot API allows letters, digits, `_` and `-`, at most 256.
fn secret(token: &str) -> String {
    let digest = Sha256::new().chain_update("webhook secret of ").chain_update(token).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use ops::secret::Secret;
    use simulator::Simulator;

    use super::*;

    #[tokio::test]
    async fn updates_that_somebody_had_go_elsewhere_are_asked_for_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let _stopping = stop.clone().drop_guard();
        tokio::spawn(simulator::serve(listener, Simulator::new("123456:SIMULATOR"), stop.clone()));
        let token = Secret::new("123456:SIMULATOR".to_owned());
        let bot = BotApi::connect(&token, &api.parse().unwrap(), &stop).await.unwrap();
        let ours: Url = "https://bot.example/hook".parse().unwrap();
        let strangers: Url = "https://stranger.example/".parse().unwrap();
        for told in [false, true] {
            bot.set_webhook(&strangers, "x").await.unwrap();
            register(&bot, &ours, "secret", told).await.unwrap();
            assert_eq!(bot.webhook().await.unwrap().0.as_deref(), Some(ours.as_str()), "{told}");
        }
    }

    #[test]
    fn the_secret_is_one_that_telegram_takes_and_says_nothing_of_the_token() {
        let secret = secret("123456:SIMULATOR");
        assert_eq!(secret.len(), 64);
        assert!(secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(secret, super::secret("123456:SIMULATOR"), "the same in every process");
        assert_ne!(secret, super::secret("123456:SIMULATOS"));
    }
}
