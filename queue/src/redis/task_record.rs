//! A task's record in `data:{T}`: the fields that scripts change, then the task's JSON as it was submitted.
//!
//! It is one text, so that a script reads and writes it in one step.

use std::str;

/// The fields of one task's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRecord<'a> {
    /// Fencing token: changes with every claim and every return to the queue, so a late holder is refused.
    pub(crate) token: &'a str,
    /// When the task was claimed, in ms of Redis' clock; none while it waits.
    pub(crate) claimed_at: Option<u64>,
    /// The worker that claimed it.
    pub(crate) worker: &'a str,
    /// Whether its cancellation was requested while it runs.
    pub(crate) cancel_requested: bool,
    /// Deadline in ms of Redis' clock.
    pub(crate) deadline: u64,
    /// Failed attempts.
    pub(crate) failures: u32,
    /// Workers that died while running it.
    pub(crate) crashes: u32,
    /// The task's JSON, unchecked.
    pub(crate) envelope: &'a [u8],
}

impl<'a> TaskRecord<'a> {
    /// Splits a stored value; none when our scripts did not write it.
    pub(crate) fn read(value: &'a [u8]) -> Option<Self> {
        let mut fields = value.splitn(10, |byte| *byte == b'|');
        let mut text = || fields.next().and_then(|field| str::from_utf8(field).ok());
        let token = text()?;
        let claimed_at = text()?;
        let worker = text()?;
        let cancel = text()?;
        let deadline = text()?;
        let failures = text()?;
        let crashes = text()?;
        let _wants_reply = text()?;
        let _user = text()?;
        Some(Self {
            token,
            claimed_at: claimed_at.parse().ok(),
            worker,
            cancel_requested: !cancel.is_empty(),
            deadline: deadline.parse().ok()?,
            failures: failures.parse().ok()?,
            crashes: crashes.parse().ok()?,
            envelope: fields.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_split_and_its_json_is_unchanged() {
        let record = TaskRecord::read(br#"3|1700|w-1||99|2|1|1|-7|{"a":"x|y"}"#).unwrap();
        assert_eq!((record.token, record.claimed_at, record.worker), ("3", Some(1_700), "w-1"));
        assert_eq!((record.deadline, record.failures, record.crashes), (99, 2, 1));
        assert_eq!(record.envelope, br#"{"a":"x|y"}"#);
        assert!(!record.cancel_requested);
        let waiting = TaskRecord::read(b"0||||99|0|0|0|7|").unwrap();
        assert_eq!((waiting.claimed_at, waiting.envelope), (None, &b""[..]));
    }

    #[test]
    fn an_invalid_record_is_none() {
        for junk in [&b""[..], b"1|2|3", b"a||||x|0|0|0|7|{}", b"\xff||||1|0|0|0|7|{}"] {
            assert_eq!(TaskRecord::read(junk), None);
        }
    }
}
