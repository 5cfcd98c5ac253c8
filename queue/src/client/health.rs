//! Whether Redis answers and accepts writes, and how problems with it are logged.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::refusal::{RedisTrouble, Refusal, is_unreachable};
use crate::redis::time::{millis, timed_out};
use crate::task::Lane;

/// In a Cluster, the longest wait for probes of all nodes. The sweep waits for them.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// The name of a probe in logs.
const LOOK: &str = "look at Redis";

impl TaskQueue {
    /// Checks that Redis answers; in a Cluster, that one of its nodes does.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.connection.ping().await.map_err(RedisError::during("reach Redis"))
    }

    /// For a readiness probe: succeeds when Redis answers and permits all that this program needs. `queue` is none before
    /// the first connection.
    ///
    /// # Errors
    ///
    /// The reason, for an operator.
    pub async fn readiness(queue: Option<&Self>) -> Result<(), String> {
        let Some(queue) = queue else { return Err("Redis was not reached yet".to_owned()) };
        queue.ping().await.map_err(|error| {
            queue.note_trouble(None, LOOK, &error.source);
            explain(&error.source)
        })?;
        let lanes = queue.listed_lanes().clone();
        let lanes = std::iter::once(None).chain(lanes.into_iter().map(Some));
        // One probe for a single server; in a Cluster, one for each lane's node.
        let lanes: Vec<_> =
            lanes.take(if queue.server.is_cluster() { usize::MAX } else { 1 }).collect();
        let probed = join_all(lanes.iter().map(|lane| queue.probe(lane.as_ref()))).await;
        let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (lane, probed) in lanes.iter().zip(probed) {
            // Silence does not count: a node that is down is replaced, and other lanes go on.
            if let Err(error) = probed
                && let Some(refusal) = Refusal::of(&error)
            {
                // Found here also when nothing is written for a while.
                queue.note_trouble(lane.as_ref(), LOOK, &error);
                let why = match refusal {
                    Refusal::Forbidden => {
                        format!("{refusal}: {}", error.detail().unwrap_or_default())
                    }
                    refusal => refusal.to_string(),
                };
                refused.entry(why).or_default().extend(lane.as_ref().map(ToString::to_string));
            }
        }
        let reasons: Vec<_> =
            refused
                .into_iter()
                .map(|(why, lanes)| {
                    if lanes.is_empty() { why } else { format!("for {}: {why}", lanes.join(", ")) }
                })
                .collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
    }

    /// Checks that a lane's server accepts writes and permits the commands that this program needs. Without a lane: the
    /// server of the keys that belong to no lane.
    async fn probe(&self, lane: Option<&Lane>) -> redis::RedisResult<()> {
        let key = lane.map_or_else(|| self.keys.types(), |lane| self.keys.meta(lane));
        let mut call = self.scripts.probe.key(key);
        for command in self.scripts.required_commands(self.config.side) {
            call.arg(command);
        }
        call.run(&mut self.connection.clone()).await
    }

    /// Logs a command that failed. A server that refuses or does not answer is logged once, when that begins; any other
    /// error is logged each time. `lane` is the command's lane.
    pub fn note_trouble(
        &self,
        lane: Option<&Lane>,
        action: &'static str,
        error: &redis::RedisError,
    ) {
        self.problems.count(error);
        let refusal = Refusal::of(error);
        let lane = lane.filter(|_| self.server.is_cluster());
        let shown = lane.map(tracing::field::display);
        if refusal.is_none() && !is_unreachable(error) {
            tracing::warn!(lane = shown, action, error = %error, "Redis replied with an error; trying again");
        } else if !self.problems.begin(lane, refusal) {
            tracing::debug!(lane = shown, action, error = %error, "Redis still refuses commands or does not answer");
        } else if let Some(refusal) = refusal {
            tracing::warn!(
                lane = shown, action, code = refusal.code(), why = %refusal, error = %error,
                "Redis refuses commands; nothing is lost, trying again until it accepts them"
            );
        } else {
            tracing::warn!(
                lane = shown, action, error = %error,
                "Redis does not answer; nothing is lost, trying again until it does"
            );
        }
    }

    /// What went wrong with Redis, for metrics.
    pub fn redis_trouble(&self) -> RedisTrouble {
        self.problems.trouble()
    }

    /// Checks whether the problems that [`TaskQueue::note_trouble`] logged are over, and logs that.
    pub(crate) async fn check_recovery(&self) {
        for lane in self.problems.lanes() {
            match self.probe_all(lane.as_ref()).await {
                Ok(()) => {
                    if let Some(problem) = self.problems.end(lane.as_ref()) {
                        tracing::info!(
                            lane = lane.as_ref().map(tracing::field::display),
                            code = problem.refusal.map(Refusal::code),
                            after_ms = millis(problem.since.elapsed()),
                            "Redis takes commands again"
                        );
                    }
                }
                Err(error) => self.note_trouble(lane.as_ref(), LOOK, &error),
            }
        }
    }

    /// As [`TaskQueue::probe`]. In a Cluster it has a time limit, and without a lane it probes all lanes, because the problem
    /// may be with any node.
    async fn probe_all(&self, lane: Option<&Lane>) -> redis::RedisResult<()> {
        if !self.server.is_cluster() {
            return self.probe(lane).await;
        }
        let lanes = match lane {
            Some(lane) => vec![Some(lane.clone())],
            None => {
                let listed = self.listed_lanes().clone();
                std::iter::once(None).chain(listed.into_iter().map(Some)).collect()
            }
        };
        let probing = join_all(lanes.iter().map(|lane| self.probe(lane.as_ref())));
        match tokio::time::timeout(PROBE_TIMEOUT, probing).await {
            Ok(probed) => probed.into_iter().collect(),
            Err(_) => Err(timed_out()),
        }
    }
}

/// A refusal with its advice, another error as it is.
fn explain(error: &redis::RedisError) -> String {
    match Refusal::of(error) {
        Some(refusal) => refusal.to_string(),
        None => format!("cannot reach Redis: {error}"),
    }
}
