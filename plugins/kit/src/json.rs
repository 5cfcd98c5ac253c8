//! JSON from other services, read field by field, so that one unreadable part does not make the rest unreadable.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A body as text that can be parsed. Bytes that are not UTF-8 and unpaired surrogates (`\ud83d`) become `U+FFFD`, and
/// control characters become a space: each of these would make the whole body unreadable.
pub fn readable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}');
    let text = text.replace(|letter: char| letter.is_ascii_control(), " ");
    if text.contains("\\ud") || text.contains("\\uD") { without_halves(&text) } else { text }
}

/// Replaces the escapes of unpaired surrogates (RFC 8259, section 7).
fn without_halves(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        whole.push_str(before);
        let length =
            match (half(escape), escape.get(5..).and_then(|next| half(next.strip_prefix('\\')?))) {
                (Some(Half::First), Some(Half::Second)) => {
                    whole.push('\\');
                    whole.push_str(escape.get(..11).unwrap_or_default());
                    11
                }
                (Some(_), _) => {
                    whole.push_str("\\ufffd");
                    5
                }
                (None, _) => {
                    // A backslash that is itself escaped begins no other escape.
                    whole.push('\\');
                    let length = escape.chars().next().map_or(0, char::len_utf8);
                    whole.push_str(escape.get(..length).unwrap_or_default());
                    length
                }
            };
        rest = escape.get(length..).unwrap_or_default();
    }
    whole.push_str(rest);
    whole
}

enum Half {
    First,
    Second,
}

/// Which surrogate `uXXXX` is.
fn half(escape: &str) -> Option<Half> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    match u32::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::First),
        0xdc00..=0xdfff => Some(Half::Second),
        _ => None,
    }
}

/// An object whose fields are read one by one. When a name occurs twice, the last one counts.
#[derive(Debug)]
pub struct Object<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Object<'a> {
    /// Finds the fields in a text.
    ///
    /// # Errors
    ///
    /// When it is no object, or no JSON at all.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Self)
    }

    /// A field; none when it is missing, null or of another type.
    pub fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// A field as text. A number keeps its spelling.
    pub fn text(&self, name: &str) -> Option<String> {
        let number =
            |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
        let written =
            || self.0.get(name).map(|value| value.get()).filter(number).map(str::to_owned);
        self.get(name).or_else(written)
    }

    /// A whole number, also where it is written as a text.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).or_else(|| self.get::<String>(name)?.trim().parse().ok())
    }

    /// A field that is an object itself.
    pub fn object(&self, name: &str) -> Option<Self> {
        Self::read(self.0.get(name)?.get()).ok()
    }

    /// A field that is a list, with unparsed elements; empty when the field is missing.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn list(&self, name: &str) -> serde_json::Result<Vec<&'a RawValue>> {
        match self.0.get(name).map(|value| value.get()) {
            None | Some("null") => Ok(Vec::new()),
            Some(text) => list(text),
        }
    }

    /// Whether the field is null or not there.
    pub fn is_null(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(|value| value.get() == "null")
    }

    /// Whether the field is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// The unparsed elements of a list.
///
/// # Errors
///
/// When it is no list, or no JSON at all.
pub fn list(text: &str) -> serde_json::Result<Vec<&RawValue>> {
    serde_json::from_str(text)
}

/// Parts of an answer that could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// How many.
    pub count: usize,
    /// What was wrong with the first one.
    pub first: Option<&'static str>,
}

impl Unreadable {
    /// Counts one more.
    pub fn add(&mut self, reason: &'static str) {
        self.count += 1;
        self.first.get_or_insert(reason);
    }

    /// Keeps what could be read and counts the rest.
    pub fn keep<T>(&mut self, piece: Result<T, &'static str>) -> Option<T> {
        piece.map_err(|reason| self.add(reason)).ok()
    }

    /// A sentence for the operator's log; none when everything could be read.
    pub fn told(&self, what: &str) -> Option<String> {
        let first = self.first?;
        Some(format!(
            "{} {what} of an answer could not be read and were left out; the first: {first}",
            self.count
        ))
    }

    /// For the answer's metadata.
    pub fn metadata(&self) -> serde_json::Value {
        match self.count {
            0 => serde_json::json!({}),
            count => serde_json::json!({"unreadable": count}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_piece_leaves_the_others_readable() {
        let mut body = br#"{"list":[{"id":1,"n":"a"},{"id":1e999},{"id":"7"},{"id":-1},7,null,
            {"id":3,"n":"\ud83d"},{"id":4,"n":"\ud83d\ude00 \\ud83d"},{"id":5,"id":6},{"id":8,"n":"#.to_vec();
        body.extend(b"\"\xff\n\x01\"}]}");
        let text = readable(&body);
        let object = Object::read(&text).unwrap();
        let pieces = object.list("list").unwrap();
        assert_eq!(pieces.len(), 10);
        let read: Vec<_> = pieces
            .iter()
            .filter_map(|piece| Object::read(piece.get()).ok())
            .map(|piece| (piece.number("id"), piece.text("n").unwrap_or_default()))
            .collect();
        let text = str::to_owned;
        assert_eq!(
            read,
            [
                (Some(1), text("a")),
                (None, text("")),
                (Some(7), text("")),
                (None, text("")),
                (Some(3), text("\u{fffd}")),
                (Some(4), text("😀 \\ud83d")),
                (Some(6), text("")),
                (Some(8), text("\u{fffd}  ")),
            ]
        );
    }

    #[test]
    fn what_is_deep_costs_its_piece() {
        let text = format!("[{}{},{{\"id\":1}}]", "[".repeat(10_000), "]".repeat(10_000));
        let pieces = list(&text).unwrap();
        assert!(Object::read(pieces[0].get()).is_err());
        assert_eq!(Object::read(pieces[1].get()).unwrap().number("id"), Some(1));
    }

    #[test]
    fn a_list_is_a_list_or_nothing() {
        let object = Object::read(r#"{"a":null,"b":7,"c":[]}"#).unwrap();
        assert!(object.list("a").unwrap().is_empty() && object.list("d").unwrap().is_empty());
        assert!(object.list("b").is_err());
        assert!(object.list("c").unwrap().is_empty());
        assert!(object.has("a") && !object.has("d"));
    }
}
