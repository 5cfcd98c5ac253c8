//! The command menu: the bot's own commands and those of plugins.

mod offered;
pub(crate) mod owners;
mod publish;
mod watch;

pub(crate) use offered::not_taken;
pub(crate) use watch::watch_until;
