//! A call's parameters from query, form or JSON.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Parameters by name. Forms and queries only have texts, so numbers and objects are read from texts too.
#[derive(Debug, Default)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    pub(crate) fn read(query: &str, headers: &HeaderMap, body: &Bytes) -> Result<Self, Refusal> {
        let mut params = form(query.as_bytes());
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if kind.starts_with("application/json") && !body.is_empty() {
            match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => params.extend(fields),
                Ok(_) | Err(_) => {
                    return Err(Refusal::bad("can't parse request body as JSON object"));
                }
            }
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            params.extend(form(body));
        } else if let Some(boundary) = kind.strip_prefix("multipart/form-data; boundary=") {
            params.extend(multipart(body, boundary)?);
        }
        Ok(Self(params))
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether any of them contains a text.
    pub(crate) fn contain(&self, text: &str) -> bool {
        self.0.values().any(|value| match value {
            Value::String(value) => value.contains(text),
            other => other.to_string().contains(text),
        })
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "True" | "1"),
            _ => false,
        }
    }

    /// An object or list, which may also be JSON in a text.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|error| Refusal::bad(format!("can't parse {name} JSON object: {error}"))),
            Some(other) => Ok(Some(other.clone())),
        }
    }
}

fn form(bytes: &[u8]) -> Map<String, Value> {
    let text = String::from_utf8_lossy(bytes);
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), Value::String(decode(value)))
        })
        .collect()
}

/// The fields of a multipart form (RFC 7578). Clients use one whenever a method could take a file; the simulator takes
/// no files.
fn multipart(body: &[u8], boundary: &str) -> Result<Map<String, Value>, Refusal> {
    let text = String::from_utf8_lossy(body);
    let mut fields = Map::new();
    for part in text.split(&format!("--{boundary}")).skip(1) {
        // What follows the last boundary is `--`.
        let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
        if head.contains("filename=") {
            return Err(Refusal::bad("the simulator takes addresses, no uploaded files"));
        }
        let name = head.split_once("name=\"").and_then(|(_, rest)| rest.split_once('"'));
        let Some((name, _)) = name else { continue };
        let value = value.strip_suffix("\r\n").unwrap_or(value);
        fields.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    Ok(fields)
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let byte = std::str::from_utf8(&digits)
                    .ok()
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.extend(byte);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
