//! Which plugin a chat command belongs to: whoever had it first, as long as it is not away for a week.
//!
//! Redis remembers it, so that it is the same for all coordinators and after a restart: a plugin that appears while
//! another one is swapped, or away for the night, does not get what people know as the other's. A plugin that lives and
//! brings a command no more gives it up at once, and an operator can take it away (`coordinator commands release`).

use std::collections::{BTreeMap, BTreeSet};

use queue::{OfferedPlugin, Script, TaskQueue, WorkerRecord};

use crate::chat::command_menu::MAX_COMMANDS;
use crate::keys::CoordinatorKeys;

/// How long a plugin that is away keeps its commands: longer than a failure over a long weekend.
pub(crate) const KEEP_SECONDS: u64 = 7 * 24 * 3600;
/// How old the note of an owner that is there may get before it is written anew.
const NOTE_AGAIN_SECONDS: u64 = 3600;
/// More commands than that within a week are no plugins of people.
const MAX_NOTED: usize = 500;

const OWNERS: &str = include_str!("owners.lua");

/// Commands, each with the plugin that has it.
pub(crate) type CommandOwners = BTreeMap<String, String>;

/// An owner as Redis has it.
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

/// What is to be written down about one command.
#[derive(Debug, PartialEq, Eq)]
struct OwnerChange {
    command: String,
    /// The plugin that is to have it; none when it is to be forgotten.
    plugin: Option<String>,
    /// The one that had it and brings it no more.
    gone: Option<String>,
}

/// Who has which command among what the workers offer. What is new is written down first; where Redis takes no writes
/// at the moment it holds for this coordinator until it does.
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
        Err(error) => tracing::debug!(error = %error, "the owners of commands were not noted"),
    }
    Ok(owners)
}

/// The owners that are known.
pub(crate) async fn noted(queue: &TaskQueue) -> redis::RedisResult<BTreeMap<String, OwnerRecord>> {
    let noted: BTreeMap<String, Vec<u8>> = redis::cmd("HGETALL")
        .arg(queue.keys().command_owners())
        .query_async(&mut queue.connection())
        .await?;
    // What cannot be read is nobody's, and is written over.
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

/// Who has which command, and what of it is to be written down.
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
        let known = noted.contains_key(command);
        if owners.contains_key(command) || room == 0 || !known && noted.len() >= MAX_NOTED {
            continue;
        }
        // Of several that appear at once the first by name has it.
        let Some(first) = by.first() else { continue };
        room -= 1;
        owners.insert(command.to_owned(), (*first).to_owned());
        let gone = noted.get(command).map(|of| of.plugin.clone());
        let gone = gone.filter(|plugin| living.contains(plugin.as_str()));
        news.retain(|of| of.command != command);
        news.push(OwnerChange {
            command: command.to_owned(),
            plugin: Some((*first).to_owned()),
            gone,
        });
    }
    (owners, news)
}

/// Each command that may be taken, with the plugins that bring it.
fn asking<'a>(
    plugins: impl Iterator<Item = &'a OfferedPlugin>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut asking: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for plugin in plugins {
        let good =
            plugin.commands.iter().filter(|command| command.check(&plugin.task_types).is_ok());
        for command in good {
            asking.entry(&command.name).or_default().insert(&plugin.name);
        }
    }
    asking
}

/// By this machine's clock: only a day is measured with it.
pub(crate) fn now_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
