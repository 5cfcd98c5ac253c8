//! How many tasks of a type may start in a time.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;
/// A thousand a second.
const MOST_PER_HOUR: u64 = 3_600_000;

/// A rate of task starts: `30/min`, `2/s` or `100/h`. Of what came together while nothing ran, the tasks of one second start at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_hour: u64,
}

impl Rate {
    /// The time between two starts of one of so many lanes that share the rate, in ms.
    pub(super) fn interval_ms(self, lanes: usize) -> f64 {
        HOUR_MS * lanes as f64 / self.per_hour as f64
    }

    /// The rate of lanes with these times between two starts; none of no lanes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what is allowed"
    )]
    pub(super) fn of_intervals(intervals_ms: impl IntoIterator<Item = f64>) -> Option<Self> {
        let per_hour: f64 = intervals_ms
            .into_iter()
            .filter(|interval| *interval > 0.0)
            .map(|interval| HOUR_MS / interval)
            .sum();
        let per_hour = per_hour.round().min(MOST_PER_HOUR as f64);
        (per_hour >= 1.0).then_some(Self { per_hour: per_hour as u64 })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (per, unit) in [(3_600, "s"), (60, "min")] {
            if self.per_hour.is_multiple_of(per) {
                return write!(f, "{}/{unit}", self.per_hour / per);
            }
        }
        write!(f, "{}/h", self.per_hour)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write it as 2/s, 30/min or 100/h; at most 1000/s")]
pub struct NoRate;

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let (count, unit) = text.split_once('/').ok_or(NoRate)?;
        let per = match unit {
            "s" => 3_600,
            "min" => 60,
            "h" => 1,
            _ => return Err(NoRate),
        };
        let per_hour = count.parse::<u64>().ok().and_then(|count| count.checked_mul(per));
        let per_hour = per_hour.filter(|count| (1..=MOST_PER_HOUR).contains(count));
        Ok(Self { per_hour: per_hour.ok_or(NoRate)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_written_in_its_largest_unit() {
        for (text, written) in
            [("2/s", "2/s"), ("120/min", "2/s"), ("90/min", "90/min"), ("7/h", "7/h")]
        {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), written);
        }
        for junk in ["", "5", "0/s", "-1/s", "1/d", "1001/s", "1.5/s", "9999999999999999999/s"] {
            assert_eq!(junk.parse::<Rate>(), Err(NoRate), "{junk}");
        }
    }

    #[test]
    fn lanes_share_a_rate() {
        let rate: Rate = "30/min".parse().unwrap();
        assert_eq!(rate.interval_ms(4), 8_000.0);
        assert_eq!(Rate::of_intervals([8_000.0; 4]), Some(rate));
        assert_eq!(Rate::of_intervals([0.0, f64::NAN]), None);
        assert_eq!(Rate::of_intervals([]), None);
    }
}
