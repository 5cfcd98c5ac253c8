//! Numbers and times in words.

use chrono::{DateTime, NaiveDateTime};

pub(super) use ops::words::{count, number, span_ms as span};

/// `14:02` in UTC.
pub(super) fn clock(ms: u64) -> String {
    formatted(ms, "%H:%M")
}

/// `2026-11-29 14:02:05` in UTC.
pub(super) fn moment(ms: u64) -> String {
    formatted(ms, "%Y-%m-%d %H:%M:%S")
}

/// A time after the last year of the calendar is shown as `–`.
fn formatted(ms: u64, format: &str) -> String {
    let at = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
    at.map_or_else(|| "–".to_owned(), |at| at.format(format).to_string())
}

/// The moment that a form sends, `2026-11-29T14:02` in UTC, perhaps with seconds; none when it is something else.
pub(super) fn parse_moment(text: &str) -> Option<u64> {
    let parse = |format| NaiveDateTime::parse_from_str(text, format);
    let at = parse("%Y-%m-%dT%H:%M").or_else(|_| parse("%Y-%m-%dT%H:%M:%S")).ok()?;
    u64::try_from(at.and_utc().timestamp_millis()).ok()
}

/// `512 B`, `312 MiB`, `3.8 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mebibytes = bytes >> 20;
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{mebibytes} MiB"),
        _ => format!("{}.{} GiB", mebibytes >> 10, (mebibytes % 1_024) * 10 / 1_024),
    }
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
    fn a_long_text_is_cut_and_stays_on_one_line() {
        assert_eq!(short("a\nbcd", 3), "a b…");
    }

    #[test]
    fn sizes_have_a_unit() {
        let sizes = [0, 1_536, 327_155_712, 4_080_218_931].map(bytes);
        assert_eq!(sizes, ["0 B", "1 KiB", "312 MiB", "3.7 GiB"]);
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
        let no_day = "2026-02-30T00:00";
        for junk in
            ["", "T", "2026-11-29", "2026-13-01T00:00", "2026-11-29T24:00", "+1-+1-+1T1:1", no_day]
        {
            assert_eq!(parse_moment(junk), None, "{junk}");
        }
    }
}
