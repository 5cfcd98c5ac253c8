//! Limits how often a wrong token may be tried.
//!
//! Counted for each address, so that one who guesses does not lock others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens of one address within [`WINDOW`]. A person who mistypes needs fewer.
pub(super) const MAX_WRONG: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are counted at the same time; with more, the oldest is forgotten.
const MAX_ADDRESSES: usize = 4_096;

#[derive(Debug)]
struct Count {
    wrong: u32,
    since: Instant,
}

/// The wrong tokens of the last minute.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    counts: Mutex<HashMap<Option<IpAddr>, Count>>,
}

impl Attempts {
    /// Whether this address may try now. If it may not: for how long, in seconds.
    pub(super) fn may_try(&self, from: Option<IpAddr>, now: Instant) -> Result<(), u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get(&network(from)) else { return Ok(()) };
        let over = count.since + WINDOW;
        if now >= over || count.wrong < MAX_WRONG {
            return Ok(());
        }
        Err((over - now).as_secs() + 1)
    }

    /// Counts a wrong token.
    pub(super) fn wrong(&self, from: Option<IpAddr>, now: Instant) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ADDRESSES {
            counts.retain(|_, count| now < count.since + WINDOW);
        }
        if counts.len() >= MAX_ADDRESSES {
            let oldest = counts.iter().min_by_key(|(_, count)| count.since).map(|(from, _)| *from);
            oldest.and_then(|oldest| counts.remove(&oldest));
        }
        let count = counts.entry(network(from)).or_insert(Count { wrong: 0, since: now });
        if now >= count.since + WINDOW {
            *count = Count { wrong: 0, since: now };
        }
        count.wrong += 1;
    }
}

/// One person may have all IPv6 addresses with the same first 64 bits.
fn network(from: Option<IpAddr>) -> Option<IpAddr> {
    match from {
        Some(IpAddr::V6(address)) => {
            let first = u128::from(address) & !u128::from(u64::MAX);
            Some(IpAddr::V6(Ipv6Addr::from(first)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_must_wait_and_others_need_not() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let address = |text: &str| Some(text.parse().unwrap());
        for _ in 0..MAX_WRONG {
            assert_eq!(attempts.may_try(address("2001:db8::1"), now), Ok(()));
            attempts.wrong(address("2001:db8::1"), now);
        }
        assert_eq!(attempts.may_try(address("2001:db8::2"), now), Err(61), "the same network");
        assert_eq!(attempts.may_try(address("2001:db8:1::1"), now), Ok(()));
        assert_eq!(attempts.may_try(address("10.0.0.1"), now), Ok(()));
        let later = now + WINDOW;
        assert_eq!(attempts.may_try(address("2001:db8::1"), later), Ok(()));
        attempts.wrong(address("2001:db8::1"), later);
        assert_eq!(attempts.may_try(address("2001:db8::1"), later), Ok(()), "counted anew");
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() + 5 {
            attempts.wrong(Some(IpAddr::V4(number.into())), now);
        }
        assert_eq!(attempts.counts.lock().unwrap().len(), MAX_ADDRESSES);
    }
}
