//! Replies of the scripts that end and renew leases. An unknown reply is an error, because the task's state is unknown then.

use redis::RedisResult;

use crate::redis::scripts::unknown_reply;
use crate::task::TaskStatus;
use crate::work::lease::{Finished, Renewal};

const FINISH: &str = "finish.lua";
const HEARTBEAT: &str = "heartbeat.lua";

/// The reply of `finish.lua` for one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinishReply {
    /// The task ended with this status.
    Ended(TaskStatus),
    /// The task will be retried after a delay.
    Retrying,
    /// The task is back in the queue.
    Requeued,
    /// The task is running; its worker is asked to cancel it.
    CancelRequested,
    /// The token is not that of the current lease; nothing changed.
    Stale,
    /// The task had ended before; nothing changed.
    Gone,
    /// The lease or the deadline has not ended yet; nothing changed.
    NotDue,
}

impl FinishReply {
    /// # Errors
    ///
    /// [`unknown_reply`].
    pub(crate) fn read(word: &str) -> RedisResult<Self> {
        match word {
            "RETRY" => Ok(Self::Retrying),
            "REQUEUED" => Ok(Self::Requeued),
            "SIGNALLED" => Ok(Self::CancelRequested),
            "STALE" => Ok(Self::Stale),
            "GONE" => Ok(Self::Gone),
            "NOTDUE" => Ok(Self::NotDue),
            word => match word.parse::<TaskStatus>() {
                Ok(status) if status.final_state() => Ok(Self::Ended(status)),
                _ => Err(unknown_reply(FINISH, word)),
            },
        }
    }

    /// The outcome for the holder of the lease.
    ///
    /// # Errors
    ///
    /// [`unknown_reply`] for a reply that the script never gives to a holder.
    pub(crate) fn for_holder(self) -> RedisResult<Finished> {
        match self {
            Self::Ended(_) => Ok(Finished::Stored),
            Self::Retrying => Ok(Finished::Retrying),
            Self::Requeued => Ok(Finished::Requeued),
            Self::Stale | Self::Gone => Ok(Finished::Stale),
            Self::CancelRequested => Err(unknown_reply(FINISH, "SIGNALLED")),
            Self::NotDue => Err(unknown_reply(FINISH, "NOTDUE")),
        }
    }
}

/// Reads the reply of `heartbeat.lua` for one lease.
///
/// # Errors
///
/// [`unknown_reply`].
pub(crate) fn read_renewal(number: i64) -> RedisResult<Renewal> {
    match number {
        0 => Ok(Renewal::Lost),
        1 => Ok(Renewal::Renewed),
        2 => Ok(Renewal::CancelRequested),
        number => Err(unknown_reply(HEARTBEAT, &number.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_to_a_holder_is_known() {
        for (word, finished) in [
            ("completed", Finished::Stored),
            ("failed", Finished::Stored),
            ("timeout", Finished::Stored),
            ("cancelled", Finished::Stored),
            ("RETRY", Finished::Retrying),
            ("REQUEUED", Finished::Requeued),
            ("STALE", Finished::Stale),
            ("GONE", Finished::Stale),
        ] {
            let read = FinishReply::read(word).and_then(FinishReply::for_holder);
            assert_eq!(read.unwrap(), finished, "{word}");
        }
        assert_eq!(FinishReply::read("SIGNALLED").unwrap(), FinishReply::CancelRequested);
        assert_eq!(FinishReply::read("NOTDUE").unwrap(), FinishReply::NotDue);
    }

    #[test]
    fn an_unknown_reply_is_an_error_and_never_a_stale_lease() {
        for word in
            ["", "stale", "LATER", "pending", "processing", "retrying", "SIGNALLED", "NOTDUE"]
        {
            let read = FinishReply::read(word).and_then(FinishReply::for_holder);
            let error = read.unwrap_err().to_string();
            assert!(error.contains(&format!("`finish.lua` replied `{word}`")), "{error}");
        }
    }

    #[test]
    fn an_unknown_renewal_is_an_error_and_never_a_lost_lease() {
        assert_eq!(read_renewal(0).unwrap(), Renewal::Lost);
        assert_eq!(read_renewal(1).unwrap(), Renewal::Renewed);
        assert_eq!(read_renewal(2).unwrap(), Renewal::CancelRequested);
        for number in [-1, 3, 256] {
            assert!(read_renewal(number).is_err(), "{number}");
        }
    }
}
