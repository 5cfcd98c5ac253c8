//! The worker's log. The host adds the plugin and the task. Never write what a person typed, nor a secret.

use std::fmt;

use crate::host;

pub use crate::host::Level;

/// Writes one line.
pub fn write(level: Level, message: impl fmt::Display) {
    host::log(level, &message.to_string());
}

/// See [`Level::Debug`].
pub fn debug(message: impl fmt::Display) {
    write(Level::Debug, message);
}

/// See [`Level::Info`].
pub fn info(message: impl fmt::Display) {
    write(Level::Info, message);
}

/// See [`Level::Warn`].
pub fn warn(message: impl fmt::Display) {
    write(Level::Warn, message);
}

/// See [`Level::Error`].
pub fn error(message: impl fmt::Display) {
    write(Level::Error, message);
}
