//! Writes the history in batches, beside the tasks.
//!
//! A process that dies loses what it has not written yet: less than a second of history, never a task. Where Redis refuses the
//! writes, or is nearly full, the history is left out first.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::history::buckets::Span;
use crate::history::buffer::{Buffer, Entry};
use crate::redis::refusal;
use crate::redis::time::millis;
use crate::task::now_ms;

/// How long an entry waits for others.
const WRITE_EVERY: Duration = Duration::from_millis(200);
/// How long counts are summed up before they are added to their buckets.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How often old entries are dropped, and the server's memory is looked at. Only while entries are written.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);
/// How often while none are.
const UPKEEP_WHEN_IDLE: Duration = Duration::from_secs(600);
/// Pause after the server has refused an entry.
const PAUSE: Duration = Duration::from_secs(5);
/// Steps are kept for as many tasks: most have one, that they were delivered.
const STEPS_PER_TASK: u64 = 2;
/// From so many percent of the server's memory limit on, nothing is written: the rest is for tasks.
const FULL_PERCENT: u64 = 90;
/// From so many on, half of the history is dropped with each upkeep.
const SHED_PERCENT: u64 = 95;

struct Writer<'a> {
    queue: &'a TaskQueue,
    buffer: &'a Buffer,
    /// Nothing is written before this time.
    paused_until: Option<Instant>,
    count_at: Instant,
    /// When the last upkeep was, if there was one.
    upkept_at: Option<Instant>,
    /// Written since the last upkeep.
    wrote: bool,
    /// The server has little memory left.
    full: bool,
    /// That entries are dropped was logged, and not yet that they are not any more.
    said: bool,
}

/// Writes what this process has for the history, until `shutdown`; then the rest. Returns at once where the history is off.
pub async fn write_until(queue: TaskQueue, shutdown: CancellationToken) {
    let Some(buffer) = queue.history.clone() else { return };
    let now = Instant::now();
    let mut writer = Writer {
        queue: &queue,
        buffer: &buffer,
        paused_until: None,
        count_at: now + COUNT_EVERY,
        upkept_at: None,
        wrote: false,
        full: false,
        said: false,
    };
    while !shutdown.is_cancelled() {
        // Both branches keep their state when dropped.
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(WRITE_EVERY) => {}
            () = buffer.enough.notified() => {}
        }
        writer.upkeep().await;
        writer.write(false).await;
    }
    writer.write(true).await;
    // What Redis has not taken by now.
    buffer.drop_rest();
}

impl Writer<'_> {
    /// Writes what waits. `all`: the counts as well, though their time has not come.
    async fn write(&mut self, all: bool) {
        loop {
            let now = Instant::now();
            if self.paused_until.is_some_and(|until| now < until) {
                return;
            }
            self.paused_until = None;
            let (ended, steps, counts) = {
                let mut pending = self.buffer.pending();
                let (ended, steps) = pending.take();
                let due = all || self.count_at <= now;
                let counts =
                    if due { std::mem::take(&mut pending.counts) } else { Default::default() };
                (ended, steps, counts)
            };
            let count = ended.len() + steps.len();
            if count == 0 && counts.is_empty() {
                return;
            }
            if self.full {
                self.buffer.drop_entries(count);
                continue;
            }
            if !counts.is_empty() {
                self.count_at = now + COUNT_EVERY;
            }
            match self.send(&ended, &steps, &counts.fields()).await {
                Ok(()) => {
                    self.wrote = true;
                    if std::mem::take(&mut self.said) {
                        tracing::info!("the history of finished tasks is written again");
                    }
                }
                Err(error) => {
                    self.buffer.drop_entries(count);
                    self.paused_until = Some(now + PAUSE);
                    let why = refusal::Refusal::of(&error).map(|refusal| refusal.to_string());
                    self.say(&why.unwrap_or_else(|| error.to_string()));
                    return;
                }
            }
        }
    }

    async fn send(
        &self,
        ended: &[Entry],
        steps: &[Entry],
        counts: &[(String, u64)],
    ) -> redis::RedisResult<()> {
        let keys = &self.queue.keys;
        let now = now_ms();
        let of = |span: Span| keys.history_counts(span.letter(), now / span.ms());
        let max = self.buffer.settings.max;
        let mut script = self.queue.scripts.history_write.prepare();
        script
            .key(keys.history_ended())
            .key(keys.history_steps())
            .key(keys.history_forgotten())
            .key(of(Span::Minute))
            .key(of(Span::Hour))
            .arg(max)
            .arg(max.saturating_mul(STEPS_PER_TASK))
            .arg(ended.len())
            .arg(steps.len())
            .arg(Span::Minute.kept_ms())
            .arg(Span::Hour.kept_ms())
            .arg(millis(self.buffer.settings.keep));
        for entry in ended.iter().chain(steps) {
            script.arg(entry.user_id).arg(entry.submitted_at).arg(&entry.text);
        }
        for (field, count) in counts {
            script.arg(field).arg(*count);
        }
        let _left_out: u64 = script.run(&mut self.queue.connection.clone()).await?;
        Ok(())
    }

    /// Drops entries that are too old, and looks whether the server has memory left.
    async fn upkeep(&mut self) {
        let now = Instant::now();
        let pause = if self.wrote || self.full { UPKEEP_EVERY } else { UPKEEP_WHEN_IDLE };
        if self.upkept_at.is_some_and(|last| now < last + pause) {
            return;
        }
        self.upkept_at = Some(now);
        self.wrote = false;
        let percent: redis::RedisResult<u64> = self
            .queue
            .scripts
            .history_upkeep
            .key(self.queue.keys.history_ended())
            .key(self.queue.keys.history_steps())
            .arg(millis(self.buffer.settings.keep))
            .arg(SHED_PERCENT)
            .run(&mut self.queue.connection.clone())
            .await;
        match percent {
            Ok(percent) => {
                self.full = percent >= FULL_PERCENT;
                if self.full {
                    self.say("Redis is nearly full");
                }
            }
            Err(error) => tracing::debug!(error = %error, "the history was not trimmed"),
        }
    }

    fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(
                why,
                dropped = self.buffer.dropped(),
                "the history of finished tasks is not written; tasks go on"
            );
        }
    }
}
