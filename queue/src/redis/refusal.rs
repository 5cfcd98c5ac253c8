//! Refusals of Redis: its error codes, the reason in words, and advice.
//!
//! A refusal is not the fault of a task: no attempt is counted, and no person is told that a question failed. The command
//! is repeated until the server accepts it. Only this module decides which errors are refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use redis::ErrorKind;
use tokio::time::Instant;

use crate::task::Lane;

/// Why the server refuses a command that it may accept later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// `OOM`.
    Full,
    /// `READONLY`.
    ReadOnly,
    /// `MISCONF`.
    CannotSave,
    /// `NOREPLICAS`.
    TooFewReplicas,
    /// `LOADING`.
    Loading,
    /// `BUSY`.
    Busy,
    /// `CLUSTERDOWN`.
    ClusterDown,
    /// `TRYAGAIN`.
    SlotMoves,
    /// `MASTERDOWN`.
    MasterDown,
    /// `NOPERM`.
    Forbidden,
    /// `NOAUTH`, `WRONGPASS`.
    Login,
}

impl Refusal {
    /// Recognises a refusal; none for other errors, for instance a broken connection.
    pub fn of(error: &redis::RedisError) -> Option<Self> {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Some(Self::Login);
        }
        Some(match error.code()? {
            "OOM" => Self::Full,
            "READONLY" => Self::ReadOnly,
            "MISCONF" => Self::CannotSave,
            "NOREPLICAS" => Self::TooFewReplicas,
            "LOADING" => Self::Loading,
            "BUSY" => Self::Busy,
            "CLUSTERDOWN" => Self::ClusterDown,
            "TRYAGAIN" => Self::SlotMoves,
            "MASTERDOWN" => Self::MasterDown,
            "NOPERM" => Self::Forbidden,
            "NOAUTH" | "WRONGPASS" => Self::Login,
            _ => return None,
        })
    }

    /// The error code of Redis.
    pub fn code(self) -> &'static str {
        match self {
            Self::Full => "OOM",
            Self::ReadOnly => "READONLY",
            Self::CannotSave => "MISCONF",
            Self::TooFewReplicas => "NOREPLICAS",
            Self::Loading => "LOADING",
            Self::Busy => "BUSY",
            Self::ClusterDown => "CLUSTERDOWN",
            Self::SlotMoves => "TRYAGAIN",
            Self::MasterDown => "MASTERDOWN",
            Self::Forbidden => "NOPERM",
            Self::Login => "NOAUTH",
        }
    }

    /// Whether the server refuses every client, so that no other process can take our leases meanwhile.
    pub fn affects_everyone(self) -> bool {
        !matches!(self, Self::Forbidden | Self::Login)
    }

    /// What is refused, why, and what to do.
    fn advice(self) -> &'static str {
        match self {
            Self::Full => {
                "Redis is full: it takes no new tasks; what was accepted is still answered. Raise `maxmemory`, or free memory"
            }
            Self::ReadOnly => {
                "Redis takes no writes: it is a read-only replica. Connect to the master (behind Sentinel: `redis-sentinel://`)"
            }
            Self::CannotSave => {
                "Redis takes no writes: it cannot save to its disk. Free disk space or mend its folder's rights; its log says \
                 which"
            }
            Self::TooFewReplicas => {
                "Redis takes no writes: fewer replicas follow it than `min-replicas-to-write` wants. Bring a replica back"
            }
            Self::Loading => "Redis takes no commands yet: it is loading its data. Wait for it",
            Self::Busy => {
                "Redis takes no commands: a script runs for too long. Wait, or end it with `SCRIPT KILL`"
            }
            Self::ClusterDown => {
                "the Redis Cluster is down: slots have no master. Bring its nodes back; `CLUSTER INFO` says which are missing"
            }
            Self::SlotMoves => "a slot of the Redis Cluster is being moved. Wait for it",
            Self::MasterDown => {
                "Redis serves nothing: it is a replica that lost its master. Bring the master back"
            }
            Self::Forbidden => {
                "Redis does not allow this user all that is needed. Give it the rights in docs/redis.acl"
            }
            Self::Login => {
                "Redis does not let this user in. Check the name and the password in `REDIS_URL`"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.advice(), self.code())
    }
}

/// Whether the server is down or does not answer.
pub(crate) fn is_unreachable(error: &redis::RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
}

/// Whether an error comes from the state of the server, not from the command: the same command may work later.
pub(crate) fn is_temporary(error: &redis::RedisError) -> bool {
    Refusal::of(error).is_some() || is_unreachable(error)
}

/// Current problems by lane, so that each is logged once when it begins and once when it ends; and how many errors there were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems {
    by_lane: Arc<Mutex<BTreeMap<Option<Lane>, Problem>>>,
    errors: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

