//! What an operator sees and does.

mod control;
mod plugin_events;

pub use control::{DeadLetter, LiveTask, ReplayError, TypeStats};
pub use plugin_events::{PluginChange, PluginEvent};
