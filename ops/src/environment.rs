//! Settings in the environment: an empty variable counts as not set.
//!
//! Compose files (`LISTEN: ${LISTEN:-}`) and `.env` files often set unused variables to nothing. That must not keep a
//! program from starting.

use std::ffi::OsStr;

/// Variables that must not be empty: an empty allow list or deny list would open the bot to everybody.
pub(crate) const NOT_EMPTY: [&str; 2] = ["ALLOWED_IDS", "DENIED_IDS"];

/// The command line without the empty variables.
pub(crate) fn without_empty(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| match arg.get_env() {
            Some(name) if !NOT_EMPTY.iter().any(|kept| name == *kept) && is_empty(name) => {
                arg.env(None::<&'static str>)
            }
            _ => arg,
        })
        .mut_subcommands(without_empty)
}
