//! What `Retry-After` asks for (RFC 9110, 10.2.3): seconds, or a date. Pure.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The wait in milliseconds. A date is measured against the same answer's `Date`: a plugin's clock may differ from the
/// service's. None when it says nothing that can be used.
pub(super) fn milliseconds(retry_after: &str, date: Option<&str>) -> Option<u64> {
    let retry_after = retry_after.trim();
    let seconds = match retry_after.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => seconds_of(retry_after)?.saturating_sub(seconds_of(date?.trim())?),
    };
    Some(seconds.saturating_mul(1_000))
}

/// Seconds since the year 0 of a date like `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may send today.
fn seconds_of(date: &str) -> Option<u64> {
    let (_day, rest) = date.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = u64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let year: u64 = parts.next()?.parse().ok().filter(|year| (1..=9_999).contains(year))?;
    let mut clock = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let hour = clock.next()??;
    let minute = clock.next()??;
    let second = clock.next()??;
    if parts.next() != Some("GMT") || day > 31 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_seconds_or_until_a_date_by_the_services_clock() {
        assert_eq!(milliseconds("3", None), Some(3_000));
        let now = Some("Wed, 28 Feb 2024 23:59:50 GMT");
        assert_eq!(milliseconds("Thu, 29 Feb 2024 00:00:05 GMT", now), Some(15_000));
        assert_eq!(milliseconds("Fri, 01 Mar 2024 23:59:50 GMT", now), Some(2 * 86_400_000));
        assert_eq!(milliseconds("Mon, 01 Jan 2024 00:00:00 GMT", now), Some(0));
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        for bad in ["", "-1", "soon", "Wed, 28 Feb 2024", "Wed, 28 Foo 2024 00:00:00 GMT"] {
            assert_eq!(milliseconds(bad, Some("Wed, 28 Feb 2024 23:59:50 GMT")), None, "{bad}");
        }
        assert_eq!(milliseconds("Wed, 28 Feb 2024 23:59:50 GMT", None), None);
    }
}
