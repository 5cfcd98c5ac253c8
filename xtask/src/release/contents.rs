//! What a release consists of.

/// The programs, and the crate of each.
pub(crate) const PROGRAMS: &[(&str, &str)] =
    &[("worker", "host"), ("coordinator", "coordinator"), ("telegram-simulator", "simulator")];
/// The platform of the programs.
pub(super) const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Checksums of the files that are handed out.
pub(super) const SUMS: &str = "SHA256SUMS";
