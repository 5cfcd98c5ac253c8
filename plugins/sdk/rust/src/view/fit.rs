//! Makes the parts of a view fit, and notes what did not.

use serde_json::Value;

use super::limits::{
    MAX_BYTES, MAX_PARAMS_BYTES, MAX_PARAMS_LEVELS, MAX_TEXT_BYTES, MAX_TEXT_CHARS,
};
use crate::text::{MAX_ADDRESS_BYTES, clean, clean_lines, web_address};

/// The bytes that are used, and what was cut or left out.
#[derive(Debug, Default)]
pub(super) struct Fit {
    used: usize,
    said: Vec<String>,
}

impl Fit {
    pub(super) fn said(self) -> Vec<String> {
        self.said
    }

    pub(super) fn say(&mut self, sentence: String) {
        self.said.push(sentence);
    }

    /// The view's text.
    pub(super) fn text(&mut self, text: &str) -> String {
        let clean = clean_lines(text);
        let mut fitted = cut(&clean, MAX_TEXT_CHARS);
        if fitted.len() > MAX_TEXT_BYTES {
            fitted.truncate(fitted.floor_char_boundary(MAX_TEXT_BYTES));
        }
        if fitted != clean {
            self.say(format!(
                "the text was cut: at most {MAX_TEXT_CHARS} characters and {MAX_TEXT_BYTES} bytes are shown"
            ));
        }
        self.used += fitted.len();
        fitted
    }

    /// A text on one line; none when there is nothing to show.
    pub(super) fn line(&mut self, what: &str, text: &str, max_chars: usize) -> Option<String> {
        let clean = clean(text, usize::MAX);
        if clean.is_empty() {
            self.say(format!("{what} is empty and was left out"));
            return None;
        }
        let fitted = cut(&clean, max_chars);
        if fitted != clean {
            self.say(format!("{what} was cut: at most {max_chars} characters are shown"));
        }
        Some(fitted)
    }

    /// An address that may be linked.
    pub(super) fn address(&mut self, what: &str, url: &str) -> Option<String> {
        if web_address(url) {
            return Some(url.to_owned());
        }
        self.say(format!(
            "{what} has an address that is not shown: it must be http or https, without spaces, at most {MAX_ADDRESS_BYTES} bytes"
        ));
        None
    }

    /// Params of a task.
    pub(super) fn params(&mut self, what: &str, params: Option<&Value>) -> Option<Value> {
        let Some(params) = params else {
            self.say(format!("{what} was left out: its params are no JSON object"));
            return None;
        };
        let bytes = params.to_string().len();
        if bytes > MAX_PARAMS_BYTES || levels(params) > MAX_PARAMS_LEVELS {
            self.say(format!(
                "{what} was left out: its params have more than {MAX_PARAMS_BYTES} bytes or {MAX_PARAMS_LEVELS} levels"
            ));
            return None;
        }
        self.takes(what, bytes)?;
        Some(params.clone())
    }

    /// The name of a task type.
    pub(super) fn task_type(&mut self, what: &str, name: &str) -> Option<String> {
        let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.len() <= 64
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(of_name)
        {
            return Some(name.to_owned());
        }
        self.say(format!(
            "{what} was left out: `{name}` is no task type (1 to 64 lower case letters, digits and `_`)"
        ));
        None
    }

    /// Takes room for so many bytes.
    pub(super) fn takes(&mut self, what: &str, bytes: usize) -> Option<()> {
        if self.used + bytes > MAX_BYTES {
            self.say(format!("{what} was left out: a view has at most {MAX_BYTES} bytes"));
            return None;
        }
        self.used += bytes;
        Some(())
    }

    /// Says so when there are too many.
    pub(super) fn only(&mut self, what: &str, count: usize, max: usize) {
        if count > max {
            self.say(format!("{count} {what} are too many: {max} are shown"));
        }
    }
}

/// At most so many characters, the last an ellipsis when some are missing.
fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// How deep a value is nested: 1 for a number or a text.
fn levels(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => members.values().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
