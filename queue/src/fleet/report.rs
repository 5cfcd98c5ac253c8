//! What each worker of the fleet says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handle::Fleet;
use super::record::Revision;
use crate::error::RedisError;
use crate::json;
use crate::redis::time::millis;
use crate::task::now_ms;

/// A report without a successor for this long is gone, and so is its worker.
const REPORT_TTL: Duration = Duration::from_secs(15);
/// Reports read with one command.
const READ_AT_ONCE: usize = 100;

/// How far a worker is with a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It reads the component from Redis and compares its digest.
    #[default]
    Fetching,
    /// The files are in place; it checks, compiles, prepares and tries them.
    Checking,
    /// The version runs the tasks.
    Running,
    /// The version was refused, and what ran before still runs. The reason says why.
    Refused,
    /// The worker's own folder has a plugin of this name, which has priority.
    OwnFile,
}

/// What a worker makes of plugins' signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signatures {
    /// It does not say: its release is older.
    #[default]
    Untold,
    /// It trusts no key and looks at none.
    Ignored,
    /// One that is there must be right.
    Checked,
    /// It takes nothing without one.
    Required,
}

/// How far a worker is with one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginReport {
    /// The plugin's name.
    pub name: String,
    /// The step.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub step: Step,
    /// The component that it should run.
    pub digest: String,
    /// The component that runs.
    #[serde(default)]
    pub runs: Option<String>,
    /// When the version that runs was signed, in seconds since 1970; none where the worker checks no signatures.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub signed_at: Option<u64>,
    /// For a person.
    #[serde(default)]
    pub reason: Option<String>,
    /// Since when the step is this one, in milliseconds since 1970 by the worker's clock.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub since: u64,
    /// Tasks that ended on the version that runs.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub ended: u32,
    /// Those of them that failed by its fault.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub failed: u32,
}

/// A worker's report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// The worker's id.
    pub worker: String,
    /// The name of its machine.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub host: String,
    /// Its labels.
    #[serde(default, deserialize_with = "json::readable")]
    pub labels: Vec<String>,
    /// The folder in which it keeps the fleet's plugins, as a word: workers of one machine may share it, and it is the same
    /// after a restart.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub folder: String,
    /// What it makes of signatures.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub signatures: Signatures,
    /// The revision that it has read.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// The plugins that it should run.
    #[serde(default, deserialize_with = "json::readable")]
    pub plugins: Vec<PluginReport>,
}

impl Fleet {
    /// Writes a worker's report. It expires after 15 s.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn report(&self, report: &WorkerReport) -> Result<(), RedisError> {
        let json = serde_json::to_string(report).unwrap_or_default();
        let keys = &self.queue.keys;
        let written = async {
            let record = (json, "PX", millis(REPORT_TTL));
            let key = keys.fleet_report(&report.worker);
            let () = self.queue.write_even_when_full("SET", key, record).await?;
            let seen = (now_ms(), &report.worker);
            self.queue.write_even_when_full("ZADD", keys.fleet_workers(), seen).await
        };
        written.await.map_err(RedisError::during("report to the fleet"))
    }

    /// Removes the report of a worker that ends.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn forget(&self, worker: &str) -> Result<(), RedisError> {
        let keys = &self.queue.keys;
        for command in [
            redis::cmd("DEL").arg(keys.fleet_report(worker)),
            redis::cmd("ZREM").arg(keys.fleet_workers()).arg(worker),
        ] {
            let () = command
                .query_async(&mut self.queue.connection.clone())
                .await
                .map_err(RedisError::during("leave the fleet"))?;
        }
        Ok(())
    }

    /// The reports of the running workers.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn reports(&self) -> Result<Vec<WorkerReport>, RedisError> {
        let during = || RedisError::during("read the fleet's reports");
        let keys = &self.queue.keys;
        let mut connection = self.queue.connection.clone();
        let names: Vec<String> = redis::cmd("ZRANGE")
            .arg(keys.fleet_workers())
            .arg(0)
            .arg(-1)
            .query_async(&mut connection)
            .await
            .map_err(during())?;
        let mut reports = Vec::new();
        for some in names.chunks(READ_AT_ONCE) {
            // All in one slot.
            let found: Vec<Option<Vec<u8>>> = redis::cmd("MGET")
                .arg(some.iter().map(|name| keys.fleet_report(name)).collect::<Vec<_>>())
                .query_async(&mut connection)
                .await
                .map_err(during())?;
            for (name, json) in some.iter().zip(found) {
                match json.map(|json| serde_json::from_slice(&json)) {
                    Some(Ok(report)) => reports.push(report),
                    Some(Err(_)) => self.queue.warn_unreadable("fleet report", name),
                    // A running worker adds itself again.
                    None => {
                        let () = redis::cmd("ZREM")
                            .arg(keys.fleet_workers())
                            .arg(name)
                            .query_async(&mut connection)
                            .await
                            .map_err(during())?;
                    }
                }
            }
        }
        Ok(reports)
    }
}
