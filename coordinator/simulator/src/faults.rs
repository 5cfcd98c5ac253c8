//! Faults: answers that Telegram gives when it is busy or broken, or when the bot is blocked.

use serde::Deserialize;
use serde_json::Value;

use crate::params::Params;
use crate::refusal::Refusal;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum FaultKind {
    /// `429 Too Many Requests` with `retry_after`.
    #[serde(rename = "429")]
    TooManyRequests,
    /// `500 Internal Server Error`.
    #[serde(rename = "500")]
    Internal,
    /// `409 Conflict`, as when another program fetches the updates.
    #[serde(rename = "409")]
    Conflict,
    /// The call is done, but the answer has only the fields of the oldest Bot API servers.
    #[serde(rename = "bare")]
    Bare,
    /// The call is done, but the answer has none of the fields that are needed.
    #[serde(rename = "void")]
    Void,
    /// `403 Forbidden: bot was blocked by the user`.
    #[serde(rename = "403")]
    Blocked,
    /// `400`: the address of a picture leads to something else.
    #[serde(rename = "wrong_content")]
    WrongContent,
    /// `400`: a picture's address cannot be fetched.
    #[serde(rename = "no_content")]
    NoContent,
    /// The connection is closed without an answer, and nothing is done.
    #[serde(rename = "drop")]
    Drop,
    /// The call is done, and the connection is closed without an answer.
    #[serde(rename = "apply_then_drop")]
    ApplyThenDrop,
    /// The call is done after a delay, even when the caller has gone.
    #[serde(rename = "delay")]
    Delay,
}

fn one() -> u32 {
    1
}

/// A fault for the next calls of one method.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The method, any case.
    pub(crate) method: String,
    /// What goes wrong.
    pub(crate) fault: FaultKind,
    /// Only calls to this chat.
    #[serde(default)]
    pub(crate) chat_id: Option<i64>,
    /// Only calls that contain this text, for instance a picture's address.
    #[serde(default)]
    pub(crate) containing: Option<String>,
    /// Seconds, for `429`.
    #[serde(default = "one")]
    pub(crate) retry_after: u32,
    /// Milliseconds, for `delay`.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// How many calls.
    #[serde(default = "one")]
    pub(crate) count: u32,
}

impl Fault {
    fn fits(&self, method: &str, params: Option<&Params>) -> bool {
        let chat = self
            .chat_id
            .is_none_or(|chat| params.is_some_and(|params| params.number("chat_id") == Some(chat)));
        let content = self
            .containing
            .as_ref()
            .is_none_or(|text| params.is_some_and(|params| params.contain(text)));
        self.method.eq_ignore_ascii_case(method) && chat && content
    }

    /// The refusal in Telegram's words; none when the fault is no refusal.
    pub(crate) fn refusal(&self, method: &str) -> Option<Refusal> {
        Some(match self.fault {
            FaultKind::TooManyRequests => Refusal::too_many(self.retry_after),
            FaultKind::Internal => Refusal::new(500, "Internal Server Error"),
            FaultKind::Conflict => Refusal::new(
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            ),
            FaultKind::Blocked => Refusal::new(403, "Forbidden: bot was blocked by the user"),
            FaultKind::WrongContent | FaultKind::NoContent if method == "sendmediagroup" => {
                Refusal::bad(
                    "failed to send message #1 with the error message \"WEBPAGE_MEDIA_EMPTY\"",
                )
            }
            FaultKind::WrongContent => Refusal::bad("wrong type of the web page content"),
            FaultKind::NoContent => Refusal::bad("failed to get HTTP URL content"),
            FaultKind::Drop
            | FaultKind::ApplyThenDrop
            | FaultKind::Delay
            | FaultKind::Bare
            | FaultKind::Void => return None,
        })
    }
}

/// Of each answer only the fields that are needed: who the bot is, which message it is, what a person is in a chat.
pub(crate) fn bare(result: Value) -> Value {
    match result {
        Value::Object(fields) => {
            let known = ["id", "username", "message_id", "status"];
            let kept = fields.into_iter().filter(|(name, _)| known.contains(&name.as_str()));
            Value::Object(kept.collect())
        }
        Value::Array(list) => list.into_iter().map(bare).collect(),
        other => other,
    }
}

/// Takes the fault for this call, if there is one, and counts it down.
pub(crate) fn take(
    faults: &mut Vec<Fault>,
    method: &str,
    params: Option<&Params>,
) -> Option<Fault> {
    let index = faults.iter().position(|fault| fault.fits(method, params))?;
    let fault = faults.get_mut(index)?;
    fault.count = fault.count.saturating_sub(1);
    let taken = fault.clone();
    if taken.count == 0 {
        faults.remove(index);
    }
    Some(taken)
}
