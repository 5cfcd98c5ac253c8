//! When faults were injected.

/// Times in ms since 1970. They explain why a task started again late.
#[derive(Debug, Default)]
pub(super) struct FaultLog {
    /// Workers killed or frozen.
    pub(super) workers_lost: Vec<u64>,
    /// From when until when a Redis was killed or frozen. A forced failover begins and ends at once.
    pub(super) redis_down: Vec<(u64, u64)>,
}
