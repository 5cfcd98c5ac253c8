//! JSON that is read piece by piece, so that an unreadable piece does not affect its neighbours. Pure.
//!
//! [`elements`] and [`Members`] split JSON by brackets and quotes alone, without reading the pieces. [`readable`] is for types
//! that serde reads.
//!
//! One response of the Bot API holds the messages of a hundred people. A JSON library reads all of it or nothing: a few bytes
//! that are not UTF-8, half an emoji or a number out of range in one message would lose all of them. So a list is split into
//! its elements and an object into its members first, and each piece is read by itself.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads a list element by element, for serde's `deserialize_with`. An element that this version cannot read is left out. A
/// value that is not a list gives an empty one.
///
/// # Errors
///
/// The input is not JSON.
pub fn readable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Value::Array(list) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    Ok(list.into_iter().filter_map(|element| serde_json::from_value(element).ok()).collect())
}

/// Reads a value, or returns the default when this version cannot read it, for serde's `deserialize_with`.
///
/// # Errors
///
/// The input is not JSON.
pub fn readable_or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Why a piece cannot be read. A label of metrics, and a field in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unreadable {
    /// It is not UTF-8.
    Bytes,
    /// It is not JSON, or another kind of JSON than expected.
    Syntax,
    /// A required member is missing.
    Missing(&'static str),
    /// A required member has an invalid value.
    Value(&'static str),
    /// A required member occurs twice.
    Doubled(&'static str),
}

impl Unreadable {
    /// The variant as one word.
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
            Self::Bytes => f.write_str("it contains bytes that are not UTF-8"),
            Self::Syntax => f.write_str("it is not the JSON that was expected"),
            Self::Missing(name) => write!(f, "`{name}` is missing"),
            Self::Value(name) => write!(f, "`{name}` cannot be read"),
            Self::Doubled(name) => write!(f, "`{name}` occurs twice"),
        }
    }
}

/// The members of an object. A value is read only when it is requested.
#[derive(Debug, Clone)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a [u8])>);

impl<'a> Members<'a> {
    /// Splits an object.
    ///
    /// # Errors
    ///
    /// [`Unreadable::Syntax`]: it is not an object.
    pub fn of(json: &'a [u8]) -> Result<Self, Unreadable> {
        let mut scanner = Scanner { rest: json };
        let members = scanner.members().ok_or(Unreadable::Syntax)?;
        scanner.skip_space();
        if scanner.rest.is_empty() { Ok(Self(members)) } else { Err(Unreadable::Syntax) }
    }

    /// Splits the object at the beginning of `json`, and ignores the data after it.
    ///
    /// # Errors
    ///
    /// As [`Members::of`].
    pub fn first_of(json: &'a [u8]) -> Result<Self, Unreadable> {
        Scanner { rest: json }.members().map(Self).ok_or(Unreadable::Syntax)
    }

    /// Whether there is a member `name` that is not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, value)| key == name && *value != b"null")
    }

    /// The text of a member; none when it is missing or `null`.
    ///
    /// # Errors
    ///
    /// [`Unreadable::Doubled`], because it is unknown which one counts.
    pub fn get(&self, name: &'static str) -> Result<Option<&'a [u8]>, Unreadable> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| *value);
        let first = found.next();
        if found.next().is_some() {
            return Err(Unreadable::Doubled(name));
        }
        Ok(first.filter(|value| *value != b"null"))
    }

    /// Reads a required member.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: the fault of the member.
    pub fn need<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Unreadable> {
        self.read(name)?.ok_or(Unreadable::Missing(name))
    }

    /// Reads an optional member.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: the member is present and has a fault.
    pub fn read<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Unreadable> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        match serde_json::from_slice(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) if std::str::from_utf8(value).is_err() => Err(Unreadable::Bytes),
            Err(_) => Err(Unreadable::Value(name)),
        }
    }

    /// Reads an optional member; none also when it cannot be read.
    pub fn may<T: DeserializeOwned>(&self, name: &'static str) -> Option<T> {
        self.read(name).ok().flatten()
    }

    /// Splits a required member that is an object.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: the fault of the member.
    pub fn object(&self, name: &'static str) -> Result<Members<'a>, Unreadable> {
        let value = self.get(name)?.ok_or(Unreadable::Missing(name))?;
        Members::of(value).map_err(|_syntax| Unreadable::Value(name))
    }

    /// Splits an optional member that is an object; none also when it cannot be read.
    pub fn may_object(&self, name: &'static str) -> Option<Members<'a>> {
        self.object(name).ok()
    }
}

/// The elements of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elements<'a> {
    /// Elements that have an end. Their content is unchecked.
    pub whole: Vec<&'a [u8]>,
    /// The last element if it has no end: the list was cut off, or a bracket or quote is missing.
    pub cut: Option<&'a [u8]>,
}

/// Splits a list into its elements; none when it is not a list.
///
/// `begins` finds the beginning of the next element in bytes. It is used where brackets do not match, so that a broken element
/// does not affect those after it. An element must not contain such a beginning inside.
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
            // After a broken element the list may seem to end.
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
        // If two quotes are missing, an element seems to contain its neighbours.
        let alone = |element: &[u8]| element.get(1..).is_none_or(|rest| begins(rest).is_none());
        let element = scanner.value().filter(|element| alone(element));
        if let Some(element) = element.filter(|_| scanner.at_element_end()) {
            elements.whole.push(element);
            continue;
        }
        // The element has no end: it reaches to the beginning of the next.
        let Some(next) = begins(from_here.get(1..)?).map(|at| at + 1) else {
            elements.cut = Some(from_here);
            return Some(elements);
        };
        let (broken, rest) = from_here.split_at(next);
        elements.whole.push(broken);
        scanner.rest = rest;
    }
}

/// Deepest nesting. The Bot API has a dozen levels.
const MAX_DEPTH: usize = 1_000;

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

    /// Whether an element can end here.
    fn at_element_end(&self) -> bool {
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
            // A key that is not valid text is skipped.
            if let Some(key) = key_text(key) {
                members.push((key, value));
            }
        }
    }

    /// One value, without the data after it.
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
                    if open.len() == MAX_DEPTH {
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
                    // A number, `true`, `false` or `null`.
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
mod tests;
