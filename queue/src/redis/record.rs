//! What `data:{T}` holds for a task: a few fields that the scripts change, then the task's JSON as it was submitted.
//!
//! One text for one task, so that a script reads and writes it in one step. What changes stands first.

use std::str;

/// The fields of one stored task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    /// Fences a late holder: it changes with every claim and every return to the queue.
    pub(crate) token: &'a str,
    /// When it was claimed, in ms of Redis' clock; none while it waits.
    pub(crate) claimed_at: Option<u64>,
    /// Who claimed it.
    pub(crate) worker: &'a str,
    /// Whether somebody asked to cancel it while it runs.
    pub(crate) cancel_asked: bool,
    /// When its sender is told at the latest, in ms of Redis' clock.
    pub(crate) deadline: u64,
    /// How often it failed.
    pub(crate) failures: u32,
    /// How often a worker died with it.
    pub(crate) crashes: u32,
    /// The task's JSON; not checked.
    pub(crate) envelope: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Takes a stored value apart; none when no script of ours wrote it.
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
            cancel_asked: !cancel.is_empty(),
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
    fn a_stored_task_is_taken_apart_and_its_json_left_as_it_is() {
        let stored = Stored::read(br#"3|1700|w-1||99|2|1|1|-7|{"a":"x|y"}"#).unwrap();
        assert_eq!((stored.token, stored.claimed_at, stored.worker), ("3", Some(1_700), "w-1"));
        assert_eq!((stored.deadline, stored.failures, stored.crashes), (99, 2, 1));
        assert_eq!(stored.envelope, br#"{"a":"x|y"}"#);
        assert!(!stored.cancel_asked);
        let waiting = Stored::read(b"0||||99|0|0|0|7|").unwrap();
        assert_eq!((waiting.claimed_at, waiting.envelope), (None, &b""[..]));
    }

    #[test]
    fn junk_is_nothing() {
        for junk in [&b""[..], b"1|2|3", b"a||||x|0|0|0|7|{}", b"\xff||||1|0|0|0|7|{}"] {
            assert_eq!(Stored::read(junk), None);
        }
    }
}
