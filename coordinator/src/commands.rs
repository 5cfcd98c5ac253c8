//! The command menu: the bot's own commands and those that plugins bring along.
//!
//! Each coordinator reads the worker registry every other second, makes one list of what the living workers offer, and
//! tells the flows ([`Menu`]) and Telegram ([`publish`]) when it changed. A worker is not trusted: its commands keep the
//! rules that the host checked, or are passed over. Of two plugins with the same command the one that had it first keeps
//! it ([`owners`]).
//!
//! Not here: what becomes of a command; that is in [`crate::flow`].

pub(crate) mod owners;
mod publish;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use queue::{OfferedCommand, OfferedPlugin, TaskQueue, TaskType, WorkerRecord};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bot_api::BotApi;
use crate::commands::owners::Owners;
use crate::metrics;
use crate::tempo::Tempo;

/// How often the registry is read: a new plugin is in the menu within seconds.
const EVERY: Duration = Duration::from_secs(2);
/// Most commands of all plugins together. Telegram takes 100 in a menu, and nobody reads that many.
const MAX_COMMANDS: usize = 50;
/// How long it is known that there was a command.
const KNOWN_SECONDS: u64 = 24 * 3600;
/// More names than that within a day are no plugins of people.
const MAX_KNOWN: usize = 500;
/// How old the note of a command that is there may get before it is written anew.
const NOTE_AGAIN_SECONDS: u64 = 3600;

/// The commands of plugins at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Menu {
    commands: BTreeMap<String, OfferedCommand>,
    offered: BTreeSet<TaskType>,
    known: BTreeSet<String>,
}

