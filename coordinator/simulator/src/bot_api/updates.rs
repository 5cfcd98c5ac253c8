//! Methods about updates: fetching with an offset, or a webhook.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::params::Params;
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::state::Webhook;

const MAX_WAIT: Duration = Duration::from_secs(50);

pub(super) async fn get_updates(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let offset = params.number("offset").unwrap_or(0);
    let limit = usize::try_from(params.number("limit").unwrap_or(100).clamp(1, 100)).unwrap_or(100);
    let seconds = u64::try_from(params.number("timeout").unwrap_or(0)).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(seconds).min(MAX_WAIT);
    let mut changes = simulator.changed.subscribe();
    let allowed = allowed_updates(params)?;
    let mine = simulator.change(|state| {
        if state.webhook.is_some() {
            return Err(Refusal::new(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the \
                 webhook first",
            ));
        }
        if let Some(allowed) = allowed {
            state.updates.allowed = allowed;
        }
        state.poll += 1;
        Ok(state.poll)
    })?;
    let _polling = Polling::start(simulator);
    loop {
        {
            let mut state = simulator.lock();
            if state.poll != mine {
                return Err(Refusal::new(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is \
                     running",
                ));
            }
            let updates = state.updates.take(offset, limit);
            if !updates.is_empty() {
                return Ok(updates.into());
            }
        }
        match tokio::time::timeout_at(until, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(json!([])),
        }
    }
}

/// Counts a waiting call, even when its caller goes away.
struct Polling<'a>(&'a Simulator);

impl<'a> Polling<'a> {
    fn start(simulator: &'a Simulator) -> Self {
        simulator.lock().polling += 1;
        Self(simulator)
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.polling = state.polling.saturating_sub(1);
    }
}

pub(super) fn set_webhook(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let url = params.text("url").unwrap_or_default();
    if url.is_empty() {
        return Ok(delete_webhook(simulator, params));
    }
    let allowed = allowed_updates(params)?;
    let insecure = simulator.lock().http_webhooks && url.starts_with("http://");
    if !insecure {
        check_address(&url)?;
    }
    let secret = params.text("secret_token");
    let valid = |text: &String| {
        (1..=256).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    if secret.as_ref().is_some_and(|secret| !valid(secret)) {
        return Err(Refusal::bad("secret token contains unallowed characters"));
    }
    simulator.change(|state| {
        if params.flag("drop_pending_updates") {
            state.updates.clear();
        }
        if let Some(allowed) = allowed {
            state.updates.allowed = allowed;
        }
        state.poll += 1;
        state.webhook = Some(Webhook { url, secret });
    });
    Ok(true.into())
}

/// The kinds of updates that a call asks for; none when it does not change them.
fn allowed_updates(params: &Params) -> Result<Option<Vec<String>>, Refusal> {
    let Some(list) = params.json("allowed_updates")? else { return Ok(None) };
    let list = list
        .as_array()
        .map(|list| list.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect());
    list.map(Some).ok_or_else(|| Refusal::bad("can't parse allowed updates JSON array"))
}

/// Bot API, `setWebhook`: HTTPS, on one of four ports.
fn check_address(url: &str) -> Result<(), Refusal> {
    let Some(rest) = url.strip_prefix("https://") else {
        return Err(Refusal::bad("bad webhook: An HTTPS URL must be provided for webhook"));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host.rsplit_once(':').map(|(_, port)| port) {
        None | Some("80" | "88" | "443" | "8443") => Ok(()),
        Some(_) => Err(Refusal::bad(
            "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
        )),
    }
}

pub(super) fn delete_webhook(simulator: &Simulator, params: &Params) -> Value {
    simulator.change(|state| {
        if params.flag("drop_pending_updates") {
            state.updates.clear();
        }
        state.webhook = None;
    });
    true.into()
}

pub(super) fn webhook_info(simulator: &Simulator) -> Value {
    let state = simulator.lock();
    json!({
        "url": state.webhook.as_ref().map_or("", |webhook| &webhook.url),
        "has_custom_certificate": false,
        "pending_update_count": state.updates.len(),
    })
}
