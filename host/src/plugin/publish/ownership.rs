//! Whose a plugin's name and a task type are, when several files in a folder offer them.
//!
//! The file that bears the name goes first: `search.wasm` with the plugin `search` before `search-old.wasm` with the
//! same. Among files that bear it alike, the one that was in force stays. What was in force is remembered on disk
//! ([`Owners`]), so a start decides as the running worker did.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::LoadError;
use crate::version::PluginVersion;

/// Which plugin file had which name and task type when they were last noted.
pub(crate) type Owners = BTreeMap<String, String>;

/// What a version claims: its task types, and its name for itself.
pub(crate) fn claims(version: &PluginVersion) -> impl Iterator<Item = String> {
    // A task type has no blank in it.
    let name = format!("plugin {}", version.descriptor.name);
    version.task_types().map(|task_type| task_type.as_str().to_owned()).chain([name])
}

/// Why `version` and `owner` cannot both be in force: the refusal of `version`.
pub(crate) fn contested(version: &PluginVersion, owner: &PluginVersion) -> Option<LoadError> {
    if let Some(taken) = contested_type(version, owner) {
        return Some(taken);
    }
    let same_file = version.name().eq_ignore_ascii_case(owner.name());
    (same_file || version.descriptor.name == owner.descriptor.name).then(|| LoadError::NameTaken {
        plugin: version.name().to_owned(),
        declared: version.descriptor.name.clone(),
        owner: owner.name().to_owned(),
    })
}

/// As [`contested`], for task types alone.
pub(crate) fn contested_type(version: &PluginVersion, owner: &PluginVersion) -> Option<LoadError> {
    let taken = version.task_types().find(|mine| owner.task_types().any(|its| its == *mine))?;
    Some(LoadError::TypeTaken {
        plugin: version.name().to_owned(),
        task_type: taken.clone(),
        owner: owner.name().to_owned(),
    })
}

/// Whether `version` takes over from an `owner` that is in force.
pub(crate) fn goes_first(version: &PluginVersion, owner: &PluginVersion) -> bool {
    bears_name(owner) < bears_name(version)
}

fn bears_name(version: &PluginVersion) -> u8 {
    likeness(version.name(), &version.descriptor.name)
}

/// How well a file's name is the plugin's: 2 the very same, 1 but for its case, or `_` for `-` as compilers write it.
fn likeness(file: &str, name: &str) -> u8 {
    match file == name {
        true => 2,
        false => u8::from(file.replace('_', "-").eq_ignore_ascii_case(name)),
    }
}

/// What the plugin in `file` had of what it claims: whether one of its `rivals` had some of it, and whether it had none
/// itself. Whoever comes out less goes first.
fn former_claims(
    file: &str,
    claims: impl Iterator<Item = String>,
    rivals: &[&str],
    owners: &Owners,
) -> (bool, bool) {
    let had_by: Vec<&str> = claims.filter_map(|claim| Some(owners.get(&claim)?.as_str())).collect();
    (had_by.iter().any(|owner| rivals.contains(owner)), !had_by.contains(&file))
}

/// Puts versions of different files in the order in which they are put in force at a start.
pub(crate) fn order(versions: &mut [Arc<PluginVersion>], owners: &Owners) {
    let others: Vec<Arc<PluginVersion>> = versions.to_vec();
    versions.sort_by_cached_key(|version| {
        let rivals: Vec<&str> = others
            .iter()
            .filter(|other| other.name() != version.name() && contested(version, other).is_some())
            .map(|rival| rival.name())
            .collect();
        let had = former_claims(version.name(), claims(version), &rivals, owners);
        (std::cmp::Reverse(bears_name(version)), had, version.name().to_owned())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_bears_a_name_as_it_is_written_or_nearly() {
        assert_eq!(likeness("my-search", "my-search"), 2);
        assert_eq!(likeness("my_search", "my-search"), 1);
        assert_eq!(likeness("My-Search", "my-search"), 1);
        assert_eq!(likeness("my-search2", "my-search"), 0);
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
        // A newcomer, and one that had something else, both want what nobody had.
        assert!(had("a", &["t1", "t9"], &["0"]) < had("0", &["t9"], &["a"]));
        assert_eq!(had("c", &["t2"], &[]), (false, true), "its owner is no more");
    }
}