impl Menu {
    /// The command of that name, if some living worker offers it.
    pub fn get(&self, name: &str) -> Option<&OfferedCommand> {
        self.commands.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &OfferedCommand> {
        self.commands.values()
    }

    /// Whether there was a command of that name within the last day: who asks for it is told that it is away.
    pub fn was_known(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Whether some living worker answers tasks of that type.
    pub fn offers(&self, task_type: &TaskType) -> bool {
        self.offered.contains(task_type)
    }

    /// What the workers offer, and why something of it is not taken. A command that has no owner is nobody's.
    pub(crate) fn of(workers: &[WorkerRecord], owners: &Owners) -> (Self, BTreeSet<String>) {
        let mut plugins: Vec<&OfferedPlugin> =
            workers.iter().flat_map(|worker| &worker.plugins).collect();
        // The same list whatever the workers' order. While a plugin is swapped, its newest version counts.
        plugins.sort_by_key(|plugin| {
            (&plugin.name, Reverse(version_numbers(&plugin.version)), &plugin.digest)
        });
        let living: BTreeSet<&str> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        let mut menu = Self::default();
        let mut complaints = BTreeSet::new();
        for plugin in plugins {
            menu.offered.extend(plugin.task_types.iter().cloned());
            for command in &plugin.commands {
                let name = command.name.as_str();
                let problem = match (owners.get(name), command.check(&plugin.task_types)) {
                    (_, Err(problem)) => problem,
                    (Some(owner), Ok(())) if *owner != plugin.name => {
                        taken(name, owner, living.contains(owner.as_str()))
                    }
                    (Some(_), Ok(())) if menu.commands.len() < MAX_COMMANDS => {
                        // Another worker's, or an older version's, does not replace it.
                        menu.commands.entry(name.to_owned()).or_insert_with(|| command.clone());
                        continue;
                    }
                    (Some(_), Ok(())) if menu.commands.contains_key(name) => continue,
                    (_, Ok(())) => format!(
                        "command `{name}` is one too many; at most {MAX_COMMANDS} are taken"
                    ),
                };
                complaints.insert(format!("plugin `{}`: {problem}", plugin.name));
            }
        }
        (menu, complaints)
    }
}

/// Why a command is not taken that belongs to another plugin.
fn taken(name: &str, owner: &str, lives: bool) -> String {
    if lives {
        return format!("command `{name}` is plugin `{owner}`'s");
    }
    format!(
        "command `{name}` is plugin `{owner}`'s, which is away; it is kept for a week, unless it is taken away with \
         `coordinator commands release {name}`"
    )
}

/// What is not taken of the commands that the living workers offer, and why.
pub(crate) async fn not_taken(queue: &TaskQueue) -> redis::RedisResult<BTreeSet<String>> {
    let workers = queue.workers().await.map_err(|error| error.source)?;
    let owners = owners::of(queue, &workers, now_seconds()).await?;
    Ok(Menu::of(&workers, &owners).1)
}

/// The numbers at the beginning of a version, to compare it by.
fn version_numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').map_while(|number| number.parse().ok()).take(3).collect()
}

/// Keeps the menu up to date, here and in Telegram, until `shutdown`. Trouble with Redis leaves it as it is. `me` names
/// this coordinator.
pub async fn watch_until(
    queue: TaskQueue,
    bot: BotApi,
    me: String,
    menu: watch::Sender<Arc<Menu>>,
    tempo: Arc<Tempo>,
    shutdown: CancellationToken,
) {
    let told = menu.subscribe();
    tokio::join!(
        read_until(&queue, &menu, &tempo, &shutdown),
        publish::publish_until(queue.clone(), bot, me, told, shutdown.clone()),
    );
}

async fn read_until(
    queue: &TaskQueue,
    menu: &watch::Sender<Arc<Menu>>,
    tempo: &Tempo,
    shutdown: &CancellationToken,
) {
    let mut complained = BTreeSet::new();
    let mut first = true;
    loop {
        match read(queue, tempo).await {
            Ok((read, complaints)) => {
                for complaint in complaints.difference(&complained) {
                    tracing::warn!(problem = complaint, "a plugin's command is not taken");
                }
                metrics::commands_not_taken(complaints.len());
                complained = complaints;
                menu.send_if_modified(|current| {
                    // The first is news also when it is empty: it says that nobody offers anything.
                    let changed = std::mem::take(&mut first) || **current != read;
                    if changed {
                        *current = Arc::new(read);
                    }
                    changed
                });
            }
            Err(error) => tracing::debug!(error = %error, "the command menu was not read"),
        }
        // Losing the pause loses nothing.
        if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

async fn read(queue: &TaskQueue, tempo: &Tempo) -> redis::RedisResult<(Menu, BTreeSet<String>)> {
    let workers = queue.workers().await.map_err(|error| error.source)?;
    tempo.note_workers(&workers);
    let now = now_seconds();
    let owners = owners::of(queue, &workers, now).await?;
    let (mut menu, complaints) = Menu::of(&workers, &owners);
    let mut connection = queue.connection();
    let key = queue.keys().known_commands();
    let stored: Option<Vec<u8>> = redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
    let stored = stored.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let (known, to_note) = remember(stored, menu.commands.keys(), now);
    if to_note {
        // Two that write at once may lose a name; whoever sees it alive writes it again.
        let json = serde_json::to_string(&known).unwrap_or_default();
        let noted: redis::RedisResult<()> =
            queue.write_even_when_full("SET", &key, (json, "EX", KNOWN_SECONDS)).await;
        if let Err(error) = noted {
            // What is known is known here; a server that takes no writes is written to at the next look.
            queue.note_trouble(None, "note the plugins' commands", &error);
        }
    }
    menu.known = known.into_keys().collect();
    Ok((menu, complaints))
}

/// Names and when they were last noted, in seconds: those of the last day and the living ones. And whether it is time to
/// write that down.
fn remember<'a>(
    mut known: BTreeMap<String, u64>,
    living: impl Iterator<Item = &'a String>,
    now: u64,
) -> (BTreeMap<String, u64>, bool) {
    known.retain(|_, noted| noted.abs_diff(now) <= KNOWN_SECONDS);
    let mut to_note = false;
    for name in living {
        let noted = known.get(name);
        let fresh = noted.is_some_and(|noted| noted.abs_diff(now) < NOTE_AGAIN_SECONDS);
        if !fresh && (noted.is_some() || known.len() < MAX_KNOWN) {
            known.insert(name.clone(), now);
            to_note = true;
        }
    }
    (known, to_note)
}

/// By this machine's clock: only a day is measured with it.
pub(crate) fn now_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
