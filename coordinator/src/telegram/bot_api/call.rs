//! One call of a Bot API method, over HTTP.
//!
//! teloxide's own sender sleeps for ten seconds after each server error before it returns. Here the caller decides when to
//! retry. Requests have teloxide's types. Of an answer only the needed fields are read ([`Members`]), so that an older, a
//! newer or another Bot API server works too.

use std::time::{Duration, Instant};

use serde::Serialize;
use teloxide::Bot;
use teloxide::errors::ApiError;
use teloxide::requests::Payload;

use super::error::{BotError, classify, network_cause};
use crate::metrics;
use crate::spans;
use queue::json::{Members, Unreadable};

/// Timeout of a call; its connection is closed with it. A long poll adds its own wait.
pub(super) const CALL_AT_MOST: Duration = Duration::from_secs(10);
/// Timeout when Telegram has to download pictures or videos first.
pub(super) const MEDIA_AT_MOST: Duration = Duration::from_secs(20);
/// Longest answer that is read. A hundred updates, the most that one answer holds, are a few megabytes.
pub(super) const ANSWER_BYTES: usize = 32 << 20;
/// Wait after a "Too many requests" that does not say how long.
const WAIT_UNLESS_TOLD: Duration = Duration::from_secs(1);
/// Longest wait that is believed: a longer one is a mistake of the server.
const WAIT_AT_MOST: f64 = 86_400.0;

/// An error as the server reports it (Bot API, "Making requests").
#[derive(Debug, Default)]
struct Refusal {
    code: u16,
    description: String,
    retry_after: Option<Duration>,
    moved_to: Option<i64>,
}

/// Calls the method of `payload` and returns its result as raw JSON.
pub(super) async fn call<P>(bot: &Bot, payload: &P) -> Result<Vec<u8>, BotError>
where
    P: Payload + Serialize,
{
    let at_most = match P::NAME {
        "SendPhoto" | "SendVideo" | "SendMediaGroup" => MEDIA_AT_MOST,
        _ => CALL_AT_MOST,
    };
    let method = spelled(P::NAME);
    let mut span = spans::bot_api(&method);
    let began = Instant::now();
    let called = post(bot, &method, payload, at_most).await;
    let called = called.and_then(|(status, body)| result(status, &body));
    made(&method, began, &called);
    if let (Some(span), Err(error)) = (&mut span, &called)
        && *error != BotError::NotModified
    {
        span.fail(error.code());
    }
    called
}

/// Counts a call.
pub(super) fn made<T>(method: &str, began: Instant, result: &Result<T, BotError>) {
    let outcome = result.as_ref().map_or_else(BotError::code, |_| "ok");
    metrics::telegram_call(method, outcome, began.elapsed());
}

/// A method as the Bot API spells it; teloxide's names begin with a capital.
fn spelled(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// Posts `payload` to a method and returns status and body. A connection that times out is not used again.
pub(super) async fn post(
    bot: &Bot,
    method: &str,
    payload: &impl Serialize,
    at_most: Duration,
) -> Result<(u16, Vec<u8>), BotError> {
    let mut url = bot.api_url();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().push(&format!("bot{}", bot.token())).push(method);
        }
        Err(()) => return Err(BotError::Refused("its address cannot have a path".to_owned())),
    }
    let sending = bot.client().post(url).json(payload).timeout(at_most).send();
    let response = sending.await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    match read(response).await? {
        Some(body) => Ok((status, body)),
        // The call was made: made again, it would send a message twice.
        None if status == 200 => {
            metrics::answer_unreadable(method);
            let what = format!("it is longer than {} MiB", ANSWER_BYTES >> 20);
            Err(BotError::Unreadable { method: method.to_owned(), what })
        }
        None => Err(BotError::Transient(format!("status {status} with too long an answer"))),
    }
}

/// The body of an answer; none when it is longer than [`ANSWER_BYTES`]. Then its connection is closed.
async fn read(mut response: reqwest::Response) -> Result<Option<Vec<u8>>, BotError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if ANSWER_BYTES - body.len() < chunk.len() {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The result in an answer.
pub(super) fn result(status: u16, body: &[u8]) -> Result<Vec<u8>, BotError> {
    // A gateway's error page, or a truncated answer. It is not logged: it may quote what a person wrote.
    let nothing = || BotError::Transient(format!("status {status} without an answer"));
    let answer = Members::of(body).map_err(|_unreadable| nothing())?;
    if answer.need::<bool>("ok").map_err(|_unreadable| nothing())? {
        return Ok(answer.get("result").ok().flatten().unwrap_or(b"null").to_vec());
    }
    let parameters = answer.may_object("parameters");
    let parameters = parameters.as_ref();
    Err(refusal(Refusal {
        code: answer.may("error_code").unwrap_or(status),
        description: answer.may("description").unwrap_or_default(),
        retry_after: parameters.and_then(|of| of.may("retry_after")).map(wait),
        moved_to: parameters.and_then(|of| of.may("migrate_to_chat_id")),
    }))
}

/// The list in an answer that is not valid JSON as a whole, so that its valid elements can still be read.
pub(super) fn broken_list(status: u16, body: &[u8]) -> Option<&[u8]> {
    let name = b"\"result\"";
    let body = body.trim_ascii();
    if status != 200 || body.first() != Some(&b'{') {
        return None;
    }
    let at = body.windows(name.len()).position(|window| window == name)?;
    let value = body.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":")?;
    Some(value.trim_ascii_start()).filter(|value| value.first() == Some(&b'['))
}

