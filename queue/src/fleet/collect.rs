//! Keeps the stored components within a quota.

use std::collections::{BTreeMap, BTreeSet};

use super::artefact::UNUSED_FOR;
use super::handle::Fleet;
use super::record::{Entry, Record};
use super::state::State;
use crate::error::RedisError;
use crate::redis::time::millis;

/// What the components of the state and of the histories take.
#[derive(Debug, Default, PartialEq, Eq)]
struct Use {
    /// Bytes of the components in the state: never dropped.
    needed: u64,
    /// Components that only a history names, to be dropped.
    excess: BTreeSet<String>,
}

impl Fleet {
    /// Lets the components of the oldest records expire that `quota` bytes do not hold. Those in the state stay. Returns
    /// the bytes of these.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn collect(&self, quota: u64) -> Result<u64, RedisError> {
        let state = self.state().await?;
        let mut histories = Vec::new();
        for name in state.entries.keys() {
            histories.extend(self.history(name).await?);
        }
        let Use { needed, excess } = used(&state, histories, quota);
        if !excess.is_empty() {
            let keys = &self.queue.keys;
            let mut call = self.scripts.release.key(keys.fleet_revision());
            for digest in &excess {
                call.key(keys.fleet_artefact(digest));
            }
            let revision = state.revision.map(|revision| revision.to_string());
            call.arg(revision.unwrap_or_default()).arg(millis(UNUSED_FOR));
            // Refused after a change by somebody else, who collects as well.
            let _: i64 = call
                .run(&mut self.queue.connection.clone())
                .await
                .map_err(RedisError::during("drop old components"))?;
        }
        Ok(needed)
    }
}

fn used(state: &State, mut histories: Vec<Entry>, quota: u64) -> Use {
    let is_here = |record: &&Record| record.source.is_none();
    let live = state.entries.values().flat_map(Entry::records).filter(is_here);
    let needed: BTreeMap<&str, u64> =
        live.map(|record| (record.digest.as_str(), record.size)).collect();
    let mut sum: u64 = needed.values().sum();
    let mut found = Use { needed: sum, ..Use::default() };
    histories.sort_by_key(|entry| std::cmp::Reverse(entry.at.number));
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for entry in &histories {
        let records = [&entry.record, entry.record.newest()].into_iter().filter(is_here);
        for Record { digest, size, .. } in records {
            if needed.contains_key(digest.as_str()) || !seen.insert(digest) {
                continue;
            }
            if sum.saturating_add(*size) > quota {
                found.excess.insert(digest.clone());
            } else {
                sum += *size;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Revision;

    fn entry(number: u64, digest: &str, removed: bool) -> Entry {
        let record = Record { removed, digest: digest.to_owned(), size: 10, ..Record::default() };
        Entry { name: "a".to_owned(), at: Revision { era: "e".to_owned(), number }, record }
    }

    fn used_of(now: Entry, quota: u64) -> (u64, Vec<String>) {
        let entries = BTreeMap::from([("a".to_owned(), now.clone())]);
        let histories = vec![entry(1, "x", false), entry(2, "y", false), entry(3, "x", false), now];
        let found = used(&State { revision: None, entries }, histories, quota);
        (found.needed, found.excess.into_iter().collect())
    }

    #[test]
    fn the_oldest_go_first_and_what_the_state_names_stays() {
        assert_eq!(used_of(entry(4, "z", false), 30), (10, vec![]));
        assert_eq!(used_of(entry(4, "z", false), 20), (10, vec!["y".to_owned()]));
        assert_eq!(used_of(entry(4, "z", false), 0), (10, vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(used_of(entry(4, "x", true), 10), (0, vec!["y".to_owned()]));
    }
}
