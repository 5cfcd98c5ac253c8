//! What passes between a plugin and its host.

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// May be thousands a second.
    Trace,
    /// Useful while the plugin is being written.
    Debug,
    /// Something an operator would tell in a report.
    Info,
    /// Unexpected, and dealt with.
    Warn,
    /// Somebody has to act.
    Error,
}

/// Why a data file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(target_family = "wasm"),
    expect(dead_code, reason = "the host for tests has every file at hand")
)]
pub(crate) enum NoData {
    NotGranted,
    /// The payload is the limit, in bytes.
    TooLarge(u64),
    Unavailable,
}
