//! When faults were injected.

/// When what happened, in ms since 1970: what a late restart is judged by.
#[derive(Debug, Default)]
pub(super) struct FaultLog {
    /// Workers killed or frozen.
    pub(super) workers_lost: Vec<u64>,
    /// From when until when a Redis was dead or frozen; a failover that somebody ordered begins and ends at once.
    pub(super) redis_away: Vec<(u64, u64)>,
}
