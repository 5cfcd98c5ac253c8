//! What several commands need.

use ops::flags::RedisFlags;
use queue::fleet::{Canary, Entry, Fleet};
use queue::{QueueConfig, TaskQueue};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::cli::plugins::output::{ago, one_line};

pub(super) async fn connect(redis: &RedisFlags) -> anyhow::Result<Fleet> {
    let redis_ca = redis.read_ca()?;
    let config = QueueConfig { redis_ca, ..QueueConfig::default() };
    // How the server should be set up is for workers to say, not for each command.
    let connecting = TaskQueue::connect(redis.redis_url.expose(), config);
    Ok(Fleet::new(connecting.with_subscriber(NoSubscriber::default()).await?))
}

/// Who pushes, when nobody says it.
pub(super) fn this_user() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "?".to_owned())
}

/// One line about a record. The text comes from Redis: it must stay on one line.
pub(super) fn described(entry: &Entry) -> String {
    let record = &entry.record;
    let place = match record.labels.as_slice() {
        [] => "on every worker".to_owned(),
        labels => format!("on workers with {}", labels.join(", ")),
    };
    let what = if record.removed { "removed".to_owned() } else { place };
    let pinned = if record.pinned { ", pinned" } else { "" };
    let mut line = format!(
        "{} {} (sha256 {:.12}), {what}{pinned}, {} by {}",
        entry.name,
        record.version,
        record.digest,
        ago(record.pushed_at),
        record.by
    );
    if let Some(note) = &record.note {
        line.push_str(&format!("; {note}"));
    }
    if let Some(Canary { record, labels, percent, .. }) = record.canary.as_deref() {
        let who = match labels.as_slice() {
            [] => format!("about {percent} % of the workers try"),
            labels => format!("workers with {} try", labels.join(", ")),
        };
        line.push_str(&format!(
            "; {who} {} (sha256 {:.12}), {} by {}",
            record.version,
            record.digest,
            ago(record.pushed_at),
            record.by
        ));
    }
    one_line(&line)
}
