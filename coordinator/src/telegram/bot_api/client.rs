//! The HTTP client for the Bot API.

use std::time::Duration;

use ops::secret::Secret;
use reqwest::Url;
use teloxide::Bot;

use super::error::BotError;

/// For the name's resolution, the connection and the TLS handshake. A long poll itself may take many times longer.
const CONNECT_AT_MOST: Duration = Duration::from_secs(5);
/// A connection whose peer has not acknowledged what was sent for this long is broken.
#[cfg(target_os = "linux")]
const PEER_IS_GONE: Duration = Duration::from_secs(5);
/// TCP keep-alive: first probe after this long without traffic (a long poll, say), then one this often.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(2));
/// A connection that was idle for longer is not used again: a firewall may have forgotten it.
const IDLE_AT_MOST: Duration = Duration::from_secs(30);

/// Builds a client that does not know yet who the bot is.
pub(super) fn build(token: &Secret<String>, api_url: &Url) -> Result<Bot, BotError> {
    let client = http(IDLE_AT_MOST)
        .map_err(|_error| BotError::Refused("cannot build the HTTP client".to_owned()))?;
    Ok(Bot::with_client(token.expose().clone(), client).set_api_url(api_url.clone()))
}

fn http(idle_at_most: Duration) -> reqwest::Result<reqwest::Client> {
    let (first, then) = KEEP_ALIVE;
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_AT_MOST)
        .tcp_keepalive(first)
        .tcp_keepalive_interval(then)
        .pool_idle_timeout(idle_at_most);
    #[cfg(target_os = "linux")]
    let client = client.tcp_user_timeout(PEER_IS_GONE);
    // Redirects are not followed: they would take the token elsewhere.
    client.tcp_nodelay(true).redirect(reqwest::redirect::Policy::none()).build()
}

#[cfg(test)]
mod tests;
