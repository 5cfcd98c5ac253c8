//! Whether Redis answers and takes writes, and what the log is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::refusal::{Refusal, is_silence};
use crate::redis::time::{millis, timed_out};
use crate::task::Lane;

/// In a Cluster, how long nodes are asked whether a trouble is over: the sweep waits for it.
const PROBED_WITHIN: Duration = Duration::from_secs(1);

impl TaskQueue {
    /// Whether Redis answers; in a Cluster, whether one of its nodes does.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.connection.ping().await.map_err(RedisError::during("reach Redis"))
    }

    /// What a readiness probe is told: nothing when Redis was reached, answers, and takes all that is needed; otherwise
    /// why not.
    ///
    /// # Errors
    ///
    /// The reason, in words.
    pub async fn readiness(queue: Option<&Self>) -> Result<(), String> {
        let Some(queue) = queue else { return Err("Redis was not reached yet".to_owned()) };
        queue.ping().await.map_err(|error| in_words(&error.source))?;
        let lanes = queue.last_lanes().clone();
        let lanes = std::iter::once(None).chain(lanes.into_iter().map(Some));
        // One server is asked once; in a Cluster each lane's node.
        let lanes: Vec<_> =
            lanes.take(if queue.server.has_slots() { usize::MAX } else { 1 }).collect();
        let probed = join_all(lanes.iter().map(|lane| queue.probe(lane.as_ref()))).await;
        let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (lane, probed) in lanes.iter().zip(probed) {
            // A node that is away is replaced: one lane's trouble is not the others'.
            if let Err(error) = probed
                && let Some(refusal) = Refusal::of(&error)
            {
                let why = match refusal {
                    Refusal::Forbidden => {
                        format!("{refusal}: {}", error.detail().unwrap_or_default())
                    }
                    refusal => refusal.to_string(),
                };
                refused.entry(why).or_default().extend(lane.as_ref().map(ToString::to_string));
            }
        }
        let said: Vec<_> =
            refused
                .into_iter()
                .map(|(why, lanes)| {
                    if lanes.is_empty() { why } else { format!("for {}: {why}", lanes.join(", ")) }
                })
                .collect();
        if said.is_empty() { Ok(()) } else { Err(said.join("; ")) }
    }

    /// Whether the server of a lane, or of what belongs to none, takes writes, and allows what is needed.
    async fn probe(&self, lane: Option<&Lane>) -> redis::RedisResult<()> {
        let key = lane.map_or_else(|| self.keys.types(), |lane| self.keys.meta(lane));
        let mut call = self.scripts.probe.key(key);
        for command in self.scripts.needs(self.config.side) {
            call.arg(command);
        }
        call.run(&mut self.connection.clone()).await
    }

    /// Tells the log of a command that failed: of a server that refuses or does not answer once, when that begins; of
    /// anything else each time. `lane` is the lane that it was about.
    pub fn note_trouble(
        &self,
        lane: Option<&Lane>,
        action: &'static str,
        error: &redis::RedisError,
    ) {
        let refusal = Refusal::of(error);
        let lane = lane.filter(|_| self.server.has_slots());
        let shown = lane.map(tracing::field::display);
        if refusal.is_none() && !is_silence(error) {
            tracing::warn!(lane = shown, action, error = %error, "Redis answers with an error; trying again");
        } else if !self.troubles.begin(lane, refusal) {
            tracing::debug!(lane = shown, action, error = %error, "Redis still refuses or is silent");
        } else if let Some(refusal) = refusal {
            tracing::warn!(
                lane = shown, action, code = refusal.code(), why = %refusal, error = %error,
                "Redis refuses commands; nothing is lost, trying again until it takes them"
            );
        } else {
            tracing::warn!(
                lane = shown, action, error = %error,
                "Redis does not answer; nothing is lost, trying again until it does"
            );
        }
    }

    /// Looks whether what [`TaskQueue::note_trouble`] told of is over, and tells that too.
    pub(crate) async fn look_whether_trouble_is_over(&self) {
        for lane in self.troubles.all() {
            match self.probe_all(lane.as_ref()).await {
                Ok(()) => {
                    if let Some(trouble) = self.troubles.end(lane.as_ref()) {
                        tracing::info!(
                            lane = lane.as_ref().map(tracing::field::display),
                            code = trouble.refusal.map(Refusal::code),
                            after_ms = millis(trouble.since.elapsed()),
                            "Redis takes commands again"
                        );
                    }
                }
                Err(error) => self.note_trouble(lane.as_ref(), "look at Redis", &error),
            }
        }
    }

    /// As [`TaskQueue::probe`]; without a lane in a Cluster, whose trouble may be with any node, all lanes'. In good time
    /// there, for the sweep waits for it.
    async fn probe_all(&self, lane: Option<&Lane>) -> redis::RedisResult<()> {
        if !self.server.has_slots() {
            return self.probe(lane).await;
        }
        let lanes = match lane {
            Some(lane) => vec![Some(lane.clone())],
            None => {
                let known = self.last_lanes().clone();
                std::iter::once(None).chain(known.into_iter().map(Some)).collect()
            }
        };
        let probing = join_all(lanes.iter().map(|lane| self.probe(lane.as_ref())));
        match tokio::time::timeout(PROBED_WITHIN, probing).await {
            Ok(probed) => probed.into_iter().collect(),
            Err(_) => Err(timed_out()),
        }
    }
}

/// A refusal with what helps, anything else as it is.
fn in_words(error: &redis::RedisError) -> String {
    match Refusal::of(error) {
        Some(refusal) => refusal.to_string(),
        None => format!("cannot reach Redis: {error}"),
    }
}
