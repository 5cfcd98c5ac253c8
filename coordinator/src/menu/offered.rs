//! Which of the commands that workers offer are put into the menu, and why the others are not.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use queue::{OfferedPlugin, TaskQueue, WorkerRecord};

use super::owners::{self, CommandOwners, now_seconds};
use crate::chat::command_menu::{CommandMenu, MAX_COMMANDS};

/// The commands that go into the menu, and why the others do not. A command without an owner is left out.
pub(super) fn offered(
    workers: &[WorkerRecord],
    owners: &CommandOwners,
) -> (CommandMenu, BTreeSet<String>) {
    let mut plugins: Vec<&OfferedPlugin> =
        workers.iter().flat_map(|worker| &worker.plugins).collect();
    // Sorted, so that the workers' order does not matter. While a plugin is swapped, its newest version counts.
    plugins.sort_by_key(|plugin| {
        (&plugin.name, Reverse(version_numbers(&plugin.version)), &plugin.digest)
    });
    let living: BTreeSet<&str> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    let mut menu = CommandMenu::default();
    let mut complaints = BTreeSet::new();
    for plugin in plugins {
        menu.offered.extend(plugin.task_types.iter().cloned());
        for command in &chat_commands::of_plugin(plugin) {
            let name = command.name.as_str();
            let problem = match (owners.get(name), command.check(&plugin.task_types)) {
                (_, Err(problem)) => problem,
                (Some(owner), Ok(())) if *owner != plugin.name => {
                    taken(name, owner, living.contains(owner.as_str()))
                }
                (Some(_), Ok(())) if menu.commands.len() < MAX_COMMANDS => {
                    // A command of another worker or an older version does not replace it.
                    menu.commands.entry(name.to_owned()).or_insert_with(|| command.clone());
                    continue;
                }
                (Some(_), Ok(())) if menu.commands.contains_key(name) => continue,
                (_, Ok(())) => {
                    format!("command `{name}` is one too many; at most {MAX_COMMANDS} are taken")
                }
            };
            complaints.insert(format!("plugin `{}`: {problem}", plugin.name));
        }
    }
    (menu, complaints)
}

/// Why a command that belongs to another plugin is left out.
fn taken(name: &str, owner: &str, lives: bool) -> String {
    if lives {
        return format!("command `{name}` is plugin `{owner}`'s");
    }
    format!(
        "command `{name}` is plugin `{owner}`'s, which is away; it is kept for a week, unless it is taken away with \
         `coordinator commands release {name}`"
    )
}

/// Why commands of living workers are left out of the menu.
pub(crate) async fn not_taken(queue: &TaskQueue) -> redis::RedisResult<BTreeSet<String>> {
    let workers = queue.workers().await.map_err(|error| error.source)?;
    let owners = owners::of(queue, &workers, now_seconds()).await?;
    Ok(offered(&workers, &owners).1)
}

/// The numbers of a version, to compare by.
fn version_numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').map_while(|number| number.parse().ok()).take(3).collect()
}

#[cfg(test)]
mod tests;
