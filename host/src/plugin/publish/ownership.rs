//! Decides which of several plugin files has a plugin name or a task type that they all claim.
//!
//! The file that is named like the plugin has priority: `search.wasm` with the plugin `search` before `search-old.wasm`
//! with the same plugin. Before that, the operator's own folder has priority over the fleet. Among equals the plugin in
//! force has priority. The owners are stored on disk ([`Owners`]), so
//! that a restarted worker decides as the running one did.

use std::sync::Arc;

use crate::archive::Owners;
use crate::error::LoadError;
use crate::version::PluginVersion;

/// The keys of a version in [`Owners`]: its task types, and the plugin's own name.
pub(crate) fn claims(version: &PluginVersion) -> impl Iterator<Item = String> {
    // A task type has no blank in it.
    let name = format!("plugin {}", version.descriptor.name);
    version.task_types().map(|task_type| task_type.as_str().to_owned()).chain([name])
}

/// Why `version` and `owner` cannot both be in force, as the refusal of `version`.
pub(crate) fn conflict(version: &PluginVersion, owner: &PluginVersion) -> Option<LoadError> {
    if let Some(taken) = task_type_conflict(version, owner) {
        return Some(taken);
    }
    let same_file = version.name().eq_ignore_ascii_case(owner.name());
    (same_file || version.descriptor.name == owner.descriptor.name).then(|| LoadError::NameTaken {
        plugin: version.name().to_owned(),
        declared: version.descriptor.name.clone(),
        owner: owner.name().to_owned(),
    })
}

/// As [`conflict`], for task types alone.
pub(crate) fn task_type_conflict(
    version: &PluginVersion,
    owner: &PluginVersion,
) -> Option<LoadError> {
    let taken = version.task_types().find(|mine| owner.task_types().any(|its| its == *mine))?;
    Some(LoadError::TypeTaken {
        plugin: version.name().to_owned(),
        task_type: taken.clone(),
        owner: owner.name().to_owned(),
    })
}

/// Whether `version` replaces an `owner` that is in force.
pub(crate) fn has_priority(version: &PluginVersion, owner: &PluginVersion) -> bool {
    rank(version) > rank(owner)
}

fn rank(version: &PluginVersion) -> (bool, NameMatch) {
    (version.is_own, NameMatch::of(version))
}

/// How closely a file's name matches the plugin's own name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NameMatch {
    None,
    /// But for the case of letters, or `_` in place of `-`, as compilers write it.
    Similar,
    Exact,
}

impl NameMatch {
    fn of(version: &PluginVersion) -> Self {
        Self::between(version.name(), &version.descriptor.name)
    }

    fn between(file: &str, name: &str) -> Self {
        if file == name {
            Self::Exact
        } else if file.replace('_', "-").eq_ignore_ascii_case(name) {
            Self::Similar
        } else {
            Self::None
        }
    }
}

/// Of what the plugin in `file` claims: whether one of its `rivals` owned some, and whether it owned none itself. The
/// smaller pair has priority.
fn former_claims(
    file: &str,
    claims: impl Iterator<Item = String>,
    rivals: &[&str],
    owners: &Owners,
) -> (bool, bool) {
    let had_by: Vec<&str> = claims.filter_map(|claim| Some(owners.get(&claim)?.as_str())).collect();
    (had_by.iter().any(|owner| rivals.contains(owner)), !had_by.contains(&file))
}

/// Sorts versions of different files into the order in which a start publishes them.
pub(crate) fn sort_by_priority(versions: &mut [Arc<PluginVersion>], owners: &Owners) {
    let others: Vec<Arc<PluginVersion>> = versions.to_vec();
    versions.sort_by_cached_key(|version| {
        let rivals: Vec<&str> = others
            .iter()
            .filter(|other| other.name() != version.name() && conflict(version, other).is_some())
            .map(|rival| rival.name())
            .collect();
        let had = former_claims(version.name(), claims(version), &rivals, owners);
        (std::cmp::Reverse(rank(version)), had, version.name().to_owned())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_bears_a_name_as_it_is_written_or_nearly() {
        assert!(NameMatch::between("my-search", "my-search") == NameMatch::Exact);
        assert!(NameMatch::between("my_search", "my-search") == NameMatch::Similar);
        assert!(NameMatch::between("My-Search", "my-search") == NameMatch::Similar);
        assert!(NameMatch::between("my-search2", "my-search") == NameMatch::None);
    }

    #[test]
    fn whoever_had_what_is_claimed_goes_before_whoever_had_other_things() {
        let owners = [("t1", "a"), ("t2", "b"), ("t3", "b")];
        let owners: Owners =
            owners.iter().map(|(claim, file)| ((*claim).to_owned(), (*file).to_owned())).collect();
        let had = |file: &str, claims: &[&str], rivals: &[&str]| {
            former_claims(file, claims.iter().map(|&claim| claim.to_owned()), rivals, &owners)
        };
        // What `a` had stays its own, but it wants more now, which `b` had.
        assert!(had("b", &["t2", "t3"], &["a"]) < had("a", &["t1", "t2"], &["b"]));
        // A new plugin and one that had something else both want what had no owner.
        assert!(had("a", &["t1", "t9"], &["0"]) < had("0", &["t9"], &["a"]));
        assert_eq!(had("c", &["t2"], &[]), (false, true), "its owner is no more");
    }
}
