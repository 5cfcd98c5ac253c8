//! What can go wrong with a forum, whatever its software. Pure.

use freefans_plugin::http::{HttpError, Response};
use freefans_plugin::text::clean;
use kit::json::{Object, readable};
use serde_json::Value;
use serde_json::value::RawValue;

/// Why there is no answer, as a line for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForumError {
    /// The person has to ask differently. The text is for them.
    Invalid(String),
    /// The operator has to change something.
    Fatal {
        /// For the log.
        operator: String,
    },
    /// It may work later.
    Later {
        /// For the log.
        operator: String,
        /// How long the forum asks us to wait.
        after_ms: Option<u64>,
    },
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Body {
    text: String,
    after_ms: Option<u64>,
}

/// Takes the body of an answer, or tells what is wrong.
pub(super) fn body(answer: Result<Response, HttpError>) -> Result<Body, ForumError> {
    let response = answer.map_err(|error| unreached(&error))?;
    if response.status != 200 {
        return Err(refused(&response));
    }
    let text = readable(response.body.trim_ascii());
    Ok(Body { text, after_ms: response.retry_after_ms() })
}

impl Body {
    /// The object in the body.
    pub(super) fn object(&self) -> Result<Object<'_>, ForumError> {
        Object::read(&self.text).map_err(|error| match self.text.bytes().next() {
            None => later("its answer is empty", self.after_ms),
            Some(b'<') => fatal(
                "a web page answers instead of the API: check `extended_search_url` in search.toml",
            ),
            Some(_) if error.is_eof() => later("its answer ends in the middle", None),
            Some(_) => not_the_api(),
        })
    }
}

/// A list in the answer. If it is something else, another software answers.
pub(super) fn list<'a>(object: &Object<'a>, name: &str) -> Result<Vec<&'a RawValue>, ForumError> {
    object.list(name).map_err(|_other| not_the_api())
}

pub(super) fn not_the_api() -> ForumError {
    fatal("its answer is not that of the API: check `extended_search_kind` in search.toml")
}

fn unreached(error: &HttpError) -> ForumError {
    match error {
        HttpError::Denied => {
            fatal("it may not be reached: add its address to `net` in search.toml")
        }
        HttpError::Private => fatal(
            "its name leads to a private address: write that address itself, here and in `net` in search.toml",
        ),
        HttpError::TooMany => fatal("raise `max_http_requests` in search.toml"),
        HttpError::Address => fatal("`extended_search_url` in search.toml is not a usable address"),
        HttpError::TooLarge => {
            fatal("it answered too much at once: a larger `max_http_response_kb` in search.toml")
        }
        HttpError::Timeout => later(
            "it did not answer in time (`extended_search_timeout_seconds` in search.toml)",
            None,
        ),
        HttpError::Unreachable => later("it cannot be reached, or its answer broke off", None),
    }
}

fn refused(response: &Response) -> ForumError {
    let status = response.status;
    // Both require a minimum length of words.
    let too_short = |code: &String| {
        code == "invalid_parameters" || code.starts_with("search_could_not_be_completed")
    };
    if status == 400 && codes(&response.body).iter().any(too_short) {
        return ForumError::Invalid("the extended search wants a longer name".to_owned());
    }
    let what = match status {
        401 | 403 => "it refused our key: check EXTENDED_SEARCH_KEY, and what the key may read",
        404 => {
            "it has no such API: check `extended_search_url` and `extended_search_kind` in search.toml"
        }
        300..=399 => "it sends us elsewhere: check `extended_search_url` in search.toml",
        408 | 429 => "it is busy",
        500.. => "it has trouble of its own",
        _ => "it refused the request",
    };
    let operator = format!("{what}; status {status}{}", said(&response.body));
    if matches!(status, 408 | 429 | 500..) {
        return later(&operator, response.retry_after_ms().or_else(|| wait(&response.body)));
    }
    fatal(&operator)
}

/// The codes of the forum's errors: Discourse's `error_type`, XenForo's `errors[].code`. Its messages may repeat what was
/// typed, so they are not logged.
pub(super) fn codes(body: &[u8]) -> Vec<String> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let codes = errors.filter_map(|error| error.get("code")).chain(body.get("error_type"));
    codes.filter_map(Value::as_str).map(|code| clean(code, 60)).take(3).collect()
}

fn said(body: &[u8]) -> String {
    let codes = codes(body);
    if codes.is_empty() { String::new() } else { format!(": {}", codes.join(", ")) }
}

/// The wait that Discourse puts into the body of a 429, in milliseconds.
fn wait(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let seconds = body.get("extras")?.get("wait_seconds")?.as_u64()?;
    Some(seconds.saturating_mul(1_000))
}

pub(super) fn fatal(what: &str) -> ForumError {
    ForumError::Fatal { operator: format!("the extended search: {what}") }
}

fn later(what: &str, after_ms: Option<u64>) -> ForumError {
    ForumError::Later { operator: format!("the extended search: {what}"), after_ms }
}
