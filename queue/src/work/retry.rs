//! The delay before a retry. Pure: the caller passes the jitter.

use std::time::Duration;

use crate::config::RetryPolicy;

/// The delay before the next attempt; none when there is no next one.
///
/// `failures` includes the current one. `at_least` is the plugin's own minimum. `jitter_percent` is a random number in
/// `0..=25` by which the delay is lengthened. Whether the delay ends before the deadline is decided by `finish.lua`, on
/// Redis' clock.
pub fn retry_delay(
    policy: &RetryPolicy,
    failures: u32,
    at_least: Option<Duration>,
    jitter_percent: u32,
) -> Option<Duration> {
    if policy.max_failures <= failures {
        return None;
    }
    let doublings = failures.saturating_sub(1).min(16);
    let backoff = policy.first.saturating_mul(1 << doublings).min(policy.longest);
    let base = backoff.max(at_least.unwrap_or_default());
    Some(base.saturating_add((base / 100).saturating_mul(jitter_percent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, at_least_ms: Option<u64>, jitter: u32, expected_ms: Option<u64>) {
        let delay = retry_delay(
            &RetryPolicy::default(),
            failures,
            at_least_ms.map(Duration::from_millis),
            jitter,
        );
        assert_eq!(delay, expected_ms.map(Duration::from_millis));
    }

    #[test]
    fn each_failure_doubles_the_wait() {
        check(1, None, 0, Some(500));
        check(2, None, 0, Some(1_000));
        check(3, None, 0, Some(2_000));
    }

    #[test]
    fn the_last_failure_is_final() {
        check(4, None, 0, None);
        check(u32::MAX, None, 0, None);
    }

    #[test]
    fn a_plugin_may_ask_for_a_longer_wait_but_not_a_shorter_one() {
        check(1, Some(7_000), 0, Some(7_000));
        check(2, Some(1), 0, Some(1_000));
    }

    #[test]
    fn jitter_only_lengthens() {
        check(2, None, 25, Some(1_250));
    }
}
