//! Pushes updates to a webhook, in order. Each is repeated until the answer is 2xx.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::simulator::Simulator;
use crate::updates::{update_id, update_json};

const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(500);

pub(crate) async fn deliver_until(simulator: Simulator, shutdown: CancellationToken) {
    let client = reqwest::Client::new();
    let mut changes = simulator.changed.subscribe();
    while !shutdown.is_cancelled() {
        let next = {
            let state = simulator.lock();
            state.webhook.clone().zip(state.updates.first().cloned())
        };
        let Some((webhook, update)) = next else {
            // A dropped branch loses nothing: the state is read again.
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
            continue;
        };
        let mut request = client
            .post(&webhook.url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(update_json(&update));
        if let Some(secret) = &webhook.secret {
            request = request.header("X-Telegram-Bot-Api-Secret-Token", secret);
        }
        match request.send().await {
            Ok(response) if response.status().is_success() => {
                simulator.change(|state| state.updates.take(update_id(&update) + 1, 0));
            }
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE_AFTER_REFUSAL).await,
        }
    }
}
