//! What a worker asks a lane for, and what it gets.

use std::time::Duration;

use crate::work::lease::Lease;

/// How many tasks a claim asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Tasks to start now.
    pub(crate) room: usize,
    /// Tasks to hold until there is room.
    pub(crate) ahead: usize,
}

/// What a claim returned.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) leases: Vec<Lease>,
    /// Whether more tasks wait that could be claimed now.
    pub(crate) more: bool,
    /// More wait, and the type's rate limit lets the next one start after this time.
    pub(crate) next_start: Option<Duration>,
}
