//! One call of a Bot API method, over HTTP.
//!
//! The library's own way of sending pauses for ten seconds after each server error, before it says so. Whoever waits for
//! an answer then waits ten seconds for nothing; here the caller decides. The methods and their types are the library's.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use teloxide_core::Bot;
use teloxide_core::errors::ApiError;
use teloxide_core::requests::Payload;

use super::{BotError, classify};

/// "Too many requests" that do not say how long to wait.
const WAIT_UNLESS_TOLD: Duration = Duration::from_secs(1);

/// Bot API, "Making requests": what every method answers.
#[derive(Deserialize)]
struct Answer<R> {
    ok: bool,
    result: Option<R>,
    #[serde(default)]
    error_code: u16,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    migrate_to_chat_id: Option<i64>,
    retry_after: Option<u32>,
}

/// Calls the method that takes `payload`.
pub(super) async fn call<P>(bot: &Bot, payload: &P) -> Result<P::Output, BotError>
where
    P: Payload + Serialize,
    P::Output: DeserializeOwned,
{
    let mut url = bot.api_url();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().push(&format!("bot{}", bot.token())).push(P::NAME);
        }
        Err(()) => return Err(BotError::Refused("its address takes no path".to_owned())),
    }
    let response =
        bot.client().post(url).json(payload).send().await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    read(status, &response.bytes().await.map_err(|error| broken(&error))?)
}

fn read<R: DeserializeOwned>(status: u16, body: &[u8]) -> Result<R, BotError> {
    let answer: Answer<R> = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        // A gateway's page, or half an answer. The error's text may quote what a person wrote.
        Err(_) => return Err(BotError::Transient(format!("status {status} without an answer"))),
    };
    match answer.result {
        Some(result) if answer.ok => Ok(result),
        _ => Err(refusal(answer.error_code, answer.description, &answer.parameters)),
    }
}

fn refusal(code: u16, description: String, parameters: &Parameters) -> BotError {
    if let Some(seconds) = parameters.retry_after {
        return BotError::RetryAfter(Duration::from_secs(seconds.into()));
    }
    if let Some(chat_id) = parameters.migrate_to_chat_id {
        return BotError::Moved(chat_id);
    }
    match code {
        429 => BotError::RetryAfter(WAIT_UNLESS_TOLD),
        403 => BotError::Unreachable,
        401 => BotError::Unauthorized,
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
    BotError::Transient(super::network_cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &Result<bool, BotError>) {
        assert_eq!(&read(status, body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn each_answer_says_what_to_do() {
        check(200, r#"{"ok":true,"result":true}"#, &Ok(true));
        let refused = |code: u16, what: &str, more: &str| {
            format!(r#"{{"ok":false,"error_code":{code},"description":"{what}"{more}}}"#)
        };
        let told = r#","parameters":{"retry_after":7}"#;
        let wait = |seconds| Err(BotError::RetryAfter(Duration::from_secs(seconds)));
        check(429, &refused(429, "Too Many Requests: retry after 7", told), &wait(7));
        check(429, &refused(429, "Too Many Requests", ""), &wait(1));
        let moved = r#","parameters":{"migrate_to_chat_id":-1001}"#;
        check(400, &refused(400, "Bad Request: moved", moved), &Err(BotError::Moved(-1001)));
        check(403, &refused(403, "Forbidden: whatever", ""), &Err(BotError::Unreachable));
        check(401, &refused(401, "Unauthorized", ""), &Err(BotError::Unauthorized));
        check(409, &refused(409, "Conflict: whatever", ""), &Err(BotError::Conflict));
        let broken = || BotError::Transient("Bad Gateway".to_owned());
        check(502, &refused(502, "Bad Gateway", ""), &Err(broken()));
        let gone = "Bad Request: message to edit not found";
        check(400, &refused(400, gone, ""), &Err(BotError::MessageGone));
        check(404, &refused(404, "Not Found", ""), &Err(BotError::Unauthorized));
    }

    #[test]
    fn what_cannot_be_read_may_pass() {
        for body in ["", "<html>502</html>", "[]", r#"{"ok":tru"#] {
            let read = read::<bool>(502, body.as_bytes());
            assert!(matches!(read, Err(BotError::Transient(_))), "{body}: {read:?}");
        }
    }
}
