//! What is sent and what comes back.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wait;
use crate::error::Error;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: &'static str,
    /// The address.
    pub url: String,
    /// Header names and values, without secrets: the host adds those.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u32,
}

impl Request {
    /// A GET that asks for JSON.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url.into())
    }

    /// A POST that asks for JSON.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url.into())
    }

    fn new(method: &'static str, url: String) -> Self {
        let headers = vec![("accept", "application/json".to_owned())];
        Self { method, url, headers, body: Vec::new(), timeout_ms: u32::MAX }
    }

    /// Another method, in capitals; any but TRACE and CONNECT.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// Sets a header, its name in lower case.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
        self
    }

    /// How long the answer may take, in milliseconds. Without it, as long as the task.
    #[must_use]
    pub fn timeout_ms(mut self, milliseconds: u32) -> Self {
        self.timeout_ms = milliseconds;
        self
    }

    /// A form as body: `a=1&b=2`, each value through [`encode`].
    #[must_use]
    pub fn form(mut self, form: impl Into<String>) -> Self {
        self.body = form.into().into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// JSON as body.
    ///
    /// # Errors
    ///
    /// When JSON cannot hold it.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        self.body = serde_json::to_vec(body)?;
        Ok(self.header("content-type", "application/json"))
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and values that are text.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How long the service asks us to wait, in milliseconds, from its `Retry-After`.
    pub fn retry_after_ms(&self) -> Option<u64> {
        wait::milliseconds(self.header("retry-after")?, self.header("date"))
    }

    /// The response, if its status is 200 to 299.
    ///
    /// # Errors
    ///
    /// [`Error::Retry`] for a status that passes by itself, after the time that the service asks for; else [`Error::Fatal`].
    pub fn ok(self) -> Result<Self, Error> {
        let reason = format!("the service answered {}", self.status);
        match self.status {
            200..300 => Ok(self),
            408 | 425 | 429 | 500.. => {
                Err(Error::Retry { reason, after_ms: self.retry_after_ms() })
            }
            _ => Err(Error::Fatal(reason)),
        }
    }

    /// The body as a type of your own.
    ///
    /// # Errors
    ///
    /// [`Error::Fatal`] when it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let unreadable =
            |error| Error::fatal(format!("the service's answer cannot be read: {error}"));
        serde_json::from_slice(&self.body).map_err(unreadable)
    }
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpError {
    /// The address does not parse.
    Address,
    /// The operator has not granted this host.
    Denied,
    /// The host is granted, but its name resolves to an address that is not public.
    Private,
    /// The task has sent the most requests that it may send.
    TooMany,
    /// It took too long.
    Timeout,
    /// The response is larger than the host allows.
    TooLarge,
    /// Anything else: no such host, connection refused, broken protocol.
    Unreachable,
}

/// Plain words without an address: a person may read them.
impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "the service's address is not one",
            Self::Denied => "the service is not granted: add it to `net` under [grants]",
            Self::Private => "the service has no public address",
            Self::TooMany => "the task has sent the most requests that it may send",
            Self::Timeout => "the service took too long",
            Self::TooLarge => "the service's answer is too large",
            Self::Unreachable => "the service cannot be reached at the moment",
        })
    }
}

impl std::error::Error for HttpError {}

/// What passes by itself is tried again; the rest has to be mended first.
impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Timeout | HttpError::Unreachable => Self::retry(error.to_string()),
            HttpError::Address
            | HttpError::Denied
            | HttpError::Private
            | HttpError::TooMany
            | HttpError::TooLarge => Self::fatal(error.to_string()),
        }
    }
}

/// Percent-encodes a query value or path segment (RFC 3986: all but unreserved characters).
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                encoded.extend(
                    char::from_digit(u32::from(digit), 16).map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
    }
    encoded
}

/// Scheme, authority and path of an address.
#[cfg(any(test, target_family = "wasm"))]
pub(super) fn split(url: &str) -> Option<(bool, &str, &str)> {
    let (https, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("http://")?),
    };
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(path)?;
    (!authority.is_empty()).then_some((https, authority, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(split("https://a.example/x?y=1"), Some((true, "a.example", "/x?y=1")));
        assert_eq!(split("http://127.0.0.1:8080"), Some((false, "127.0.0.1:8080", "")));
        assert_eq!(split("ftp://a"), None);
        assert_eq!(split("https:///x"), None);
    }

    #[test]
    fn everything_unusual_is_encoded() {
        assert_eq!(encode("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn a_refusal_is_tried_again_where_it_passes() {
        let wait = ("retry-after".to_owned(), "3".to_owned());
        let answer = |status| Response { status, headers: vec![wait.clone()], body: Vec::new() };
        assert!(answer(204).ok().is_ok());
        let wait = |status| match answer(status).ok() {
            Err(Error::Retry { after_ms, .. }) => after_ms,
            _ => None,
        };
        assert_eq!((wait(429), wait(503), wait(404)), (Some(3_000), Some(3_000), None));
    }

    #[test]
    fn a_form_says_that_it_is_one() {
        let request = Request::post("https://a.example").form("a=1").header("accept", "text/html");
        assert_eq!((request.method, request.body.as_slice()), ("POST", b"a=1".as_slice()));
        let content = ("content-type", "application/x-www-form-urlencoded".to_owned());
        assert_eq!(request.headers, [content, ("accept", "text/html".to_owned())]);
    }
}
