//! For operators: statistics, single tasks, pause, dead letters, and the history of plugin swaps.
//!
//! Not here: [`crate::TaskQueue::cancel`], which ends a task as a worker does.

mod dead_letters;
mod examine;
mod pause;
mod plugin_events;
mod rate;
mod stats;
mod tasks;
mod type_limits;

pub use dead_letters::{DeadLetter, ReplayError};
pub use examine::{Finding, Wellness, examine};
pub use plugin_events::{PluginChange, PluginEvent};
pub use rate::{NoRate, Rate};
pub use stats::{STUCK_AFTER, TypeStats};
pub use tasks::LiveTask;
pub use type_limits::{TypeLimit, TypeLimits};
