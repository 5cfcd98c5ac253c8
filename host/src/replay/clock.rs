//! The wall clock of a case: it stands still, so that the same case gives the same answer.

use std::time::Duration;

use wasmtime_wasi::HostWallClock;

pub(super) struct StandingClock {
    pub(super) now: Duration,
}

impl HostWallClock for StandingClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.now
    }
}
