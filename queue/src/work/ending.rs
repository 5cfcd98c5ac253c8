//! Why a task ends or returns to the queue, and the arguments of `finish.lua` for it.

use crate::redis::time::millis;
use crate::work::lease::Finish;

/// Who ends a task or returns it to the queue, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending<'a> {
    /// The holder of its lease.
    ByHolder { token: &'a str, finish: Finish },
    /// The sweep, because its lease ended: the worker is dead. The task runs again unless that happened too often.
    LeaseLost,
    /// The sweep, because its deadline passed.
    DeadlinePassed,
    /// A cancellation: at once while it waits, through its worker while it runs.
    Cancelled,
}

/// An [`Ending`] as arguments of the script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments<'a> {
    pub(crate) token: &'a str,
    pub(crate) op: &'static str,
    pub(crate) retry_ms: i64,
}

/// In place of a token: any holder of the lease, or none.
const ANY_HOLDER: &str = "*";
/// In place of a delay: no retry.
const NO_RETRY: i64 = -1;

impl<'a> Ending<'a> {
    pub(crate) fn arguments(self) -> Arguments<'a> {
        let without_holder = |op| Arguments { token: ANY_HOLDER, op, retry_ms: NO_RETRY };
        match self {
            Self::LeaseLost => without_holder("lost"),
            Self::DeadlinePassed => without_holder("expired"),
            Self::Cancelled => without_holder("cancel"),
            Self::ByHolder { token, finish } => {
                let (op, retry_ms) = match finish {
                    Finish::Done => ("done", NO_RETRY),
                    Finish::Failed => ("fail", NO_RETRY),
                    Finish::RetryAfter(delay) => {
                        ("fail", i64::try_from(millis(delay)).unwrap_or(i64::MAX))
                    }
                    Finish::Cancelled => ("cancel", NO_RETRY),
                    Finish::Requeue => ("requeue", NO_RETRY),
                };
                Arguments { token, op, retry_ms }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_arguments_are_those_in_the_header_of_the_script() {
        let by_holder = |finish| Ending::ByHolder { token: "7", finish };
        for (ending, token, op, retry_ms) in [
            (by_holder(Finish::Done), "7", "done", -1),
            (by_holder(Finish::Failed), "7", "fail", -1),
            (by_holder(Finish::RetryAfter(Duration::ZERO)), "7", "fail", 0),
            (by_holder(Finish::RetryAfter(Duration::MAX)), "7", "fail", i64::MAX),
            (by_holder(Finish::Cancelled), "7", "cancel", -1),
            (by_holder(Finish::Requeue), "7", "requeue", -1),
            (Ending::LeaseLost, "*", "lost", -1),
            (Ending::DeadlinePassed, "*", "expired", -1),
            (Ending::Cancelled, "*", "cancel", -1),
        ] {
            assert_eq!(ending.arguments(), Arguments { token, op, retry_ms });
        }
    }
}
