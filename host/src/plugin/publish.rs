//! Puts a checked version in force, and reports it: to the log, the metrics, the history and the archive.

pub mod catalog;
pub(crate) mod data_loss;
pub mod history;
pub(crate) mod ownership;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ops::chain::chain;
use queue::task::now_ms;

use self::catalog::{PluginCatalog, Published, RolledBack};
use self::history::History;
use crate::archive::{Owners, Rejection, VersionArchive};
use crate::error::LoadError;
use crate::metrics;
use crate::trust::memory::Memory;
use crate::version::PluginVersion;

/// Changes the catalogue and reports the changes.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    pub(crate) catalog: Arc<PluginCatalog>,
    pub(crate) archive: Option<VersionArchive>,
    /// What was accepted of signed plugins.
    pub(crate) accepted: Arc<Memory>,
    pub(crate) history: Option<History>,
}

impl Publisher {
    /// Puts a version in force, unless it would lose data or another plugin has what it claims. The files of the plugins
    /// in `gone` were removed. [`Publisher::report_published`] must follow.
    pub(crate) async fn publish(
        &self,
        version: &Arc<PluginVersion>,
        gone: &BTreeSet<String>,
    ) -> Result<Published, LoadError> {
        self.check_data_loss(version).await?;
        self.catalog.publish_over(Arc::clone(version), gone)
    }

    /// Compares a version's data with the version in force, or with the one that was last in force.
    async fn check_data_loss(&self, version: &Arc<PluginVersion>) -> Result<(), LoadError> {
        let in_force = self.catalog.named(version.name()).map(|old| old.data.clone());
        let name = version.name().to_owned();
        let archive = self.archive.clone();
        let read = tokio::task::spawn_blocking(move || {
            let last = archive.as_ref().map(|archive| archive.last_data(&name));
            let accepted = archive.as_ref().map(|archive| archive.accepted_data(&name));
            (in_force.or(last).unwrap_or_default(), accepted.unwrap_or_default())
        });
        let (former, accepted) = read.await.unwrap_or_default();
        data_loss::check(version, &former, &accepted).inspect_err(|error| {
            if let LoadError::DataShrank { plugin, data, unit, now, .. } = error {
                metrics::plugin_data(plugin, data, unit, "refused", *now);
            }
        })
    }

    /// Reports a published version, and archives it. Loading began at `started`.
    pub(crate) async fn report_published(
        &self,
        version: &Arc<PluginVersion>,
        published: &Published,
        started: Instant,
    ) {
        for warning in &version.warnings {
            tracing::warn!(plugin = version.name(), "{warning}");
        }
        let old = published.old.as_ref();
        metrics::plugin_looked_at("published");
        if let Some(old) = old {
            metrics::plugin_in_force(version.name(), &old.descriptor.version, false);
        }
        metrics::plugin_in_force(version.name(), &version.descriptor.version, true);
        for (data, file) in &version.data {
            for (unit, amount) in [("rows", file.rows), ("bytes", Some(file.bytes))] {
                let Some(amount) = amount else { continue };
                metrics::plugin_data(version.name(), data, unit, "in_force", amount);
                metrics::plugin_data(version.name(), data, unit, "refused", 0);
            }
        }
        if let Some(history) = &self.history {
            history.published(version, old.map(AsRef::as_ref));
        }
        tracing::info!(
            plugin = version.name(),
            plugin_version = version.descriptor.version,
            digest = version.digest.get(..12).unwrap_or_default(),
            replaces = old.map(|old| old.descriptor.version.as_str()),
            watched = published.watched,
            canary_percent = version.swap.canary_percent.filter(|_| published.watched),
            load_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "plugin published"
        );
        self.remember(version).await;
        self.store_version(version).await;
    }

