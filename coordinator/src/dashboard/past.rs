//! What happened within the last hour and day: the counts of the history, and the swaps of plugins. Read at most once in five
//! seconds for all who look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use queue::history::{Bucket, Span, TypeCounts};
use queue::{PluginEvent, RedisError, TaskQueue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::figures::READ_AT_MOST;
use queue::task::now_ms;

const MINUTE: u64 = 60_000;
/// How old the counts of minutes may be, and swaps.
const FRESH: Duration = Duration::from_secs(5);
/// How old the counts of hours may be.
const FRESH_HOURS: Duration = Duration::from_secs(60);
/// Minutes that are shown, and hours.
pub(super) const MINUTES: u64 = 60;
pub(super) const HOURS: u64 = 24;
/// Swaps that are read.
const EVENTS: usize = 100;

/// What happened, oldest first; swaps newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Past {
    /// When it was read, in ms since 1970.
    pub(super) at: u64,
    /// The last hour's minutes, with the present one.
    pub(super) minutes: Vec<Bucket>,
    /// The last day's hours, with the present one.
    pub(super) hours: Arc<Vec<Bucket>>,
    pub(super) events: Vec<PluginEvent>,
}

impl Past {
    /// The counts of the last minutes by type, with the present one.
    pub(super) fn last(&self, minutes: u64) -> BTreeMap<&str, TypeCounts> {
        let mut sum: BTreeMap<&str, TypeCounts> = BTreeMap::new();
        let first = (self.at / MINUTE).saturating_sub(minutes) * MINUTE;
        for bucket in self.minutes.iter().filter(|bucket| bucket.at >= first) {
            for (name, counts) in &bucket.types {
                sum.entry(name).or_default().add(counts);
            }
        }
        sum
    }

    /// The same of all types together.
    pub(super) fn last_of_all(&self, minutes: u64) -> TypeCounts {
        let mut all = TypeCounts::default();
        for counts in self.last(minutes).values() {
            all.add(counts);
        }
        all
    }
}

/// Tasks that were not answered as their sender wished. Cancelled ones are none.
pub(super) fn failures(counts: &TypeCounts) -> u64 {
    counts.failed + counts.timeout
}

/// The counts of all types of a bucket.
pub(super) fn of_all(bucket: &Bucket) -> TypeCounts {
    let mut all = TypeCounts::default();
    for counts in bucket.types.values() {
        all.add(counts);
    }
    all
}

#[derive(Debug, Default)]
struct Read {
    past: Option<(Instant, Arc<Past>)>,
    hours: Option<(Instant, Arc<Vec<Bucket>>)>,
}

/// The latest [`Past`].
#[derive(Debug, Default)]
pub(super) struct PastReader {
    latest: Mutex<Read>,
}

impl PastReader {
    /// What happened until now, or until a few seconds ago. Where Redis does not answer, what was read last.
    pub(super) async fn now(&self, queue: Option<&TaskQueue>) -> Arc<Past> {
        // Held while Redis is read, so that all who ask meanwhile get one answer.
        let mut latest = self.latest.lock().await;
        if let Some((read_at, past)) = &latest.past
            && read_at.elapsed() < FRESH
        {
            return Arc::clone(past);
        }
        let old = latest.past.as_ref().map(|(_, past)| Arc::clone(past)).unwrap_or_default();
        let Some(queue) = queue else { return old };
        let read = tokio::time::timeout(READ_AT_MOST, read(queue, &mut latest.hours)).await;
        let past = match read {
            Ok(Ok(past)) => Arc::new(past),
            Ok(Err(_)) | Err(_) => old, // The figures tell why.
        };
        latest.past = Some((Instant::now(), Arc::clone(&past)));
        past
    }
}

async fn read(
    queue: &TaskQueue,
    kept: &mut Option<(Instant, Arc<Vec<Bucket>>)>,
) -> Result<Past, RedisError> {
    let at = now_ms();
    let history = queue.history();
    let from = |span: Span, count: u64| (at / span.ms()).saturating_sub(count) * span.ms();
    let minutes = history.buckets(Span::Minute, from(Span::Minute, MINUTES), at).await?;
    let hours = match kept {
        Some((read_at, hours)) if read_at.elapsed() < FRESH_HOURS => Arc::clone(hours),
        _ => {
            let hours = history.buckets(Span::Hour, from(Span::Hour, HOURS), at).await?;
            let hours = Arc::new(hours);
            *kept = Some((Instant::now(), Arc::clone(&hours)));
            hours
        }
    };
    let events = queue.plugin_events(EVENTS).await?;
    Ok(Past { at, minutes, hours, events })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A minute in which tasks of a type ended.
    pub(crate) fn minute(number: u64, name: &str, completed: u64, failed: u64) -> Bucket {
        let mut counts = TypeCounts { completed, failed, ..TypeCounts::default() };
        counts.codes.insert("plugin-failed".to_owned(), failed);
        Bucket { at: number * MINUTE, types: BTreeMap::from([(name.to_owned(), counts)]) }
    }

    #[test]
    fn the_last_minutes_are_summed_by_type() {
        let minutes = (90..=100).map(|number| minute(number, "search", 2, 1)).collect();
        let past = Past { at: 100 * MINUTE + 5, minutes, ..Past::default() };
        assert_eq!(past.last(5)["search"].completed, 12, "five whole ones and the present one");
        assert_eq!((past.last_of_all(0).ended(), failures(&past.last_of_all(0))), (3, 1));
        assert_eq!(past.last(60)["search"].codes["plugin-failed"], 11);
    }
}
