//! At a start: the last good version in place of a file that is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use ops::chain::chain;

use super::folder::{Changes, PluginFolder};
use crate::error::LoadError;
use crate::plugin::load::stem;
use crate::plugin_config::PluginConfig;

impl PluginFolder {
    /// At the start, when the file in place is refused: puts the last good version in force that had no more grants
    /// than the settings in place give.
    pub(super) async fn go_back(&mut self, path: &Path, changes: &mut Changes) -> bool {
        let Some(versions) = self.loader.versions().cloned() else { return false };
        let Ok(config) = PluginConfig::for_component(path, &self.ceilings) else { return false };
        let name = &stem(path);
        let granted = config.granted();
        for kept in versions.of(name).into_iter().filter(|kept| kept.rejected.is_none()) {
            let passed_over = |reason: &str| {
                let (plugin, version) = (name.as_str(), kept.version.as_str());
                tracing::warn!(plugin, version, reason, "a kept version is not taken instead");
            };
            if !config.swap.takes(&kept.digest) {
                passed_over("the settings in place pin another component");
                continue;
            }
            let component = versions.component(name, &kept.id);
            let as_it_was =
                PluginConfig::for_component_in(&component, &self.folder, &self.ceilings);
            let as_it_was = match as_it_was {
                Ok(as_it_was) => as_it_was,
                Err(error) => {
                    passed_over(&chain(&error).to_string());
                    continue;
                }
            };
            if !as_it_was.granted().is_subset(&granted) || !as_it_was.limits.within(&config.limits)
            {
                passed_over("the settings in place grant less than it had");
                continue;
            }
            if let Err(source) = versions.read(name, &kept) {
                passed_over(&chain(&LoadError::Read { path: component, source }).to_string());
                continue;
            }
            let at = kept.data.iter().map(|(data, fact)| (data, versions.data(name, &fact.digest)));
            let with_its_data =
                at.map(|(data, copy)| (data.clone(), copy)).collect::<BTreeMap<_, _>>();
            // The data in place is newer than what was kept, if it can be used.
            let mut published = Err(String::new());
            for data_at in [BTreeMap::new(), with_its_data] {
                let started = Instant::now();
                let as_it_was =
                    PluginConfig::for_component_in(&component, &self.folder, &self.ceilings);
                let loaded = match as_it_was {
                    Ok(mut as_it_was) => {
                        as_it_was.data_at = data_at;
                        self.loader.load_with(&component, as_it_was).await
                    }
                    Err(error) => Err(error),
                };
                let outcome = match loaded {
                    Ok(version) => {
                        self.publish(&version, started, &mut BTreeSet::new(), changes).await
                    }
                    Err(error) => Err(error),
                };
                published = outcome.map_err(|error| chain(&error).to_string());
                if published.is_ok() || kept.data.is_empty() {
                    break;
                }
            }
            match published {
                Err(reason) => passed_over(&reason),
                Ok(()) => {
                    tracing::warn!(
                        plugin = name,
                        plugin_version = kept.version,
                        "the last good version is in force, because the file in place is refused"
                    );
                    return true;
                }
            }
        }
        false
    }
}
