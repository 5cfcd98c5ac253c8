//! `freefans:plugin/progress`: the latest progress text of a running task, in Redis for the coordinators.

use std::time::Duration;

use tokio::time::Instant;

use crate::bindings::v1::progress;
use crate::sandbox::Sandbox;

/// A text that comes sooner after the last one is dropped.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_TEXT_CHARS: usize = 200;
const TTL_SECONDS: u64 = 300;

impl progress::Host for Sandbox {
    async fn report(&mut self, text: String, percent: Option<u8>) {
        let now = Instant::now();
        if self.last_progress.is_some_and(|last| now < last + MIN_INTERVAL) {
            return;
        }
        let (Some(task_id), Some(queue)) = (&self.task_id, &self.env.queue) else { return };
        self.last_progress = Some(now);
        let text: String =
            text.chars().filter(|letter| !letter.is_control()).take(MAX_TEXT_CHARS).collect();
        let value =
            serde_json::json!({"text": text, "percent": percent.map(|percent| percent.min(100))});
        let written: redis::RedisResult<()> = redis::cmd("SET")
            .arg(queue.keys().progress(task_id))
            .arg(value.to_string())
            .arg("EX")
            .arg(TTL_SECONDS)
            .query_async(&mut queue.connection())
            .await;
        if let Err(error) = written {
            tracing::debug!(error = %error, "progress not stored");
        }
    }
}
