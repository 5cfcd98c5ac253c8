//! JSON read piece by piece: what cannot be read costs that piece, never its neighbours. Pure.
//!
//! [`elements`] and [`Members`] cut JSON by brackets and quotes alone, without reading what is in it; [`readable`] is for
//! types that serde reads.
//!
//! One answer of the Bot API holds what a hundred people did. A JSON library reads all of it or nothing: four bytes that
//! are no UTF-8, half an emoji or a number out of range in one person's message cost everybody theirs. Here a list is cut
//! into its elements and an object into its members first, and each piece is read by itself. What cannot be read costs
//! that piece, never its neighbours.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads a list element by element, for serde's `deserialize_with`. One that this version cannot read is left out; what is
/// no list has none.
///
/// # Errors
///
/// When it is no JSON.
pub fn readable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Value::Array(list) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    Ok(list.into_iter().filter_map(|element| serde_json::from_value(element).ok()).collect())
}

/// Reads a value, or takes the default when this version cannot read it, for serde's `deserialize_with`.
///
/// # Errors
///
/// When it is no JSON.
pub fn readable_or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Why a piece cannot be read: a label of metrics, and a word in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unreadable {
    /// Bytes that are no UTF-8.
    Bytes,
    /// No JSON, or not the kind of JSON that it has to be.
    Syntax,
    /// A needed member is missing.
    Missing(&'static str),
    /// A needed member has a value that cannot be used.
    Value(&'static str),
    /// A needed member is there twice.
    Doubled(&'static str),
}

impl Unreadable {
    /// One word of a closed set.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Syntax => "syntax",
            Self::Missing(_) => "missing",
            Self::Value(_) => "value",
            Self::Doubled(_) => "doubled",
        }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes => f.write_str("it holds bytes that are no UTF-8"),
            Self::Syntax => f.write_str("it is not the JSON that was expected"),
            Self::Missing(name) => write!(f, "`{name}` is missing"),
            Self::Value(name) => write!(f, "`{name}` cannot be read"),
            Self::Doubled(name) => write!(f, "`{name}` is there twice"),
        }
    }
}

/// The members of an object. Keys are compared as they are written, values are not read before they are asked for.
#[derive(Debug, Clone)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a [u8])>);

impl<'a> Members<'a> {
    /// Cuts an object.
    ///
    /// # Errors
    ///
    /// [`Unreadable::Syntax`] when it is none.
    pub fn of(json: &'a [u8]) -> Result<Self, Unreadable> {
        let mut scanner = Scanner { rest: json };
        let members = scanner.members().ok_or(Unreadable::Syntax)?;
        scanner.skip_space();
        if scanner.rest.is_empty() { Ok(Self(members)) } else { Err(Unreadable::Syntax) }
    }

    /// Cuts the object that `json` begins with, whatever comes behind it.
    ///
    /// # Errors
    ///
    /// As [`Members::of`].
    pub fn first_of(json: &'a [u8]) -> Result<Self, Unreadable> {
        Scanner { rest: json }.members().map(Self).ok_or(Unreadable::Syntax)
    }

    /// Whether there is a member of that name that is not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, value)| key == name && *value != b"null")
    }

    /// A member as it is written; none when it is not there, or `null`.
    ///
    /// # Errors
    ///
    /// [`Unreadable::Doubled`]: which one counts is not said.
    pub fn get(&self, name: &'static str) -> Result<Option<&'a [u8]>, Unreadable> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| *value);
        let first = found.next();
        if found.next().is_some() {
            return Err(Unreadable::Doubled(name));
        }
        Ok(first.filter(|value| *value != b"null"))
    }

    /// A member that has to be there.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn need<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Unreadable> {
        self.read(name)?.ok_or(Unreadable::Missing(name))
    }

    /// A member that may be missing, and is readable when it is there.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Unreadable> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        match serde_json::from_slice(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) if std::str::from_utf8(value).is_err() => Err(Unreadable::Bytes),
            Err(_) => Err(Unreadable::Value(name)),
        }
    }

    /// A member that can be done without: one that cannot be read is as good as none.
    pub fn may<T: DeserializeOwned>(&self, name: &'static str) -> Option<T> {
        self.read(name).ok().flatten()
    }

    /// The members of a member that has to be an object.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn object(&self, name: &'static str) -> Result<Members<'a>, Unreadable> {
        let value = self.get(name)?.ok_or(Unreadable::Missing(name))?;
        Members::of(value).map_err(|_syntax| Unreadable::Value(name))
    }

    /// The members of a member that can be done without.
    pub fn may_object(&self, name: &'static str) -> Option<Members<'a>> {
        self.object(name).ok()
    }
}

