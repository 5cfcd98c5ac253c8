//! Going back on the whole fleet: to which version, and whether that can be done.
//!
//! Nothing is changed here. Whoever has read a [`Rollback`] makes it with [`Fleet::change`], which refuses it when somebody
//! has changed the record meanwhile.

use super::handle::Fleet;
use super::record::{Entry, Record, Revision};
use super::report::{Signatures, Step, WorkerReport};
use crate::error::RedisError;

/// Shortest beginning of a digest that names a version.
const MIN_PREFIX_CHARS: usize = 4;

/// A plugin is pinned: it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{plugin}` is pinned to {version} (sha256 {digest:.12}) by {by}; run `worker fleet unpin {plugin}` first"
)]
pub struct Pinned {
    plugin: String,
    version: String,
    digest: String,
    by: String,
}

/// Why a plugin does not go back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// The fleet has no record of it.
    #[error("the fleet has never had `{plugin}`")]
    Unknown {
        /// The plugin.
        plugin: String,
    },
    /// It stays as it is.
    #[error(transparent)]
    Pinned(#[from] Pinned),
    /// There is nothing to go back to.
    #[error(
        "the history of `{plugin}` has no earlier version; `worker fleet history {plugin}` shows it"
    )]
    NoEarlier {
        /// The plugin.
        plugin: String,
    },
    /// The beginning of a digest is too short.
    #[error("name the version by at least {MIN_PREFIX_CHARS} characters of its digest")]
    ShortPrefix,
    /// The history does not have this version.
    #[error("no version of `{plugin}` {wanted}; `worker fleet history {plugin}` shows them")]
    NoSuchVersion {
        /// The plugin.
        plugin: String,
        /// What was asked for, in words.
        wanted: String,
    },
    /// The component is gone.
    #[error(
        "the component {digest:.12} of {version} is no longer stored, because the quota had no room for it; push its file again"
    )]
    NotStored {
        /// The version.
        version: String,
        /// Its digest.
        digest: String,
    },
    /// Every worker that should take it would refuse its signature.
    #[error("every worker would refuse {version}: {why}. {SIGN_AGAIN}")]
    Signature {
        /// The version.
        version: String,
        /// Why, of the first worker.
        why: String,
    },
    /// Redis does not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl RollbackError {
    /// The component of `record` is gone.
    pub fn not_stored(record: &Record) -> Self {
        let Record { version, digest, .. } = record;
        Self::NotStored { version: version.clone(), digest: digest.clone() }
    }
}

/// The way out where a signature stands in the way.
pub const SIGN_AGAIN: &str = "Sign its file again with `worker plugins sign FILE --key KEYFILE --rollback-from VERSION`, and push it";

/// A version of a plugin's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The one before the present one. Going back again goes further back.
    Before,
    /// The newest whose digest begins so.
    Digest(&'a str),
    /// The one that this change made.
    At(&'a Revision),
}

/// What going back would make of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// What the fleet has now.
    pub current: Entry,
    /// What it would have.
    pub record: Record,
    /// Workers that would refuse it, each with its reason. Not all of those that would take it.
    pub refusing: Vec<(WorkerReport, String)>,
    /// How many workers should run it.
    pub workers: usize,
}

impl Rollback {
    /// Whether it only takes the canary back: the workers that do not try it change nothing.
    pub fn ends_canary_only(&self) -> bool {
        self.current.record.canary.is_some() && is_same(&self.record, &self.current.record)
    }
}

impl Fleet {
    /// What going back to `target` would make of `plugin`: with the settings that the version was pushed with, on the
    /// workers that have the plugin now. A canary is taken back.
    ///
    /// # Errors
    ///
    /// [`RollbackError`] says what forbids it.
    pub async fn rollback(
        &self,
        plugin: &str,
        target: Target<'_>,
    ) -> Result<Rollback, RollbackError> {
        let current = self.state().await?.entries.remove(plugin);
        let current =
            current.ok_or_else(|| RollbackError::Unknown { plugin: plugin.to_owned() })?;
        current.ensure_not_pinned()?;
        let record = if current.record.canary.is_some() && target == Target::Before {
            current.record.clone()
        } else {
            let earlier = self.earlier(&current, target).await?.record;
            let has_labels = if current.record.removed { &earlier } else { &current.record };
            Record { labels: has_labels.labels.clone(), ..earlier }
        };
        let record = Record { canary: None, ..record };
        if record.source.is_none() && !self.is_stored(&record.digest, record.size).await? {
            return Err(RollbackError::not_stored(&record));
        }
        let reports = self.reports().await?;
        let concerned =
            |report: &&WorkerReport| record.is_for(&report.labels) && !report.has_own_file(plugin);
        let workers = reports.iter().filter(concerned).count();
        let refusing: Vec<_> = reports
            .iter()
            .filter(concerned)
            .filter_map(|report| Some((report.clone(), report.would_refuse(plugin, &record)?)))
            .collect();
        match refusing.first() {
            Some((_, why)) if refusing.len() == workers => {
                Err(RollbackError::Signature { version: record.version, why: why.clone() })
            }
            _ => Ok(Rollback { current, record, refusing, workers }),
        }
    }

