//! At a start: the last good version of a plugin in place of a file that is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ops::chain::chain;

use crate::archive::{ArchivedVersion, VersionArchive};
use crate::config::Ceilings;
use crate::error::LoadError;
use crate::metrics;
use crate::plugin::load::Loader;
use crate::plugin::publish::Publisher;
use crate::plugin::publish::catalog::Published;
use crate::plugin_config::PluginConfig;
use crate::version::PluginVersion;
use crate::version::name::stem;

/// An archived version that was put in force. It is still to be reported.
pub(super) struct Fallback {
    pub(super) version: Arc<PluginVersion>,
    pub(super) published: Published,
    pub(super) started: Instant,
}

/// Publishes the newest good version of the plugin at `path` that fits the settings in place: they must grant
/// everything that it had, with no lower limits.
pub(super) async fn publish(
    loader: &Loader,
    publisher: &Publisher,
    path: &Path,
    ceilings: &Ceilings,
) -> Option<Fallback> {
    let archive = publisher.archive.as_ref()?;
    let folder = loader.base().of(path);
    let settings = PluginConfig::for_component_in(path, folder, ceilings).ok()?;
    let plugin = stem(path);
    let good = archive.versions(&plugin).into_iter().filter(|version| version.rejected.is_none());
    for archived in good {
        let source = Source { archive, plugin: &plugin, archived: &archived, folder, ceilings };
        let published = match source.check(&settings) {
            Ok(()) => source.publish(loader, publisher).await,
            Err(reason) => Err(reason),
        };
        match published {
            Ok(fallback) => return Some(fallback),
            Err(reason) => {
                let version = archived.version.as_str();
                tracing::warn!(plugin, version, reason, "archived version not usable");
            }
        }
    }
    None
}

/// An archived version and where it comes from.
struct Source<'a> {
    archive: &'a VersionArchive,
    plugin: &'a str,
    archived: &'a ArchivedVersion,
    folder: &'a Path,
    ceilings: &'a Ceilings,
}

impl Source<'_> {
    fn component(&self) -> PathBuf {
        self.archive.component(self.plugin, &self.archived.id)
    }

    /// The settings that it ran with.
    fn settings(&self) -> Result<PluginConfig, LoadError> {
        PluginConfig::for_component_in(&self.component(), self.folder, self.ceilings)
    }

    /// Compares it with the settings in place. The error is the reason not to use it.
    fn check(&self, in_place: &PluginConfig) -> Result<(), String> {
        if !in_place.swap.accepts(&self.archived.digest) {
            return Err("the settings in place pin another component".to_owned());
        }
        let settings = self.settings().map_err(|error| chain(&error).to_string())?;
        let is_within = settings.granted().is_subset(&in_place.granted())
            && settings.limits.within(&in_place.limits);
        if !is_within {
            return Err("the settings in place grant less than it had".to_owned());
        }
        self.archive.read(self.plugin, self.archived).map_err(|source| {
            chain(&LoadError::Read { path: self.component(), source }).to_string()
        })?;
        Ok(())
    }

    /// Publishes it with the data in place, which is newer, or else with the copies of the data that it ran with.
    async fn publish(&self, loader: &Loader, publisher: &Publisher) -> Result<Fallback, String> {
        let in_place = self.publish_with(BTreeMap::new(), loader, publisher).await;
        if in_place.is_ok() || self.archived.data.is_empty() {
            return in_place;
        }
        let data = &self.archived.data;
        let copies = data
            .iter()
            .map(|(name, file)| (name.clone(), self.archive.data_copy(self.plugin, &file.digest)));
        self.publish_with(copies.collect(), loader, publisher).await
    }

    async fn publish_with(
        &self,
        data_copies: BTreeMap<String, PathBuf>,
        loader: &Loader,
        publisher: &Publisher,
    ) -> Result<Fallback, String> {
        let started = Instant::now();
        let published = async {
            let mut settings = self.settings()?;
            settings.data_copies = data_copies;
            let version = loader.load_archived(&self.component(), settings).await?;
            let published = publisher.publish(&version, &BTreeSet::new()).await?;
            Ok(Fallback { version, published, started })
        };
        published.await.map_err(|error: LoadError| {
            if let LoadError::Untrusted(refusal) = &error {
                metrics::plugin_looked_at(refusal.code());
            }
            chain(&error).to_string()
        })
    }
}
