//! What counts as a setting, and how strong its sources are.

use std::collections::BTreeSet;

use clap::{Args, Command};

use crate::flags::{HistoryFlags, MonitoringFlags, RedisFlags};

/// The id of the flag that names the TOML file, which is no setting in it.
pub(super) const FILE_FLAG: &str = "config";

/// A setting of a program.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) variable: String,
    /// The key in the TOML file.
    pub(crate) key: String,
    pub(crate) is_secret: bool,
    /// Whether both programs have it.
    pub(crate) is_common: bool,
    pub(crate) arg: clap::Arg,
}

impl Setting {
    /// Whether it takes several values.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.arg.get_action(), clap::ArgAction::Append)
    }
}

/// The settings of a program, in the order of its help.
pub(crate) fn settings_of(command: &Command) -> Vec<Setting> {
    let both = RedisFlags::augment_args(Command::new("both"));
    let both = MonitoringFlags::augment_args(HistoryFlags::augment_args(both));
    let common: BTreeSet<String> =
        both.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let settings = command.get_arguments().filter(|arg| arg.get_id() != FILE_FLAG);
    settings
        .filter_map(|arg| {
            let variable = arg.get_env()?.to_str()?.to_owned();
            let key = arg.get_id().to_string();
            let is_secret = arg.is_hide_env_values_set();
            let is_common = common.contains(&key);
            Some(Setting { variable, is_common, key, is_secret, arg: arg.clone() })
        })
        .collect()
}

/// How strong a source is, strongest first. A flag is stronger than all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Environment,
    DotEnv,
    File,
}
