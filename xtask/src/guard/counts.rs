//! What is counted.

use std::collections::BTreeMap;

/// What is counted, which decides how much it may vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// Commands that Redis ran, those in scripts included.
    Commands,
    /// How often Redis read from a connection.
    RoundTrips,
    /// Calls of scripts.
    Scripts,
    /// Instructions of our process, in a development build.
    Instructions,
}

/// Counts per task, by scenario.
pub(super) type Counts = BTreeMap<String, BTreeMap<String, f64>>;

impl Count {
    const ALL: [Self; 4] = [Self::Commands, Self::RoundTrips, Self::Scripts, Self::Instructions];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::RoundTrips => "round trips",
            Self::Scripts => "script calls",
            Self::Instructions => "instructions",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|count| count.name() == name)
    }
}
