//! The running workers, and the plugins that they offer.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::json;
use crate::redis::time::millis;
use crate::task::{Lane, TaskType, now_ms};
use crate::work::facts::WorkerFacts;

/// A worker without heartbeats for this long is gone; one that runs has written at least one by then.
pub const WORKER_GONE_AFTER: Duration = Duration::from_secs(15);
/// How long it is noted that a worker stopped by itself: longer than anybody asks why one is missing.
const STOPPED_FOR: Duration = Duration::from_secs(3600);

/// A plugin that a worker offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedPlugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub digest: String,
    /// The task types that it handles.
    #[serde(default, deserialize_with = "json::readable")]
    pub task_types: Vec<TaskType>,
    /// Its chat commands, as JSON that the queue does not read.
    #[serde(default, deserialize_with = "json::readable", skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Value>,
}

/// A worker's record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Its id, unique per process.
    pub worker: String,
    /// When it started, in milliseconds since 1970.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub started_at: u64,
    /// Most tasks that it runs at the same time.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub concurrency: usize,
    /// Tasks that it runs now.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub running: usize,
    /// The plugins that it offers.
    #[serde(default, deserialize_with = "json::readable")]
    pub plugins: Vec<OfferedPlugin>,
    /// Whether it takes no tasks, because an operator wants it so.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub drained: bool,
    /// What it tells people; none of a worker of an older release.
    #[serde(
        default,
        deserialize_with = "json::readable_or_default",
        skip_serializing_if = "Option::is_none"
    )]
    pub facts: Option<WorkerFacts>,
}

/// How long a worker that an operator has drained stays so, if it lives: longer than between two releases.
const DRAINED_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

impl TaskQueue {
    /// Writes a worker's record, which also serves as its heartbeat.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn announce_worker(&self, record: &WorkerRecord) -> Result<(), RedisError> {
        let types = record.plugins.iter().flat_map(|plugin| &plugin.task_types);
        let lanes: Vec<Lane> = types.map(Lane::whole).collect();
        // Each time, not once per process, in case Redis has lost its data.
        self.add_lanes(&lanes).await.map_err(RedisError::during("announce a worker"))?;
        let json = serde_json::to_string(record).unwrap_or_default();
        // Two writes: in a Cluster the record and the list of workers may be on two nodes.
        let announced = async {
            let record_for = ("PX", millis(WORKER_GONE_AFTER));
            let key = self.keys.worker(&record.worker);
            let () =
                self.write_even_when_full("SET", key, (json, record_for.0, record_for.1)).await?;
            let seen = (now_ms(), &record.worker);
            self.write_even_when_full("ZADD", self.keys.workers(), seen).await
        };
        announced.await.map_err(RedisError::during("announce a worker"))
    }

    /// Removes a worker that stops, and notes that it stopped by itself.
    pub(crate) async fn forget_worker(&self, worker: &str) -> Result<(), RedisError> {
        let mut connection = self.connection.clone();
        for command in [
            redis::cmd("DEL").arg(self.keys.worker(worker)),
            redis::cmd("ZREM").arg(self.keys.workers()).arg(worker),
            // The last: a server that is full refuses it.
            redis::cmd("SET")
                .arg(self.keys.worker_stopped(worker))
                .arg(1)
                .arg("PX")
                .arg(millis(STOPPED_FOR)),
        ] {
            let () = command
                .query_async(&mut connection)
                .await
                .map_err(RedisError::during("remove a worker"))?;
        }
        Ok(())
    }

    /// Lets a worker take no more tasks, or take them again; what it runs goes on. It takes effect within 5 s. Whether there is such a
    /// worker.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Calling again is safe.
    pub async fn set_drained(&self, worker: &str, drained: bool) -> Result<bool, RedisError> {
        let workers = self.workers().await?;
        if !workers.iter().any(|record| record.worker == worker) {
            return Ok(false);
        }
        let key = self.keys.worker_drained(worker);
        let command = if drained {
            redis::Cmd::set(key, 1).arg("PX").arg(millis(DRAINED_FOR)).to_owned()
        } else {
            redis::Cmd::del(key)
        };
        let changed: redis::RedisResult<redis::Value> =
            command.query_async(&mut self.connection.clone()).await;
        changed.map_err(RedisError::during("drain a worker"))?;
        Ok(true)
    }

    /// Whether an operator wants that a worker takes no tasks.
    pub(crate) async fn is_drained(&self, worker: &str) -> Result<bool, RedisError> {
        redis::cmd("EXISTS")
            .arg(self.keys.worker_drained(worker))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("ask whether this worker is drained"))
    }

    /// Whether a worker that is missing has stopped by itself within the last hour. Otherwise it was killed or cannot reach
    /// Redis.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn has_stopped(&self, worker: &str) -> Result<bool, RedisError> {
        redis::cmd("EXISTS")
            .arg(self.keys.worker_stopped(worker))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("look for a stopped worker"))
    }

    /// The running workers.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, RedisError> {
        let during = RedisError::during;
        let mut connection = self.connection.clone();
        let names: Vec<Vec<u8>> = redis::cmd("ZRANGE")
            .arg(self.keys.workers())
            .arg(0)
            .arg(-1)
            .query_async(&mut connection)
            .await
            .map_err(during("list the workers"))?;
        let mut workers = Vec::new();
        for name in names {
            let key = self.keys.worker(&String::from_utf8_lossy(&name));
            let json: redis::RedisResult<Option<Vec<u8>>> =
                redis::cmd("GET").arg(key).query_async(&mut connection).await;
            let json = match json {
                // Not written by us; treated as unreadable.
                Err(error) if error.code() == Some("WRONGTYPE") => Some(Vec::new()),
                json => json.map_err(during("read a worker's record"))?,
            };
            match json.map(|json| serde_json::from_slice(&json)) {
                Some(Ok(record)) => workers.push(record),
                unusable => {
                    if unusable.is_some() {
                        self.warn_unreadable("worker record", &String::from_utf8_lossy(&name));
                    }
                    // A running worker adds itself again.
                    let forgotten: redis::RedisResult<()> = redis::cmd("ZREM")
                        .arg(self.keys.workers())
                        .arg(&name)
                        .query_async(&mut connection)
                        .await;
                    if let Err(error) = forgotten {
                        // The server may refuse writes and still answer reads; the next call removes it.
                        tracing::debug!(error = %error, "a silent worker was not removed from the list");
                    }
                }
            }
        }
        Ok(workers)
    }

    /// The task types that a running worker offers.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn offered_types(&self) -> Result<BTreeSet<TaskType>, RedisError> {
        let workers = self.workers().await?;
        Ok(workers
            .into_iter()
            .filter(|worker| !worker.drained)
            .flat_map(|worker| worker.plugins)
            .flat_map(|plugin| plugin.task_types)
            .collect())
    }
}
