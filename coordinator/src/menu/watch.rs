//! Keeps the command menu up to date.
//!
//! Each coordinator reads the worker registry every two seconds, merges the commands of living workers, and passes changes to
//! the flow ([`CommandMenu`]) and to Telegram ([`super::publish`]). A worker is not trusted: commands that break the rules,
//! which the host checked too, are left out. If two plugins offer the same command, its owner keeps it ([`super::owners`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use queue::TaskQueue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::offered::offered;
use super::owners::{self, now_seconds};
use super::publish;
use crate::chat::command_menu::CommandMenu;
use crate::keys::CoordinatorKeys;
use crate::metrics;
use crate::telegram::bot_api::BotApi;
use crate::wait_estimator::WaitEstimator;

/// How often the registry is read.
const EVERY: Duration = Duration::from_secs(2);
/// How long a command that is gone is remembered.
const KNOWN_SECONDS: u64 = 24 * 3600;
/// Most remembered commands: a bound against a flood of names.
const MAX_KNOWN: usize = 500;
/// Age at which the record of a living command is renewed.
const NOTE_AGAIN_SECONDS: u64 = 3600;

/// Keeps the menu up to date, here and in Telegram, until `shutdown`. It stays as it is while Redis is away. `me` names
/// this coordinator.
pub(crate) async fn watch_until(
    queue: TaskQueue,
    bot: BotApi,
    me: String,
    menu: watch::Sender<Arc<CommandMenu>>,
    estimator: Arc<WaitEstimator>,
    shutdown: CancellationToken,
) {
    let told = menu.subscribe();
    tokio::join!(
        read_until(&queue, &menu, &estimator, &shutdown),
        publish::publish_until(queue.clone(), bot, me, told, shutdown.clone()),
    );
}

async fn read_until(
    queue: &TaskQueue,
    menu: &watch::Sender<Arc<CommandMenu>>,
    estimator: &WaitEstimator,
    shutdown: &CancellationToken,
) {
    let mut complained = BTreeSet::new();
    let mut first = true;
    loop {
        match read(queue, estimator).await {
            Ok((read, complaints)) => {
                for complaint in complaints.difference(&complained) {
                    tracing::warn!(problem = complaint, "plugin command refused");
                }
                metrics::commands_not_taken(complaints.len());
                complained = complaints;
                menu.send_if_modified(|current| {
                    // The first menu counts as a change even if it is empty.
                    let changed = std::mem::take(&mut first) || **current != read;
                    if changed {
                        *current = Arc::new(read);
                    }
                    changed
                });
            }
            Err(error) => tracing::debug!(error = %error, "command menu not read"),
        }
        // Nothing is lost when the sleep is dropped.
        if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

async fn read(
    queue: &TaskQueue,
    estimator: &WaitEstimator,
) -> redis::RedisResult<(CommandMenu, BTreeSet<String>)> {
    let workers = queue.workers().await.map_err(|error| error.source)?;
    estimator.record_workers(&workers);
    let now = now_seconds();
    let owners = owners::of(queue, &workers, now).await?;
    let (mut menu, complaints) = offered(&workers, &owners);
    let mut connection = queue.connection();
    let key = queue.keys().known_commands();
    let stored: Option<Vec<u8>> = redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
    let stored = stored.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let (known, to_note) = remember(stored, menu.commands.keys(), now);
    if to_note {
        // Of two concurrent writers one may lose a name, which is written again while the command lives.
        let json = serde_json::to_string(&known).unwrap_or_default();
        let noted: redis::RedisResult<()> =
            queue.write_even_when_full("SET", &key, (json, "EX", KNOWN_SECONDS)).await;
        if let Err(error) = noted {
            // This process knows the names; the next read tries to store them again.
            queue.note_trouble(None, "store the plugins' commands", &error);
        }
    }
    menu.known = known.into_keys().collect();
    Ok((menu, complaints))
}

/// Names of the last day and of living commands, with the second in which they were recorded; and whether that has to be
/// stored.
fn remember<'a>(
    mut known: BTreeMap<String, u64>,
    living: impl Iterator<Item = &'a String>,
    now: u64,
) -> (BTreeMap<String, u64>, bool) {
    known.retain(|_, noted| noted.abs_diff(now) <= KNOWN_SECONDS);
    let mut to_note = false;
    for name in living {
        let noted = known.get(name);
        let fresh = noted.is_some_and(|noted| noted.abs_diff(now) < NOTE_AGAIN_SECONDS);
        if !fresh && (noted.is_some() || known.len() < MAX_KNOWN) {
            known.insert(name.clone(), now);
            to_note = true;
        }
    }
    (known, to_note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(known: &[(&str, u64)], living: &[&str], now: u64, expected: (&[(&str, u64)], bool)) {
        let map = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
            pairs.iter().map(|(name, noted)| ((*name).to_owned(), *noted)).collect()
        };
        let living: Vec<String> = living.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(remember(map(known), living.iter(), now), (map(expected.0), expected.1));
    }

    #[test]
    fn a_command_that_went_away_is_known_for_a_day() {
        const DAY: u64 = KNOWN_SECONDS;
        check(&[], &["roll"], DAY, (&[("roll", DAY)], true));
        check(&[("roll", DAY)], &[], 2 * DAY, (&[("roll", DAY)], false));
        check(&[("roll", DAY)], &[], 2 * DAY + 1, (&[], false));
        check(&[("roll", DAY)], &["roll"], DAY + 3_599, (&[("roll", DAY)], false));
        check(&[("roll", DAY)], &["roll"], DAY + 3_600, (&[("roll", DAY + 3_600)], true));
        check(&[("roll", u64::MAX)], &[], DAY, (&[], false));
    }

    #[test]
    fn no_flood_of_names_is_remembered() {
        let living: Vec<String> = (0..2 * MAX_KNOWN).map(|n| format!("c{n}")).collect();
        assert_eq!(remember(BTreeMap::new(), living.iter(), 7).0.len(), MAX_KNOWN);
    }
}