/// What went wrong with Redis, by code: that of a refusal, `unreachable` when it did not answer, or `other`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisTrouble {
    /// Commands that failed since the start.
    pub errors: BTreeMap<&'static str, u64>,
    /// What it refuses now, or that it does not answer.
    pub current: BTreeSet<&'static str>,
}

/// The code of no answer.
const UNREACHABLE: &str = "unreachable";

#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// None when the server does not answer.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) since: Instant,
}

impl Problems {
    /// Counts a command that failed.
    pub(crate) fn count(&self, error: &redis::RedisError) {
        let code = match Refusal::of(error) {
            Some(refusal) => refusal.code(),
            None if is_unreachable(error) => UNREACHABLE,
            None => "other",
        };
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(code).or_default() += 1;
    }

    /// The errors so far and the current problems.
    pub(crate) fn trouble(&self) -> RedisTrouble {
        let by_lane = self.by_lane.lock().unwrap_or_else(PoisonError::into_inner);
        let code = |problem: &Problem| problem.refusal.map_or(UNREACHABLE, Refusal::code);
        let current = by_lane.values().map(code).collect();
        drop(by_lane);
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        RedisTrouble { errors, current }
    }

    /// Records a problem. Returns whether it is new.
    pub(crate) fn begin(&self, lane: Option<&Lane>, refusal: Option<Refusal>) -> bool {
        let mut by_lane = self.by_lane.lock().unwrap_or_else(PoisonError::into_inner);
        match by_lane.get_mut(&lane.cloned()) {
            Some(problem) if problem.refusal == refusal => false,
            Some(problem) => {
                problem.refusal = refusal;
                true
            }
            None => {
                let problem = Problem { refusal, since: Instant::now() };
                by_lane.insert(lane.cloned(), problem);
                true
            }
        }
    }

    /// Lanes with a problem; none stands for all lanes.
    pub(crate) fn lanes(&self) -> Vec<Option<Lane>> {
        let by_lane = self.by_lane.lock().unwrap_or_else(PoisonError::into_inner);
        by_lane.keys().cloned().collect()
    }

    /// Removes a problem that has ended.
    pub(crate) fn end(&self, lane: Option<&Lane>) -> Option<Problem> {
        self.by_lane.lock().unwrap_or_else(PoisonError::into_inner).remove(&lane.cloned())
    }
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    #[test]
    fn a_refusal_is_recognised_by_its_code() {
        let of = |code: &str| Refusal::of(&make_extension_error(code.to_owned(), None));
        for refusal in [
            Refusal::Full,
            Refusal::ReadOnly,
            Refusal::CannotSave,
            Refusal::TooFewReplicas,
            Refusal::Loading,
            Refusal::Busy,
            Refusal::ClusterDown,
            Refusal::SlotMoves,
            Refusal::MasterDown,
            Refusal::Forbidden,
            Refusal::Login,
        ] {
            assert_eq!(of(refusal.code()), Some(refusal));
            assert!(refusal.to_string().ends_with(&format!("({})", refusal.code())));
        }
        assert_eq!(of("WRONGPASS"), Some(Refusal::Login));
        assert_eq!(of("WRONGTYPE"), None);
        let broken = redis::RedisError::from(std::io::Error::other("broken"));
        assert_eq!(Refusal::of(&broken), None);
    }

    #[test]
    fn errors_are_counted_by_code() {
        let problems = Problems::default();
        let silent = || redis::RedisError::from(std::io::Error::other("broken"));
        for error in [
            make_extension_error("OOM".to_owned(), None),
            make_extension_error("OOM".to_owned(), None),
            make_extension_error("WRONGTYPE".to_owned(), None),
            silent(),
        ] {
            problems.count(&error);
        }
        let expected = BTreeMap::from([("OOM", 2), ("other", 1), ("unreachable", 1)]);
        assert_eq!(problems.trouble().errors, expected);
        assert!(problems.begin(None, None));
        assert_eq!(problems.trouble().current, BTreeSet::from(["unreachable"]));
    }

    #[test]
    fn a_problem_is_new_once_and_again_when_it_changes() {
        let problems = Problems::default();
        assert!(problems.begin(None, Some(Refusal::Loading)));
        assert!(!problems.begin(None, Some(Refusal::Loading)));
        assert!(problems.begin(None, Some(Refusal::Full)));
        assert_eq!(problems.trouble().current, BTreeSet::from(["OOM"]));
        assert!(problems.end(None).is_some());
        assert!(problems.trouble().current.is_empty());
        assert!(problems.end(None).is_none());
        assert!(problems.begin(None, Some(Refusal::Full)));
    }
}
