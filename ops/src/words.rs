//! Numbers and times in words, the same in all that operators read.

use std::time::Duration;

/// `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`: at most two units, and none that is 0.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let minutes = seconds / 60;
    let hours = minutes / 60;
    let two = |of: u64, unit: &str, rest: u64, smaller: &str| match rest {
        0 => format!("{of} {unit}"),
        _ => format!("{of} {unit} {rest} {smaller}"),
    };
    match seconds {
        0 if time.as_millis() > 0 => format!("{} ms", time.as_millis()),
        0..60 => format!("{seconds} s"),
        60..3_600 => two(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(hours / 24, "d", hours % 24, "h"),
    }
}

/// As [`span`], of milliseconds.
pub fn span_ms(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

/// `1,234,567`.
pub fn number(number: u64) -> String {
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
pub fn count(of: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(of), if of == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_numbers_are_read_at_a_glance() {
        for (ms, said) in [
            (0, "0 s"),
            (850, "850 ms"),
            (12_340, "12 s"),
            (120_000, "2 min"),
            (185_000, "3 min 5 s"),
            (7_200_000, "2 h"),
            (7_800_000, "2 h 10 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(span_ms(ms), said);
        }
        assert_eq!([7, 999, 1_000, 1_234_567].map(number), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!(count(1, "task", "tasks"), "1 task");
    }
}
