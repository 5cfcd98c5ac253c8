//! Days and moments as text, in the one form that both sources use. Pure.

/// Whether a text is a day that exists, in the form `YYYY-MM-DD`.
pub fn is_date(text: &str) -> bool {
    parts(text).is_some()
}

/// Whether a text is a day, or a moment of one as PostgREST writes it: `2026-01-02T03:04:05.678+00:00`.
pub fn is_moment(text: &str) -> bool {
    let Some((day, time)) = text.split_at_checked(10) else { return false };
    let of_time = |byte: u8| byte.is_ascii_digit() || b"T:.+-Z".contains(&byte);
    is_date(day)
        && text.len() <= 40
        && (time.is_empty() || time.starts_with('T'))
        && time.bytes().all(of_time)
}

/// The day after; none at the end of the calendar.
pub fn next_day(day: &str) -> Option<String> {
    let (year, month, number) = parts(day)?;
    let (year, month, number) = if number < days_of(year, month) {
        (year, month, number + 1)
    } else if month < 12 {
        (year, month + 1, 1)
    } else {
        (year + 1, 1, 1)
    };
    (year <= 9_999).then(|| format!("{year:04}-{month:02}-{number:02}"))
}

fn parts(text: &str) -> Option<(u32, u32, u32)> {
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
            .flatten()
    };
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let year = number(year, 4)?;
    let month = number(month, 2)?;
    let day = number(day, 2)?;
    let real = year >= 1 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    real.then_some((year, month, day))
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_form_and_exists() {
        assert!(is_date("2026-02-28") && is_date("2024-02-29"));
        for bad in [
            "2026-2-28",
            "26-02-28",
            "2026-00-01",
            "2026-01-32",
            "2026-01",
            "",
            "2026-01-01-01",
            "2026-02-29",
            "2026-04-31",
            "0000-01-01",
            "2026-01-+1",
            "1900-02-29",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_a_day_with_or_without_a_time() {
        for good in ["2026-01-02", "2026-01-02T03:04:05.123456+00:00", "2026-01-02T03:04:05Z"] {
            assert!(is_moment(good), "{good}");
        }
        for bad in ["2026-01-02 03:04", "2026-01-02,", "2026-01-021", "infinity", "2026-01-02Té"] {
            assert!(!is_moment(bad), "{bad}");
        }
    }

    #[test]
    fn the_next_day_goes_over_months_and_years() {
        let next = |day| next_day(day).unwrap();
        assert_eq!(next("2026-01-31"), "2026-02-01");
        assert_eq!(next("2024-02-28"), "2024-02-29");
        assert_eq!(next("2026-12-31"), "2027-01-01");
        assert_eq!(next_day("9999-12-31"), None);
    }
}