    /// Remembers a signed version, so that an older one is noticed.
    async fn remember(&self, version: &Arc<PluginVersion>) {
        if version.signature.is_none() {
            return;
        }
        let memory = Arc::clone(&self.accepted);
        let accepted = Arc::clone(version);
        let storing = tokio::task::spawn_blocking(move || match &accepted.signature {
            Some(signed) => {
                memory.accept(accepted.name(), &signed.accepted.covered, &signed.access)
            }
            None => Ok(()),
        });
        if let Ok(Err(error)) = storing.await {
            let plugin = version.name();
            tracing::error!(plugin, error = %error, "accepted version not stored; an older one would be taken after a restart");
        }
    }

    async fn store_version(&self, version: &Arc<PluginVersion>) {
        let Some(archive) = self.archive.clone() else { return };
        let stored = Arc::clone(version);
        let storing = tokio::task::spawn_blocking(move || archive.store(&stored));
        if let Ok(Err(error)) = storing.await {
            let plugin = version.name();
            tracing::warn!(plugin, error = %error, "plugin version not archived; no rollback to it after a restart");
        }
    }

    /// Reports a candidate that was refused.
    pub(crate) fn report_refused(&self, plugin: &str, error: &LoadError) {
        if let Some(history) = &self.history {
            history.refused(plugin, error);
        }
        tracing::warn!(
            code = error.code(),
            error = %chain(error),
            "plugin refused; the running version stays"
        );
    }

    /// Reports a plugin that is no longer in force because its file is gone.
    pub(crate) fn report_removed(&self, old: &PluginVersion) {
        metrics::plugin_in_force(old.name(), &old.descriptor.version, false);
        if let Some(history) = &self.history {
            history.removed(old);
        }
        tracing::info!(plugin = old.name(), "plugin removed: its file is gone");
    }

    /// Reports a rollback, and stores it for the next start.
    pub(crate) async fn report_rollback(&self, version: &Arc<PluginVersion>, done: &RolledBack) {
        let RolledBack { to, failed, ended } = done;
        metrics::plugin_looked_at("rolled-back");
        metrics::plugin_in_force(version.name(), &version.descriptor.version, false);
        metrics::plugin_in_force(version.name(), &to.descriptor.version, true);
        tracing::error!(
            plugin = version.name(),
            plugin_version = version.descriptor.version,
            digest = version.digest.get(..12).unwrap_or_default(),
            back_to = to.descriptor.version,
            failed,
            of = ended,
            "plugin rolled back: too many of its first tasks failed; put a fixed file or the old one in place"
        );
        if let Some(history) = &self.history {
            let reason = format!("{failed} of its first {ended} tasks failed");
            history.rolled_back(version, to, reason);
        }
        // Versions that differ only in their data have the same id: rejecting one would reject both.
        let Some(archive) = self.archive.clone().filter(|_| version.id() != to.id()) else {
            return;
        };
        let rejected = Arc::clone(version);
        let to = Arc::clone(to);
        let rejection = Rejection { at: now_ms(), failed: *failed, ended: *ended };
        let storing = tokio::task::spawn_blocking(move || {
            archive.reject(rejected.name(), &rejected.id(), rejection)?;
            archive.store(&to)
        });
        match storing.await {
            Ok(Ok(())) => self.catalog.note_rolled_back(version.name()),
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "rejected version not stored; the next start tries it again");
            }
            Err(error) => tracing::warn!(error = %error, "rollback not stored"),
        }
    }

    /// Which plugin in force has which name and task type.
    pub(crate) fn owners(&self) -> Owners {
        let in_force = self.catalog.in_force();
        let owned = in_force.iter().flat_map(|version| {
            ownership::claims(version).map(|claim| (claim, version.name().to_owned()))
        });
        owned.collect()
    }

    /// Stores the owners for the next start.
    pub(crate) async fn store_owners(&self, owners: Owners) {
        let Some(archive) = self.archive.clone() else { return };
        let storing = tokio::task::spawn_blocking(move || archive.store_owners(&owners));
        if let Ok(Err(error)) = storing.await {
            tracing::warn!(error = %error, "owners of task types not stored");
        }
    }
}
