//! Numbers and times in words.

/// `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let minutes = seconds / 60;
    let hours = minutes / 60;
    match ms {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 if seconds.is_multiple_of(60) => format!("{minutes} min"),
        60_000..3_600_000 => format!("{minutes} min {} s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// `14:02` in UTC.
pub(super) fn clock(ms: u64) -> String {
    let minutes = ms / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// `2026-11-29 14:02:05` in UTC.
pub(super) fn moment(ms: u64) -> String {
    let (year, month, day) = date(ms / 86_400_000);
    format!("{year}-{month:02}-{day:02} {}:{:02}", clock(ms), ms / 1_000 % 60)
}

/// The date of a day since 1970 in the Gregorian calendar, counted from March of a leap cycle of 400 years.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, of_month)
}

/// The moment that a form sends, `2026-11-29T14:02` in UTC, perhaps with seconds; none when it is something else.
pub(super) fn parse_moment(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let numbers = |text: &str, separator: char| {
        let number = |part: &str| {
            let is_plain = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| is_plain)
        };
        text.split(separator).map(number).collect::<Option<Vec<u64>>>()
    };
    let date = numbers(date, '-')?;
    let time = numbers(time, ':')?;
    let [year @ 1970..=9999, month @ 1..=12, day @ 1..=31] = date[..] else { return None };
    let [hour @ 0..24, minute @ 0..60, ref rest @ ..] = time[..] else { return None };
    let second = match *rest {
        [] => 0,
        [second @ 0..60] => second,
        _ => return None,
    };
    Some((((day_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

/// The opposite of [`date`].
fn day_of(year: u64, month: u64, of_month: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let in_era = year % 400;
    let from_march = if month <= 2 { month + 9 } else { month - 3 };
    let of_year = (153 * from_march + 2) / 5 + of_month - 1;
    let of_era = in_era * 365 + in_era / 4 - in_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

/// `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 task`, `2 tasks`.
pub(super) fn count(of: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(of), if of == 1 { one } else { many })
}

/// The first `most` letters, with `…` in place of the rest. Control characters become spaces.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut cut: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_numbers_are_read_at_a_glance() {
        let spans = [0, 850, 12_340, 120_000, 185_000, 7_800_000, 273_600_000].map(span);
        let said = ["0 s", "850 ms", "12 s", "2 min", "3 min 5 s", "2 h 10 min", "3 d 4 h"];
        assert_eq!(spans, said);
        assert_eq!([7, 999, 1_000, 1_234_567].map(number), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!(count(1, "task", "tasks"), "1 task");
        assert_eq!(short("a\nbcd", 3), "a b…");
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_827_696_000), "2000-02-29 12:34:56");
        assert_eq!(moment(1_795_960_800_000), "2026-11-29 14:00:00");
        assert_eq!(clock(1_795_960_800_000 + 125_000), "14:02");
        for at in [0, 951_827_640_000, 951_868_800_000, 1_795_960_920_000, 4_102_444_800_000] {
            assert_eq!(parse_moment(&moment(at).replace(' ', "T")), Some(at), "{at}");
        }
        assert_eq!(parse_moment("2026-11-29T14:02"), Some(1_795_960_920_000));
        for junk in ["", "T", "2026-11-29", "2026-13-01T00:00", "2026-11-29T24:00", "+1-+1-+1T1:1"]
        {
            assert_eq!(parse_moment(junk), None, "{junk}");
        }
    }
}