    /// The version of the history that `target` names, as it is to be put in place.
    ///
    /// # Errors
    ///
    /// There is none, or Redis does not answer.
    pub async fn earlier(
        &self,
        current: &Entry,
        target: Target<'_>,
    ) -> Result<Entry, RollbackError> {
        let plugin = current.name.clone();
        let history = self.history(&plugin).await?;
        let (found, wanted) = match target {
            Target::Before => {
                let found = before(&history, current).cloned();
                return found.ok_or(RollbackError::NoEarlier { plugin });
            }
            Target::Digest(prefix) if prefix.len() < MIN_PREFIX_CHARS => {
                return Err(RollbackError::ShortPrefix);
            }
            Target::Digest(prefix) => {
                let found =
                    history.into_iter().find(|entry| entry.record.digest.starts_with(prefix));
                (found, format!("has the digest `{prefix}`"))
            }
            Target::At(at) => {
                (history.into_iter().find(|entry| entry.at == *at), "was pushed then".to_owned())
            }
        };
        let Some(Entry { name, at, record }) = found else {
            return Err(RollbackError::NoSuchVersion { plugin, wanted });
        };
        Ok(Entry { name, at, record: Record { removed: false, pinned: false, ..record } })
    }

    /// The versions that `current` can go back to, newest first, each once with the settings that it had.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn earlier_versions(&self, current: &Entry) -> Result<Vec<Entry>, RedisError> {
        let mut versions: Vec<Entry> = Vec::new();
        for entry in self.history(&current.name).await? {
            let is_present = !current.record.removed && is_same(&entry.record, &current.record);
            let is_known = versions.iter().any(|known| is_same(&known.record, &entry.record));
            if !entry.record.removed && !is_present && !is_known {
                versions.push(entry);
            }
        }
        Ok(versions)
    }
}

impl Entry {
    /// Whether the plugin may be changed.
    ///
    /// # Errors
    ///
    /// It is pinned.
    pub fn ensure_not_pinned(&self) -> Result<(), Pinned> {
        let Record { removed, pinned, version, digest, by, .. } = &self.record;
        if *removed || !pinned {
            return Ok(());
        }
        let plugin = self.name.clone();
        Err(Pinned { plugin, version: version.clone(), digest: digest.clone(), by: by.clone() })
    }
}

impl WorkerReport {
    fn has_own_file(&self, plugin: &str) -> bool {
        self.plugins.iter().any(|report| report.name == plugin && report.step == Step::OwnFile)
    }

    /// Why this worker would certainly refuse a version because of its signature. It may refuse others too.
    fn would_refuse(&self, plugin: &str, record: &Record) -> Option<String> {
        let Some(signature) = &record.signature else {
            let is_required = self.signatures == Signatures::Required;
            return is_required.then(|| "it has no signature, and one is required".to_owned());
        };
        let report = self.plugins.iter().find(|report| report.name == plugin)?;
        let accepted = report.signed_at?;
        (signed_at(signature)? < accepted)
            .then(|| "its signature is older than that of the version which runs".to_owned())
    }
}

/// When a signature was made, in seconds since 1970: `timestamp=` in its trusted comment, which the host writes and checks.
fn signed_at(signature: &str) -> Option<u64> {
    let comment = signature.lines().find_map(|line| line.strip_prefix("trusted comment: "))?;
    comment.split(' ').find_map(|word| word.strip_prefix("timestamp="))?.parse().ok()
}

/// The same component with the same settings.
fn is_same(one: &Record, other: &Record) -> bool {
    one.digest == other.digest && one.settings == other.settings
}

/// The version before the present one. Going back twice goes back two versions, not to the first one again.
fn before<'a>(history: &'a [Entry], current: &Entry) -> Option<&'a Entry> {
    if current.record.removed {
        return history.iter().find(|entry| !entry.record.removed);
    }
    let is_present = |entry: &Entry| is_same(&entry.record, &current.record);
    let first = history.iter().rposition(is_present)?;
    let older = history.get(first + 1..).unwrap_or_default();
    older.iter().find(|entry| !entry.record.removed && !is_present(entry))
}

#[cfg(test)]
mod tests;