/// Makes the error for an unusable answer to `method`.
pub(super) fn unusable(method: &'static str) -> impl Fn(Unreadable) -> BotError {
    move |unreadable| {
        metrics::answer_unreadable(method);
        BotError::Unreadable { method: method.to_owned(), what: unreadable.to_string() }
    }
}

fn wait(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.ceil().clamp(0.0, WAIT_AT_MOST)).unwrap_or(WAIT_UNLESS_TOLD)
}

fn refusal(refusal: Refusal) -> BotError {
    let Refusal { code, description, retry_after, moved_to } = refusal;
    if let Some(wait) = retry_after {
        return BotError::RetryAfter(wait);
    }
    if let Some(chat_id) = moved_to {
        return BotError::Migrated(chat_id);
    }
    match code {
        429 => BotError::RetryAfter(WAIT_UNLESS_TOLD),
        403 => BotError::Unreachable,
        401 => BotError::Unauthorized,
        409 if description.to_ascii_lowercase().contains("webhook") => BotError::WebhookSet,
        409 => BotError::Conflict,
        500.. => BotError::Transient(description),
        _ => {
            let known = serde_json::from_value::<ApiError>(description.clone().into());
            known.map_or(BotError::Refused(description), classify)
        }
    }
}

/// A reqwest error prints its URL, and the URL holds the token.
fn broken(error: &reqwest::Error) -> BotError {
    BotError::Transient(network_cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &Result<Vec<u8>, BotError>) {
        assert_eq!(&result(status, body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn each_answer_says_what_to_do() {
        check(200, r#"{"ok":true,"result":true}"#, &Ok(b"true".to_vec()));
        check(200, r#"{"ok":true,"more":1e999}"#, &Ok(b"null".to_vec()));
        let refused = |code: u16, what: &str, more: &str| {
            format!(r#"{{"ok":false,"error_code":{code},"description":"{what}"{more}}}"#)
        };
        let told = r#","parameters":{"retry_after":7}"#;
        let wait = |seconds| Err(BotError::RetryAfter(Duration::from_secs(seconds)));
        check(429, &refused(429, "Too Many Requests: retry after 7", told), &wait(7));
        check(429, &refused(429, "Too Many Requests", ""), &wait(1));
        let odd = r#","parameters":{"retry_after":2.5,"retry_before":"\ud83d"}"#;
        check(429, &refused(429, "Too Many Requests", odd), &wait(3));
        let odd = r#","parameters":{"retry_after":"soon"}"#;
        check(429, &refused(429, "Too Many Requests", odd), &wait(1));
        let odd = r#","parameters":{"retry_after":1e12}"#;
        check(429, &refused(429, "Too Many Requests", odd), &wait(86_400));
        check(403, r#"{"ok":false}"#, &Err(BotError::Unreachable));
        let moved = r#","parameters":{"migrate_to_chat_id":-1001}"#;
        check(400, &refused(400, "Bad Request: moved", moved), &Err(BotError::Migrated(-1001)));
        check(403, &refused(403, "Forbidden: whatever", ""), &Err(BotError::Unreachable));
        check(401, &refused(401, "Unauthorized", ""), &Err(BotError::Unauthorized));
        check(409, &refused(409, "Conflict: whatever", ""), &Err(BotError::Conflict));
        let webhook = "Conflict: can't use getUpdates method while webhook is active";
        check(409, &refused(409, webhook, ""), &Err(BotError::WebhookSet));
        let broken = || BotError::Transient("Bad Gateway".to_owned());
        check(502, &refused(502, "Bad Gateway", ""), &Err(broken()));
        let restarting = || BotError::Transient("Restarting".to_owned());
        check(503, &refused(503, "Restarting", ""), &Err(restarting()));
        let gone = "Bad Request: message to edit not found";
        check(400, &refused(400, gone, ""), &Err(BotError::MessageGone));
        check(404, &refused(404, "Not Found", ""), &Err(BotError::Unauthorized));
    }

    #[test]
    fn what_cannot_be_read_may_pass() {
        for body in
            ["", "<html>502</html>", "[]", r#"{"ok":tru"#, "{}", r#"{"ok":"yes","result":[]}"#]
        {
            let read = result(502, body.as_bytes());
            assert!(matches!(read, Err(BotError::Transient(_))), "{body}: {read:?}");
        }
    }

    #[test]
    fn a_list_is_found_in_an_answer_that_is_broken_in_the_middle() {
        let list = |body: &'static str| broken_list(200, body.as_bytes());
        let found = list(r#"{"ok":true,"result":[{"a":"no end},{"a":1}]}"#).unwrap();
        assert_eq!(found, br#"[{"a":"no end},{"a":1}]}"#);
        assert_eq!(list("<html>\"result\":[</html>"), None, "a gateway's page");
        assert_eq!(broken_list(502, br#"{"result":[{"a":"#), None);
        assert_eq!(list(r#"{"ok":true,"result":{"a":["#), None, "it is no list");
    }
}
