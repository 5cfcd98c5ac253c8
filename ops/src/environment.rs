//! Settings in the environment: a variable that is set to nothing is not set.
//!
//! Compose files (`LISTEN: ${LISTEN:-}`) and `.env` files write what is not wanted that way, and a program that does not
//! start for it stands still for something that nobody asked for.

use std::ffi::OsStr;

/// Who is answered. Left empty by mistake, one of these would open the bot to everybody, so it has to be taken out.
const NOT_EMPTY: [&str; 2] = ["ALLOWED_IDS", "DENIED_IDS"];

/// The command line without the variables that are set to nothing.
pub fn without_empty(command: clap::Command) -> clap::Command {
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
