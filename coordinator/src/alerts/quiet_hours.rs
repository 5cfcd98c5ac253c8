//! Hours of the day in which only what is urgent is told.

use std::str::FromStr;

use queue::task::now_ms;

const DAY: i64 = 24 * 60;

/// A span of each day, which may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// Minutes after midnight.
    from: i64,
    to: i64,
    /// Minutes east of UTC.
    offset: i64,
}

/// What are no quiet hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write them as 22:00-07:00 (UTC), or 22:00-07:00+02:00")]
pub struct NoHours;

impl QuietHours {
    /// Whether it is one of them.
    pub(super) fn are_now(self) -> bool {
        self.contain(now_ms())
    }

    fn contain(self, ms: u64) -> bool {
        let minutes = i64::try_from(ms / 60_000).unwrap_or_default();
        let minute = (minutes + self.offset).rem_euclid(DAY);
        if self.from <= self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

impl FromStr for QuietHours {
    type Err = NoHours;

    fn from_str(text: &str) -> Result<Self, NoHours> {
        let (from, rest) = text.split_once('-').ok_or(NoHours)?;
        let zone = rest.find(['+', '-']);
        let (to, offset) = match zone {
            None => (rest, 0),
            Some(at) => {
                let (to, zone) = rest.split_at(at);
                let sign = if zone.starts_with('-') { -1 } else { 1 };
                let zone = zone.get(1..).ok_or(NoHours)?;
                (to, sign * minute_of_day(zone)?)
            }
        };
        Ok(Self { from: minute_of_day(from)?, to: minute_of_day(to)?, offset })
    }
}

/// Reads `HH:MM`.
fn minute_of_day(text: &str) -> Result<i64, NoHours> {
    let (hours, minutes) = text.split_once(':').ok_or(NoHours)?;
    let number = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<i64>().ok().filter(|number| digits && *number <= most);
        number.ok_or(NoHours)
    };
    Ok(number(hours, 23)? * 60 + number(minutes, 59)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64, minutes: u64) -> u64 {
        (20_000 * 24 * 60 + hours * 60 + minutes) * 60_000
    }

    #[test]
    fn hours_may_go_over_midnight_and_have_a_zone() {
        let night: QuietHours = "22:00-07:00".parse().unwrap();
        for (hours, minutes, quiet) in
            [(21, 59, false), (22, 0, true), (0, 0, true), (6, 59, true), (7, 0, false)]
        {
            assert_eq!(night.contain(at(hours, minutes)), quiet, "{hours}:{minutes}");
        }
        let noon: QuietHours = "12:00-13:00".parse().unwrap();
        assert!(noon.contain(at(12, 30)) && !noon.contain(at(13, 0)));
        // 22:00 in Berlin's summer is 20:00 UTC.
        let berlin: QuietHours = "22:00-07:00+02:00".parse().unwrap();
        assert!(berlin.contain(at(20, 0)) && !berlin.contain(at(5, 0)));
        let west: QuietHours = "22:00-07:00-03:30".parse().unwrap();
        assert!(west.contain(at(1, 30)) && !west.contain(at(1, 29)));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for junk in ["", "22", "22:00", "22:00-", "24:00-07:00", "22:0-07:00", "22:00-07:60", "x"] {
            assert_eq!(junk.parse::<QuietHours>(), Err(NoHours), "{junk}");
        }
    }
}
