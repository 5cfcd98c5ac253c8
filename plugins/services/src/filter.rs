//! Conditions in PostgREST's query language (docs.postgrest.org, "Horizontal Filtering"): `eq`, `lt`, `lte`, `gt`,
//! `gte`, `ilike` and the logic of `or=(…)` and `and(…)` with quoted values.

use std::cmp::Ordering;

/// A condition on a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// One of them.
    Or(Vec<Filter>),
    /// A column, an operator and a value.
    Is(String, Operator, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

impl Operator {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "lt" => Self::Less,
            "lte" => Self::LessOrEqual,
            "gt" => Self::Greater,
            "gte" => Self::GreaterOrEqual,
            "ilike" => Self::Like,
            _ => return None,
        })
    }

    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Like => false,
        }
    }
}

impl Filter {
    /// `column=op.value`: the value is all that is left, as it is.
    pub(crate) fn of_column(column: &str, condition: &str) -> Option<Self> {
        let (operator, value) = condition.split_once('.')?;
        Some(Self::Is(column.to_owned(), Operator::parse(operator)?, value.to_owned()))
    }

    /// `(a.lt.1,and(b.eq.2,c.gt."3"))` of an `or`.
    pub(crate) fn any_of(list: &str) -> Option<Self> {
        let mut rest = list;
        let any = Self::list(&mut rest)?;
        rest.is_empty().then_some(Self::Or(any))
    }

    fn list(rest: &mut &str) -> Option<Vec<Self>> {
        *rest = rest.strip_prefix('(')?;
        let mut list = Vec::new();
        loop {
            list.push(Self::one(rest)?);
            if let Some(after) = rest.strip_prefix(',') {
                *rest = after;
            } else {
                *rest = rest.strip_prefix(')')?;
                return Some(list);
            }
        }
    }

    fn one(rest: &mut &str) -> Option<Self> {
        for (word, all) in [("and", true), ("or", false)] {
            if let Some(mut after) = rest.strip_prefix(word).filter(|after| after.starts_with('('))
            {
                let list = Self::list(&mut after)?;
                *rest = after;
                return Some(if all { Self::And(list) } else { Self::Or(list) });
            }
        }
        let (column, after) = rest.split_once('.')?;
        let (operator, after) = after.split_once('.')?;
        *rest = after;
        let value = value(rest)?;
        Some(Self::Is(column.to_owned(), Operator::parse(operator)?, value))
    }

    /// Whether a row fits; `compare` says how a column stands to a value and `text` what it holds.
    pub(crate) fn fits(
        &self,
        compare: &impl Fn(&str, &str) -> Ordering,
        text: &impl Fn(&str) -> String,
    ) -> bool {
        match self {
            Self::And(list) => list.iter().all(|filter| filter.fits(compare, text)),
            Self::Or(list) => list.iter().any(|filter| filter.fits(compare, text)),
            Self::Is(column, Operator::Like, pattern) => like(&text(column), pattern),
            Self::Is(column, operator, value) => operator.holds(compare(column, value)),
        }
    }

    /// Every column with its value.
    pub(crate) fn leaves(&self) -> Vec<(&str, &str)> {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().flat_map(Self::leaves).collect(),
            Self::Is(column, _, value) => vec![(column, value)],
        }
    }
}

/// Up to a comma or parenthesis, or in double quotes with `\` before `"` and `\`.
fn value(rest: &mut &str) -> Option<String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let (plain, after) = rest.split_at(rest.find([',', ')'])?);
        *rest = after;
        return Some(plain.to_owned());
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                *rest = quoted.get(at + 1..)?;
                return Some(value);
            }
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// `ILIKE` with `*` for `%`, as PostgREST rewrites it; `_` is any one letter and `\` takes the next one as it is.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let pattern: Vec<char> = pattern.to_lowercase().replace('*', "%").chars().collect();
    fits(&text, &pattern)
}

fn fits(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => {
            (0..=text.len()).any(|from| text.get(from..).is_some_and(|text| fits(text, rest)))
        }
        ['_', rest @ ..] => text.split_first().is_some_and(|(_, text)| fits(text, rest)),
        ['\\', letter, rest @ ..] | [letter, rest @ ..] => {
            text.split_first().is_some_and(|(first, text)| first == letter && fits(text, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logic_and_quotes_are_read_as_documented() {
        let filter = Filter::any_of(r#"(at.lt.2026,and(at.eq.2026,id.lt."a,b)\"\\"))"#).unwrap();
        assert_eq!(filter.leaves(), [("at", "2026"), ("at", "2026"), ("id", r#"a,b)"\"#)]);
        for bad in ["", "(", "(a.lt.1", "(a.lt.1)x", "(a.near.1)", "(a.lt.\"1)", "a.lt.1"] {
            assert_eq!(Filter::any_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn patterns_are_ilikes() {
        for (text, pattern, fits) in [
            ("Harbour Lights", "*LIGHT*", true),
            ("Harbour Lights", "light*", false),
            ("50% off", "*50\\%*", true),
            ("500 off", "*50\\%*", false),
            ("a*b", "*a_b*", true),
        ] {
            assert_eq!(like(text, pattern), fits, "{text} {pattern}");
        }
    }
}
