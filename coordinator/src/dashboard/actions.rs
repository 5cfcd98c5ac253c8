//! What operators change, a file for each kind.

mod change;
mod dead;
mod found;
mod many;
mod rollback;
mod tasks;
mod types;
mod workers;

pub(super) use change::COUNTED_AT_MOST;
pub(super) use dead::{choose, export, replay};
pub(super) use found::{cancel_found, retry_found};
pub(super) use many::carry_out;
pub(super) use rollback::roll_back;
pub(super) use tasks::{cancel, run_again, try_now};
pub(super) use types::{limit, pause};
pub(super) use workers::drain;
