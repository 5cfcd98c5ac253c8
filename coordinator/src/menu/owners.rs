//! Which plugin owns a chat command: the first that offered it, until it is away for a week.
//!
//! Redis stores the owners, so that they are the same for all coordinators and after a restart. A plugin that appears while
//! another one is swapped, or away for the night, does not get the other's commands. A living plugin that no longer offers a
//! command gives it up at once, and an operator can take it away (`coordinator commands release`).

use std::collections::{BTreeMap, BTreeSet};

use queue::{OfferedPlugin, Script, TaskQueue, WorkerRecord};

use crate::chat::command_menu::MAX_COMMANDS;
use crate::keys::CoordinatorKeys;

/// How long a plugin that is away keeps its commands: longer than a failure over a long weekend.
pub(crate) const KEEP_SECONDS: u64 = 7 * 24 * 3600;
/// Age at which the record of a living owner is renewed.
const NOTE_AGAIN_SECONDS: u64 = 3600;
/// Most recorded commands: a bound against a flood of names.
const MAX_NOTED: usize = 500;

const OWNERS: &str = include_str!("owners.lua");

/// Commands and the plugins that own them.
pub(crate) type CommandOwners = BTreeMap<String, String>;

/// An owner as stored in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnerRecord {
    /// The plugin.
    pub(crate) plugin: String,
    /// When it was last seen with the command, in seconds since 1970.
    pub(crate) seen: u64,
}

impl OwnerRecord {
    fn read(text: &str) -> Option<Self> {
        let (seen, plugin) = text.split_once('|')?;
        Some(Self { plugin: plugin.to_owned(), seen: seen.parse().ok()? })
    }
}

/// A change of one command's owner that has to be stored.
#[derive(Debug, PartialEq, Eq)]
struct OwnerChange {
    command: String,
    /// The new owner; none to delete the record.
    plugin: Option<String>,
    /// The previous owner, which no longer offers it.
    gone: Option<String>,
}

/// The owners of the commands that the workers offer. Changes are stored first; while Redis takes no writes they hold for
/// this coordinator alone.
pub(super) async fn of(
    queue: &TaskQueue,
    workers: &[WorkerRecord],
    now: u64,
) -> redis::RedisResult<CommandOwners> {
    let (mut owners, news) = decide(&noted(queue).await?, workers, now);
    if news.is_empty() {
        return Ok(owners);
    }
    let script = Script::new(OWNERS);
    let mut call = script.key(queue.keys().command_owners());
    call.arg(KEEP_SECONDS);
    for of in &news {
        call.arg(&of.command);
        call.arg(of.plugin.as_deref().unwrap_or_default());
        call.arg(of.gone.as_deref().unwrap_or_default());
    }
    match call.run::<Vec<String>>(&mut queue.connection()).await {
        Ok(written) => {
            for (of, owner) in news.into_iter().zip(written).filter(|(_, owner)| !owner.is_empty())
            {
                owners.insert(of.command, owner);
            }
        }
        Err(error) => tracing::debug!(error = %error, "owners of commands not stored"),
    }
    Ok(owners)
}

/// The stored owners.
pub(crate) async fn noted(queue: &TaskQueue) -> redis::RedisResult<BTreeMap<String, OwnerRecord>> {
    let noted: BTreeMap<String, Vec<u8>> = redis::cmd("HGETALL")
        .arg(queue.keys().command_owners())
        .query_async(&mut queue.connection())
        .await?;
    // An unreadable record has no owner, and is overwritten.
    let read = |(command, text): (String, Vec<u8>)| {
        Some((command, OwnerRecord::read(std::str::from_utf8(&text).ok()?)?))
    };
    Ok(noted.into_iter().filter_map(read).collect())
}

/// Takes a command away from its owner; whether it had one.
pub(crate) async fn release(queue: &TaskQueue, command: &str) -> redis::RedisResult<bool> {
    let removed: usize = redis::cmd("HDEL")
        .arg(queue.keys().command_owners())
        .arg(command)
        .query_async(&mut queue.connection())
        .await?;
    Ok(removed > 0)
}

/// Decides who owns which command, and which changes have to be stored.
fn decide(
    noted: &BTreeMap<String, OwnerRecord>,
    workers: &[WorkerRecord],
    now: u64,
) -> (CommandOwners, Vec<OwnerChange>) {
    let plugins = || workers.iter().flat_map(|worker| &worker.plugins);
    let living: BTreeSet<&str> = plugins().map(|plugin| plugin.name.as_str()).collect();
    let asking = asking(plugins());
    let mut owners = CommandOwners::new();
    let mut news = Vec::new();
    for (command, of) in noted {
        let by_owner =
            asking.get(command.as_str()).is_some_and(|by| by.contains(of.plugin.as_str()));
        let age = of.seen.abs_diff(now);
        let dropped = !by_owner && living.contains(of.plugin.as_str());
        if by_owner || !dropped && age < KEEP_SECONDS {
            owners.insert(command.clone(), of.plugin.clone());
        }
        let plugin = by_owner.then(|| of.plugin.clone());
        if by_owner && age >= NOTE_AGAIN_SECONDS || !by_owner && age >= KEEP_SECONDS {
            news.push(OwnerChange { command: command.clone(), plugin, gone: None });
        } else if dropped {
            news.push(OwnerChange {
                command: command.clone(),
                plugin: None,
                gone: Some(of.plugin.clone()),
            });
        }
    }
    let mut room = MAX_COMMANDS
        .saturating_sub(owners.keys().filter(|name| asking.contains_key(name.as_str())).count());
    for (command, by) in asking {
        let known = noted.contains_key(&command);
        if owners.contains_key(&command) || room == 0 || !known && noted.len() >= MAX_NOTED {
            continue;
        }
        // If several appear at once, the first by name gets it.
        let Some(first) = by.first() else { continue };
        room -= 1;
        owners.insert(command.clone(), (*first).to_owned());
        let gone = noted.get(&command).map(|of| of.plugin.clone());
        let gone = gone.filter(|plugin| living.contains(plugin.as_str()));
        news.retain(|of| of.command != command);
        news.push(OwnerChange { command, plugin: Some((*first).to_owned()), gone });
    }
    (owners, news)
}

/// Each valid command with the plugins that offer it.
fn asking<'a>(
    plugins: impl Iterator<Item = &'a OfferedPlugin>,
) -> BTreeMap<String, BTreeSet<&'a str>> {
    let mut asking: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for plugin in plugins {
        let commands = chat_commands::of_plugin(plugin).into_iter();
        for command in commands.filter(|command| command.check(&plugin.task_types).is_ok()) {
            asking.entry(command.name).or_default().insert(&plugin.name);
        }
    }
    asking
}

/// Seconds since 1970 by this machine's clock, which is precise enough to measure days.
pub(crate) fn now_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
