//! What Redis refuses and why: its error codes, in words, with what helps.
//!
//! A server that refuses is no fault of a task: nothing is counted against one, and nobody is told that a question
//! failed. What is refused is tried again until the server takes it. Here alone it is decided which errors those are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use redis::ErrorKind;
use tokio::time::Instant;

use crate::task::Lane;

/// Why the server does not do now what it may do later.
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
    /// The refusal that an error is; none when it is something else, a broken connection for instance.
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

    /// Redis' word for it.
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

    /// Whether the server refuses everyone, so that nobody else can take what is ours meanwhile.
    pub fn is_for_all(self) -> bool {
        !matches!(self, Self::Forbidden | Self::Login)
    }

    /// What is refused and why, and what helps.
    fn sentence(self) -> &'static str {
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
        write!(f, "{} ({})", self.sentence(), self.code())
    }
}

/// Whether the server was not there, or did not answer.
pub(crate) fn is_silence(error: &redis::RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
}

/// Whether an error is of the server, not of what it was asked: the same may be taken later.
pub(crate) fn passes(error: &redis::RedisError) -> bool {
    Refusal::of(error).is_some() || is_silence(error)
}

/// What is known to be wrong, so that each trouble is told once when it begins and once when it is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles {
    known: Arc<Mutex<BTreeMap<Option<Lane>, Trouble>>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// None when the server does not answer at all.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) since: Instant,
}

impl Troubles {
    /// Notes what a command met; says whether it is news.
    pub(crate) fn begin(&self, lane: Option<&Lane>, refusal: Option<Refusal>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(&lane.cloned()) {
            Some(trouble) if trouble.refusal == refusal => false,
            Some(trouble) => {
                trouble.refusal = refusal;
                true
            }
            None => {
                let trouble = Trouble { refusal, since: Instant::now() };
                known.insert(lane.cloned(), trouble);
                true
            }
        }
    }

    /// What is wrong.
    pub(crate) fn all(&self) -> Vec<Option<Lane>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys().cloned().collect()
    }

    /// Forgets what is over.
    pub(crate) fn end(&self, lane: Option<&Lane>) -> Option<Trouble> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&lane.cloned())
    }
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    #[test]
    fn an_error_is_told_by_its_code() {
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
    fn a_trouble_is_news_once_and_again_when_it_becomes_another() {
        let troubles = Troubles::default();
        assert!(troubles.begin(None, Some(Refusal::Loading)));
        assert!(!troubles.begin(None, Some(Refusal::Loading)));
        assert!(troubles.begin(None, Some(Refusal::Full)));
        assert!(troubles.end(None).is_some());
        assert!(troubles.end(None).is_none());
        assert!(troubles.begin(None, Some(Refusal::Full)));
    }
}
