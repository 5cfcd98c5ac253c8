//! What two plugins cannot both have: a name, a task type, a chat command.

use std::path::Path;

use super::folders;
use super::output::inspect;
use crate::offline::OfflineHost;
use crate::plugin::publish::ownership;
use crate::version::PluginVersion;
use crate::version::name::stem;

/// The chat commands that two plugins both bring, one line each. A worker loads both: the coordinator gives the command to
/// one of them.
pub(super) fn of_commands(version: &PluginVersion, other: &PluginVersion) -> Vec<String> {
    let mine = version.descriptor.commands.iter().map(|command| command.name.as_str());
    let shared =
        mine.filter(|mine| other.descriptor.commands.iter().any(|command| command.name == *mine));
    shared
        .map(|command| {
            format!(
                "plugin `{}` brings the command `/{command}`, which plugin `{}` brings too; only the one that had it first \
                 gets it, so give one of them another name",
                version.name(),
                other.name()
            )
        })
        .collect()
}

/// What a plugin has in common with the plugins in `folder`, one line each. A file there with its own name is an older
/// version of it, and a file that a worker would refuse takes nothing.
pub(super) async fn with_folder(
    host: &OfflineHost,
    version: &PluginVersion,
    folder: &Path,
) -> anyhow::Result<Vec<String>> {
    let mut clashes = Vec::new();
    for file in folders::components(folder)? {
        if stem(&file) == version.name() {
            continue;
        }
        let Ok(other) = inspect(host, &file).await?.loaded else { continue };
        clashes.extend(ownership::conflict(version, &other).map(|conflict| conflict.to_string()));
        clashes.extend(of_commands(version, &other));
    }
    Ok(clashes)
}