/// The elements of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elements<'a> {
    /// Those that have a beginning and an end; nothing is said about what is in them.
    pub whole: Vec<&'a [u8]>,
    /// What comes last and has no end: the answer was cut off, or a bracket or quote is missing.
    pub cut: Option<&'a [u8]>,
}

/// Cuts a list into its elements. Where its brackets do not match, an element begins wherever `begins` finds one, so that
/// a broken element costs none of those behind it; no element may hold such a place. None when it is no list.
pub fn elements<'a>(
    list: &'a [u8],
    begins: impl Fn(&[u8]) -> Option<usize>,
) -> Option<Elements<'a>> {
    let mut scanner = Scanner { rest: list };
    scanner.skip_space();
    scanner.take(b'[')?;
    let mut elements = Elements::default();
    loop {
        scanner.skip_space();
        match scanner.rest.first() {
            // Behind a broken element the list may seem to end.
            Some(b']') => match begins(scanner.rest) {
                Some(next) => scanner.advance(next),
                None => return Some(elements),
            },
            Some(b',') => {
                scanner.advance(1);
                continue;
            }
            Some(_) => {}
            None => {
                return Some(elements);
            }
        }
        let from_here = scanner.rest;
        // With two quotes too few, an element seems to reach over its neighbours.
        let alone = |element: &[u8]| element.get(1..).is_none_or(|rest| begins(rest).is_none());
        let element = scanner.value().filter(|element| alone(element));
        if let Some(element) = element.filter(|_| scanner.at_a_border()) {
            elements.whole.push(element);
            continue;
        }
        // Not the end of an element: it goes up to where the next begins.
        let Some(next) = begins(from_here.get(1..)?).map(|at| at + 1) else {
            elements.cut = Some(from_here);
            return Some(elements);
        };
        let (broken, rest) = from_here.split_at(next);
        elements.whole.push(broken);
        scanner.rest = rest;
    }
}

/// Deepest nesting; the Bot API has a dozen levels. Deeper is not worth a stack or a minute.
const DEEPEST: usize = 1_000;

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn advance(&mut self, by: usize) {
        self.rest = self.rest.get(by..).unwrap_or_default();
    }

    fn skip_space(&mut self) {
        let space = self.rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.advance(space);
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        self.rest.first().filter(|byte| **byte == expected)?;
        self.advance(1);
        Some(())
    }

    /// Whether a value can end here, inside a list.
    fn at_a_border(&self) -> bool {
        let next = self.rest.iter().find(|byte| !byte.is_ascii_whitespace());
        matches!(next, None | Some(b',' | b']'))
    }

    fn members(&mut self) -> Option<Vec<(Cow<'a, str>, &'a [u8])>> {
        self.skip_space();
        self.take(b'{')?;
        let mut members = Vec::new();
        let mut first = true;
        loop {
            self.skip_space();
            if self.take(b'}').is_some() {
                return Some(members);
            }
            if !std::mem::replace(&mut first, false) {
                self.take(b',')?;
                self.skip_space();
            }
            let key = self.string()?;
            self.skip_space();
            self.take(b':')?;
            let value = self.value()?;
            // A key that is no text is nobody's.
            if let Some(key) = key_text(key) {
                members.push((key, value));
            }
        }
    }

    /// One value, up to its last byte.
    fn value(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let whole = self.rest;
        let mut open: Vec<u8> = Vec::new();
        loop {
            match *self.rest.first()? {
                b'"' => {
                    self.string()?;
                }
                bracket @ (b'{' | b'[') => {
                    if open.len() == DEEPEST {
                        return None;
                    }
                    open.push(if bracket == b'{' { b'}' } else { b']' });
                    self.advance(1);
                }
                bracket @ (b'}' | b']') => {
                    if open.pop() != Some(bracket) {
                        return None;
                    }
                    self.advance(1);
                }
                _ if open.is_empty() => {
                    // A number or a word.
                    let plain =
                        |byte: &&u8| !b",:]}[{\"".contains(byte) && !byte.is_ascii_whitespace();
                    let length = self.rest.iter().take_while(plain).count();
                    if length == 0 {
                        return None;
                    }
                    self.advance(length);
                }
                _ => self.advance(1),
            }
            if open.is_empty() {
                let length = whole.len() - self.rest.len();
                return whole.get(..length);
            }
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let whole = self.rest;
        self.take(b'"')?;
        loop {
            match *self.rest.first()? {
                b'"' => {
                    self.advance(1);
                    return whole.get(..whole.len() - self.rest.len());
                }
                b'\\' => self.advance(2),
                _ => self.advance(1),
            }
        }
    }
}

