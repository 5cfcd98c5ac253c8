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

/// How well the file's name is the plugin's: 2 the very same, 1 but for its case, or `_` for `-` as compilers write it.
fn bears_name(version: &PluginVersion) -> u8 {
    let (file, name) = (version.name(), version.descriptor.name.as_str());
    match file == name {
        true => 2,
        false => u8::from(file.replace('_', "-").eq_ignore_ascii_case(name)),
    }
}

/// Puts versions of different files in the order in which they are put in force at a start.
pub(crate) fn order(versions: &mut [Arc<PluginVersion>], owners: &Owners) {
    let others: Vec<Arc<PluginVersion>> = versions.to_vec();
    versions.sort_by_cached_key(|version| {
        let rivals: Vec<&Arc<PluginVersion>> = others
            .iter()
            .filter(|other| other.name() != version.name() && contested(version, other).is_some())
            .collect();
        let owner_of = |claim: &String| owners.get(claim).map(String::as_str);
        let is_a_rivals = |claim: String| {
            owner_of(&claim).is_some_and(|owner| rivals.iter().any(|rival| rival.name() == owner))
        };
        let had_none_of_it = claims(version).any(is_a_rivals);
        let had_some = claims(version).any(|claim| owner_of(&claim) == Some(version.name()));
        let bears = bears_name(version);
        (std::cmp::Reverse(bears), had_none_of_it, !had_some, version.name().to_owned())
    });
}
