//! Figures for people: medians, ranges, and as many digits as mean something.

/// Several measurements of the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Spread {
    /// None without measurements.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let median = values.get(values.len() / 2)?;
        Some(Self { least: *values.first()?, median: *median, most: *values.last()? })
    }

    /// `200 (100–300)`, or the number alone when it was measured once.
    pub(super) fn with_range(self) -> String {
        let [least, median, most] = [self.least, self.median, self.most].map(rounded);
        if least == most { median } else { format!("{median} ({least}–{most})") }
    }
}

/// Three digits, or whole thousands with a comma: `0.034`, `7.31`, `120`, `14,300`.
pub(super) fn rounded(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    match number.abs() {
        0.0..0.1 => format!("{number:.3}"),
        0.1..10.0 => {
            let text = format!("{number:.2}");
            text.strip_suffix('0').map_or(text.clone(), str::to_owned)
        }
        10.0..1_000.0 => format!("{number:.0}"),
        1_000.0.. => {
            let hundreds = (number / 100.0).round() * 100.0;
            let digits = format!("{hundreds:.0}");
            let mut text = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        for (number, expected) in [
            (0.0, "0"),
            (0.0342, "0.034"),
            (1.0, "1.0"),
            (7.312, "7.31"),
            (76.4, "76"),
            (14_346.0, "14,300"),
            (1_000_000.0, "1,000,000"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(rounded(number), expected);
        }
    }

    #[test]
    fn a_spread_shows_its_range() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!(spread.with_range(), "2.0 (1.0–3.0)");
        assert_eq!(Spread::of(vec![2.0]).unwrap().with_range(), "2.0");
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
