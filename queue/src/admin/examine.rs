//! Examines a Redis for an operator: whether it can be reached, keeps the promises, permits what is needed, and is near.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::config::QueueConfig;
use crate::error::{ConnectError, RedisError};
use crate::redis::check;
use crate::redis::refusal::Refusal;
use crate::redis::time::millis;
use crate::task::now_ms;

/// Longest wait for the connection.
const CONNECT_AT_MOST: Duration = Duration::from_secs(10);
/// Round trips that are measured.
const PINGS: usize = 9;
/// A question takes seven round trips, so that it waits for a tenth of a second with more than this.
const NEAR: Duration = Duration::from_millis(15);
/// Clocks that differ by more make logs hard to read; nothing else depends on them.
const CLOCKS_APART_MS: u64 = 5_000;

/// How well something about Redis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wellness {
    /// As it should be.
    Fine,
    /// It works, and may cost something later.
    Doubtful,
    /// The programs do not work like this.
    Broken,
}

impl Wellness {
    /// The caller's own word for it.
    pub fn choose<T>(self, fine: T, doubtful: T, broken: T) -> T {
        match self {
            Self::Fine => fine,
            Self::Doubtful => doubtful,
            Self::Broken => broken,
        }
    }
}

/// One thing about Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How well it is.
    pub wellness: Wellness,
    /// What was found.
    pub found: String,
    /// What mends it; empty when there is nothing to mend or `found` says it.
    pub mend: String,
}

impl Finding {
    fn new(wellness: Wellness, found: String, mend: &str) -> Self {
        Self { wellness, found, mend: mend.to_owned() }
    }
}

/// Examines the Redis at `url` for the side that `config` names.
pub async fn examine(url: &str, config: QueueConfig) -> Vec<Finding> {
    use Wellness::{Broken, Doubtful, Fine};

    let connecting = tokio::time::timeout(CONNECT_AT_MOST, TaskQueue::connect(url, config)).await;
    let queue = match connecting {
        Ok(Ok(queue)) => queue,
        Ok(Err(error)) => return vec![unusable(&error)],
        Err(_) => {
            let found = format!("no answer within {CONNECT_AT_MOST:?}");
            return vec![Finding::new(
                Broken,
                found,
                "check REDIS_URL, and what is between here and there",
            )];
        }
    };
    let mut findings = Vec::new();
    match queue.connection.info(check::SECTIONS).await {
        Err(error) => findings.push(Finding::new(Broken, format!("INFO fails: {error}"), "")),
        Ok(infos) => {
            // `connect` has refused what cannot be used.
            for server in infos.iter().filter_map(|info| check::check_info(info).ok()) {
                findings.push(Finding::new(Fine, server.name, ""));
                let warnings = server.warnings.into_iter();
                findings.extend(warnings.map(|warning| Finding::new(Doubtful, warning, "")));
            }
        }
    }
    findings.push(match TaskQueue::readiness(Some(&queue)).await {
        Ok(()) => {
            Finding::new(Fine, "it takes writes, and permits all that is needed".to_owned(), "")
        }
        Err(reason) => Finding::new(Broken, reason, ""),
    });
    match round_trip(&queue).await {
        Ok(took) if took <= NEAR => {
            findings.push(Finding::new(Fine, format!("a round trip takes {took:.1?}"), ""));
        }
        Ok(took) => {
            let mend = "put it nearer: a question takes seven round trips";
            findings.push(Finding::new(Doubtful, format!("a round trip takes {took:.1?}"), mend));
        }
        Err(error) => findings.push(Finding::new(Broken, error.source.to_string(), "")),
    }
    if let Ok(apart) = clocks_apart(&queue).await
        && apart > CLOCKS_APART_MS
    {
        let found = format!("its clock and this machine's are {} s apart", apart / 1_000);
        let mend = "let both follow a time server, for instance `timedatectl set-ntp true`";
        findings.push(Finding::new(Doubtful, found, mend));
    }
    findings
}

fn unusable(error: &ConnectError) -> Finding {
    let ConnectError::Unreachable { source } = error else {
        return Finding::new(Wellness::Broken, error.to_string(), "");
    };
    match Refusal::of(source) {
        Some(refusal) => Finding::new(Wellness::Broken, refusal.to_string(), ""),
        None => {
            let mend = "start it, or check the address in REDIS_URL";
            Finding::new(Wellness::Broken, format!("cannot be reached: {source}"), mend)
        }
    }
}

/// The median of a few.
async fn round_trip(queue: &TaskQueue) -> Result<Duration, RedisError> {
    let mut took = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let asked_at = Instant::now();
        queue.ping().await?;
        took.push(asked_at.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(PINGS / 2).copied().unwrap_or_default())
}

/// How far the clocks are apart, in milliseconds.
async fn clocks_apart(queue: &TaskQueue) -> redis::RedisResult<u64> {
    let asked_at = Instant::now();
    let (seconds, micros): (u64, u64) =
        queue.scripts.clock.key(queue.keys.types()).run(&mut queue.connection.clone()).await?;
    let there = seconds * 1_000 + micros / 1_000;
    Ok(now_ms().abs_diff(there).saturating_sub(millis(asked_at.elapsed())))
}
