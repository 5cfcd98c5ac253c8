//! What administrators are told, and when.

use std::time::Duration;

use super::quiet_hours::QuietHours;

/// What is told, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSettings {
    /// Who is told: people's ids.
    pub admins: Vec<i64>,
    /// Pause between two looks. What is wrong twice in a row is told.
    pub look_every: Duration,
    /// A task that waits for longer is too old.
    pub oldest: Duration,
    /// So many waiting tasks of a type are too many.
    pub waiting: u64,
    /// When only what is urgent is told.
    pub quiet: Option<QuietHours>,
}
