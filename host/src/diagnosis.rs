//! What a plugin's author looks into its runs with: a profile, and a core dump. A worker has neither.

pub(crate) mod core_dump;
pub(crate) mod profile;

use std::time::Duration;

use self::core_dump::CoreDump;
use self::profile::{Profile, SAMPLE_EVERY};
use crate::engine::EPOCH_TICK;

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    pub(crate) profile: Option<Profile>,
    pub(crate) core_dump: Option<CoreDump>,
}

impl Diagnosis {
    /// How often a running guest is interrupted.
    pub(crate) fn tick(&self) -> Duration {
        if self.profile.is_some() { SAMPLE_EVERY } else { EPOCH_TICK }
    }
}
