//! A change of a file, as a `diff` block shows it: a few lines around each place, `-` for a line that goes, `+` for a new one,
//! and `@@` between two places.

use anyhow::{bail, ensure};

/// Places that change, in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change(Vec<Place>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    old: String,
    new: String,
}

impl Change {
    pub(super) fn parse(block: &str) -> anyhow::Result<Self> {
        let mut places = vec![Place::default()];
        for line in block.lines() {
            if line.starts_with("@@") {
                places.push(Place::default());
                continue;
            }
            let Some(place) = places.last_mut() else { continue };
            let (mark, text) = line.split_at_checked(1).unwrap_or((" ", ""));
            let is_old = matches!(mark, " " | "-");
            let is_new = matches!(mark, " " | "+");
            ensure!(is_old || is_new, "a line of a change begins with ` `, `-` or `+`: {line}");
            for (is_part, part) in [(is_old, &mut place.old), (is_new, &mut place.new)] {
                if is_part {
                    part.push_str(text);
                    part.push('\n');
                }
            }
        }
        for place in &places {
            ensure!(
                !place.old.is_empty(),
                "a place of a change needs a line that is there already"
            );
            ensure!(place.old != place.new, "a place of a change has neither `-` nor `+`");
        }
        Ok(Self(places))
    }

    /// The text with the change.
    pub(super) fn apply(&self, text: &str) -> anyhow::Result<String> {
        let mut changed = text.to_owned();
        for Place { old, new } in &self.0 {
            // Whole lines: the first one has no line break before it.
            let at = format!("\n{changed}").match_indices(&format!("\n{old}")).count();
            match at {
                0 => bail!("the file has no such lines:\n{old}"),
                1 => changed = changed.replacen(old, new, 1),
                _ => bail!(
                    "the file has these lines {at} times; show more of what is around:\n{old}"
                ),
            }
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(block: &str, expected: Result<&str, &str>) {
        let changed = Change::parse(block).and_then(|change| change.apply("a\nb\n\nb\nab\nc\n"));
        match (changed, expected) {
            (Ok(changed), Ok(expected)) => assert_eq!(changed, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (changed, expected) => panic!("{changed:?}, not {expected:?}"),
        }
    }

    #[test]
    fn lines_are_replaced_and_added_where_they_are_found_once() {
        check(" a\n-b\n+B\n+x\n@@\n-c\n+C\n", Ok("a\nB\nx\n\nb\nab\nC\n"));
        check(" b\n \n-b\n", Ok("a\nb\n\nab\nc\n"));
        check("-d\n+D\n", Err("no such lines"));
        check("-b\n+B\n", Err("2 times"));
        check("+new\n", Err("needs a line that is there"));
        check(" a\n", Err("neither"));
        check("a\n", Err("begins with"));
    }
}