fn key_text(quoted: &[u8]) -> Option<Cow<'_, str>> {
    if quoted.contains(&b'\\') {
        return serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned);
    }
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begins(bytes: &[u8]) -> Option<usize> {
        bytes.windows(4).position(|four| four == b"{\"a\"")
    }

    #[track_caller]
    fn check(list: &str, whole: &[&str], cut: Option<&str>) {
        let found = elements(list.as_bytes(), begins).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found_whole: Vec<String> = found.whole.iter().map(|bytes| text(bytes)).collect();
        assert_eq!(
            (found_whole, found.cut.map(text)),
            (whole.iter().map(|&one| one.to_owned()).collect(), cut.map(str::to_owned),),
            "{list}"
        );
    }

    #[test]
    fn a_list_is_cut_into_its_elements() {
        check("[]", &[], None);
        check(r#" [ {"a":1} , {"a":[2,"]}"]} ]"#, &[r#"{"a":1}"#, r#"{"a":[2,"]}"]}"#], None);
        check(r#"[{"a":"\"}"},7,"x"]"#, &[r#"{"a":"\"}"}"#, "7", r#""x""#], None);
    }

    #[test]
    fn a_broken_element_costs_none_of_its_neighbours() {
        check(r#"[{"a":1},{"a":[2},{"a":3}]"#, &[r#"{"a":1}"#, r#"{"a":[2},"#, r#"{"a":3}"#], None);
        check(
            r#"[{"a":1},{"a":"no end},{"a":3}]"#,
            &[r#"{"a":1}"#, r#"{"a":"no end},"#, r#"{"a":3}"#],
            None,
        );
        check(
            r#"[{"a":"no end},{"a":2},{"a":"no end},{"a":4}]"#,
            &[r#"{"a":"no end},"#, r#"{"a":2}"#, r#"{"a":"no end},"#, r#"{"a":4}"#],
            None,
        );
        check(r#"[{"a":1}},{"a":3}]"#, &[r#"{"a":1}},"#, r#"{"a":3}"#], None);
    }

    #[test]
    fn what_was_cut_off_is_told_from_what_is_whole() {
        check(r#"[{"a":1},{"a":"#, &[r#"{"a":1}"#], Some(r#"{"a":"#));
        check(r#"[{"a":1},"#, &[r#"{"a":1}"#], None);
        assert_eq!(elements(b"{}", begins), None);
    }

    #[test]
    fn members_are_read_one_by_one() {
        let json = b"{\"a\":1,\"b\":\"\xff\",\"c\":\"\\ud83d\",\"d\":1,\"d\":2,\"e\":1e999,\"f\":null,\"\\u0067\":7}";
        let members = Members::of(json).unwrap();
        assert_eq!(members.need::<i64>("a"), Ok(1));
        assert_eq!(members.need::<String>("b"), Err(Unreadable::Bytes));
        assert_eq!(members.need::<String>("c"), Err(Unreadable::Value("c")));
        assert_eq!(members.need::<i64>("d"), Err(Unreadable::Doubled("d")));
        assert_eq!(members.need::<i64>("e"), Err(Unreadable::Value("e")));
        assert_eq!(members.read::<i64>("f"), Ok(None));
        assert_eq!(members.need::<i64>("h"), Err(Unreadable::Missing("h")));
        assert_eq!(members.need::<i64>("g"), Ok(7), "an escaped key is the same key");
        assert_eq!(members.may::<String>("b"), None);
        assert!(members.has("a") && !members.has("f"), "`null` is as good as missing");
        // A key that is no text is nobody's, and what comes behind an object is not part of it.
        let odd = Members::of(b"{\"\xff\":1,\"\\ud83d\":1,\"a\":7}").unwrap();
        assert_eq!(odd.need::<i64>("a"), Ok(7));
        assert_eq!(Members::of(br#"{"a":1}}"#).unwrap_err(), Unreadable::Syntax);
        assert!(Members::first_of(br#"{"a":1}}"#).unwrap().has("a"));
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(Members::of(format!("{{\"a\":{deep}}}").as_bytes()).is_err());
        let deep = format!("{}{}", "[".repeat(900), "]".repeat(900));
        assert!(Members::of(format!("{{\"a\":{deep}}}").as_bytes()).unwrap().has("a"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Members::of(&bytes);
            let _ = elements(&bytes, begins);
        }

        /// Whatever one element holds, those around it are found.
        #[test]
        fn neighbours_are_found(inside in proptest::collection::vec(
            prop_oneof![Just(b'{'), Just(b'}'), Just(b'"'), Just(b'['), Just(b']'), Just(b','), Just(b'\\'), any::<u8>()],
            0..40,
        )) {
            let list = [b"[{\"a\":1},{\"a\":".as_slice(), &inside, b"},{\"a\":3}]"].concat();
            let found = elements(&list, begins).unwrap();
            prop_assert_eq!(found.whole.first().copied(), Some(b"{\"a\":1}".as_slice()));
            prop_assert!(found.whole.contains(&b"{\"a\":3}".as_slice()), "{:?}", found);
        }
    }
}
