//! The plugins' commands.

use std::collections::{BTreeMap, BTreeSet};

use chat_commands::OfferedCommand;
use queue::TaskType;

/// Most commands of all plugins together. Telegram allows 100 in a menu, and nobody reads that many.
pub(crate) const MAX_COMMANDS: usize = 50;

/// The commands that living workers offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandMenu {
    pub(crate) commands: BTreeMap<String, OfferedCommand>,
    pub(crate) offered: BTreeSet<TaskType>,
    pub(crate) known: BTreeSet<String>,
}

impl CommandMenu {
    /// The command of that name, if a living worker offers it.
    pub fn get(&self, name: &str) -> Option<&OfferedCommand> {
        self.commands.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &OfferedCommand> {
        self.commands.values()
    }

    /// Whether there was a command of that name within the last day.
    pub fn was_known(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Whether a living worker runs tasks of that type.
    pub fn offers(&self, task_type: &TaskType) -> bool {
        self.offered.contains(task_type)
    }
}
