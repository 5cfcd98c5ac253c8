//! Bad days: answers that Telegram gives when it is busy, broken or blocked.

use serde::Deserialize;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// `429 Too Many Requests` with `retry_after`.
    #[serde(rename = "429")]
    TooManyRequests,
    /// `500 Internal Server Error`.
    #[serde(rename = "500")]
    Internal,
    /// `403 Forbidden: bot was blocked by the user`.
    #[serde(rename = "403")]
    Blocked,
    /// The connection is closed without an answer; nothing was done.
    #[serde(rename = "drop")]
    Drop,
    /// It is done, and the connection is closed without an answer.
    #[serde(rename = "apply_then_drop")]
    ApplyThenDrop,
    /// It is done after a while.
    #[serde(rename = "delay")]
    Delay,
}

fn one() -> u32 {
    1
}

/// A fault for the next calls of one method.
#[derive(Debug, Clone, Deserialize)]
pub struct Fault {
    /// The method, any case.
    pub method: String,
    /// What goes wrong.
    pub fault: Kind,
    /// Seconds, for `429`.
    #[serde(default = "one")]
    pub retry_after: u32,
    /// Milliseconds, for `delay`.
    #[serde(default)]
    pub delay_ms: u64,
    /// How many calls.
    #[serde(default = "one")]
    pub count: u32,
}

/// Takes the fault for this call, if there is one, and counts it down.
pub(crate) fn take(faults: &mut Vec<Fault>, method: &str) -> Option<Fault> {
    let place = faults.iter().position(|fault| fault.method.eq_ignore_ascii_case(method))?;
    let fault = faults.get_mut(place)?;
    fault.count = fault.count.saturating_sub(1);
    let taken = fault.clone();
    if taken.count == 0 {
        faults.remove(place);
    }
    Some(taken)
}
