//! The state: read as a whole, changed record by record, and put back after a loss.

use std::collections::BTreeMap;

use super::artefact;
use super::handle::Fleet;
use super::record::{Entry, Record, Revision};
use crate::error::RedisError;
use crate::redis::scripts::unknown_reply;

/// Most plugin names, removed ones included: the state is read as a whole.
pub const MAX_NAMES: usize = 256;
/// Records kept in the history of one plugin.
pub const HISTORY: usize = 20;

/// The whole state, as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// None when there is no state: nothing was pushed yet, or Redis has lost it.
    pub revision: Option<Revision>,
    /// The records by plugin name, removals included.
    pub entries: BTreeMap<String, Entry>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is the new state.
    Done(Revision),
    /// Somebody else has changed the record meanwhile. This is the one that is stored; none when it cannot be read.
    Changed(Option<Box<Entry>>),
    /// The component is not stored as a whole.
    Incomplete,
    /// There are [`MAX_NAMES`] names already.
    Full,
}

/// What came of putting records back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// This many records were put back.
    Done(usize),
    /// Somebody else has changed the state meanwhile: read it again.
    Changed,
}

impl Fleet {
    /// The present revision; none when there is no state, or it cannot be read.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn revision(&self) -> Result<Option<Revision>, RedisError> {
        let text: Option<Vec<u8>> = redis::cmd("GET")
            .arg(self.queue.keys.fleet_revision())
            .query_async(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("read the fleet's revision"))?;
        Ok(text.and_then(|text| Revision::parse(&String::from_utf8_lossy(&text))))
    }

    /// Reads the state. A record that cannot be read is left out and logged once.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn state(&self) -> Result<State, RedisError> {
        let keys = &self.queue.keys;
        let mut call = self.scripts.read.key(keys.fleet_revision());
        call.key(keys.fleet_state());
        let read: Vec<Vec<u8>> = call
            .run(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("read the fleet's state"))?;
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let revision = read.first().and_then(|revision| Revision::parse(&text(revision)));
        let mut entries = BTreeMap::new();
        for pair in read.get(1..).unwrap_or_default().chunks_exact(2) {
            let [name, record] = pair else { continue };
            let name = text(name);
            match Entry::parse(&name, &text(record)) {
                Some(entry) => {
                    entries.insert(name, entry);
                }
                None => self.queue.warn_unreadable("fleet record", &name),
            }
        }
        Ok(State { revision, entries })
    }

    /// The last records of a plugin, newest first.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn history(&self, plugin: &str) -> Result<Vec<Entry>, RedisError> {
        let records: Vec<Vec<u8>> = redis::cmd("LRANGE")
            .arg(self.queue.keys.fleet_history(plugin))
            .arg(0)
            .arg(-1)
            .query_async(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("read a plugin's history"))?;
        let entry = |record: &Vec<u8>| Entry::parse(plugin, &String::from_utf8_lossy(record));
        Ok(records.iter().rev().filter_map(entry).collect())
    }

    /// Replaces the record of `plugin`, if the stored one is still `read`. The component that the new record names must be
    /// stored, with a canary the canary's, unless it is somewhere else.
    ///
    /// # Errors
    ///
    /// Redis does not answer. If the connection broke, the change may have been made.
    pub async fn change(
        &self,
        plugin: &str,
        read: Option<&Entry>,
        record: &Record,
    ) -> Result<Change, RedisError> {
        let keys = &self.queue.keys;
        let mut call = self.scripts.change.key(keys.fleet_revision());
        call.key(keys.fleet_state()).key(keys.fleet_history(plugin));
        let newest = record.newest();
        if !record.removed && newest.source.is_none() {
            call.key(keys.fleet_artefact(&newest.digest));
        }
        let head = read.map(Entry::head).unwrap_or_default();
        let json = serde_json::to_string(record).unwrap_or_default();
        call.arg(plugin).arg(head).arg(Revision::new_era()).arg(&record.digest).arg(json);
        call.arg(MAX_NAMES).arg(HISTORY).arg(artefact::pieces(newest.size));
        let during = RedisError::during("change the fleet's state");
        let reply: redis::RedisResult<(String, String)> =
            call.run(&mut self.queue.connection.clone()).await;
        let reply = reply.and_then(|(word, text)| match word.as_str() {
            "done" => Revision::parse(&text)
                .map(Change::Done)
                .ok_or_else(|| unknown_reply("fleet_change", &text)),
            "changed" => Ok(Change::Changed(Entry::parse(plugin, &text).map(Box::new))),
            "incomplete" => Ok(Change::Incomplete),
            "full" => Ok(Change::Full),
            other => Err(unknown_reply("fleet_change", other)),
        });
        reply.map_err(during)
    }

    /// Puts records back that Redis has lost: all of `known` that are missing there, or newer in the same era. `stored` is
    /// the revision that was read, `seen` the one at which the caller read `known`.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn merge(
        &self,
        stored: Option<&Revision>,
        seen: Option<&Revision>,
        known: &BTreeMap<String, Entry>,
    ) -> Result<Merged, RedisError> {
        let keys = &self.queue.keys;
        let mut call = self.scripts.merge.key(keys.fleet_revision());
        call.key(keys.fleet_state());
        call.arg(stored.map(Revision::to_string).unwrap_or_default()).arg(Revision::new_era());
        call.arg(seen.map(|seen| seen.era.as_str()).unwrap_or_default());
        call.arg(seen.map(|seen| seen.number).unwrap_or_default()).arg(HISTORY);
        for (name, entry) in known {
            let digest = &entry.record.digest;
            let newest = &entry.record.newest().digest;
            call.key(keys.fleet_history(name));
            call.key(keys.fleet_artefact(digest)).key(keys.fleet_artefact(newest));
            call.arg(name).arg(entry.to_text());
        }
        let (word, _, back): (String, String, usize) = call
            .run(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("put the fleet's state back"))?;
        Ok(if word == "done" { Merged::Done(back) } else { Merged::Changed })
    }
}
