//! Whether a program printed what the page shows.

use super::step::Line;

/// Stands for any text, on the page.
const ANY: char = '…';
/// Stands for a number with its unit, when two lines are compared.
const NUMBER: char = '#';
/// Units of times and sizes. One run takes seconds where another one takes milliseconds.
const UNITS: &[&str] = &["µs", "ms", "s", "min", "bytes", "KiB", "MiB"];

/// Looks for the page's lines, in their order, in what was printed. Returns how many lines of that have been used, or the first
/// line of the page that is missing.
pub(super) fn find<'a>(expected: &'a [Line], printed: &[&str]) -> Result<usize, &'a Line> {
    let mut used = 0;
    for line in expected.iter().filter(|line| !line.text.trim().is_empty()) {
        let rest = printed.get(used..).unwrap_or_default();
        let found = rest.iter().position(|printed| fits(&line.text, printed)).ok_or(line)?;
        used += found + 1;
    }
    Ok(used)
}

fn fits(expected: &str, printed: &str) -> bool {
    let expected = without_numbers(expected.trim_end());
    let printed = without_numbers(printed.trim_end());
    let mut parts = expected.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// Puts `#` in place of each number, also one like `0.1.0` or `1,088`, and of its unit.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|sign: char| sign.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        plain.push_str(before);
        plain.push(NUMBER);
        rest = without_unit(behind_number(number));
    }
    plain.push_str(rest);
    plain
}

fn behind_number(text: &str) -> &str {
    let is_part = |sign: char| sign.is_ascii_digit() || matches!(sign, '.' | ',');
    let number = text.trim_start_matches(is_part);
    // A full stop at the end of a sentence is not part of it.
    let length = text.len() - number.len();
    let kept = text.get(..length).unwrap_or_default().trim_end_matches(['.', ',']).len();
    text.get(kept..).unwrap_or_default()
}

fn without_unit(text: &str) -> &str {
    let word = text.strip_prefix(' ').unwrap_or(text);
    let unit = UNITS.iter().filter_map(|unit| word.strip_prefix(unit));
    let mut whole = unit.filter(|behind| !behind.starts_with(char::is_alphanumeric));
    whole.next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: &str, printed: &str, is_right: bool) {
        assert_eq!(fits(expected, printed), is_right, "{expected} / {printed}");
    }

    #[test]
    fn numbers_and_units_are_not_compared_and_words_are() {
        check("loaded: tide 0.1.0 in 240 ms", "loaded: tide 0.2.0 in 1 s", true);
        check("answered in 3 ms, 1088 KiB of memory", "answered in 12 ms, 2 MiB of memory", true);
        check("built in 1.2 s", "built in 12.0 min", true);
        check("2 passed, 0 failed", "2 passed, 0 filed", false);
        check("port 80", "port 8080 is taken", false);
        check("3 seconds", "3 s", false);
        check("at 10.", "at 9.5.", true);
    }

    #[test]
    fn an_ellipsis_stands_for_any_text() {
        check("**Tide** chooses **…**.", "**Tide** chooses **tea**.", true);
        check("**Tide** chooses **…**.", "**Tide** chooses **tea**", false);
        check("…{tide}…  plugin-failed…", "1-0  {tide}01a2-7c  plugin-failed, 1 failures", true);
        check("a…a", "a", false);
        check("…", "", true);
    }

    #[test]
    fn lines_are_found_in_their_order_whatever_is_between() {
        let lines = |texts: &[&str]| -> Vec<Line> {
            let line = |(number, text): (usize, &&str)| Line { number, text: (*text).to_owned() };
            texts.iter().enumerate().map(line).collect()
        };
        let printed = ["one", "noise", "two", "three"];
        assert_eq!(find(&lines(&["one", "", "two"]), &printed), Ok(3));
        let wrong = lines(&["two", "one"]);
        assert_eq!(find(&wrong, &printed).unwrap_err().number, 1);
    }
}
