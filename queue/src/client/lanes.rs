//! The list of lanes, and the lane of a new task.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{Lane, TaskType};

/// A lane is registered again after this time, in case Redis has lost its data.
const REGISTER_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl TaskQueue {
    /// Adds a lane to the set that sweepers and coordinators read, unless it was added a moment ago.
    pub(crate) async fn register_lane(&self, lane: &Lane) -> redis::RedisResult<()> {
        let now = Instant::now();
        let registered_at = {
            let lanes = self.registered_lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.get(lane).copied()
        };
        if registered_at.is_some_and(|at| now < at + REGISTER_AGAIN_AFTER) {
            return Ok(());
        }
        let set_time = |at| {
            let mut lanes = self.registered_lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.insert(lane.clone(), at);
        };
        if registered_at.is_none() {
            self.add_lanes(std::slice::from_ref(lane)).await?;
            set_time(now);
            return Ok(());
        }
        // It is in the set unless Redis was emptied. In a Cluster the set's node may be down while the lane's own node is up,
        // so the caller does not wait.
        set_time(now);
        let queue = self.clone();
        let lane = lane.clone();
        tokio::spawn(async move {
            if let Err(error) = queue.add_lanes(&[lane]).await {
                tracing::debug!(error = %error, "a lane was not registered again");
            }
        });
        Ok(())
    }

    pub(crate) async fn add_lanes(&self, lanes: &[Lane]) -> redis::RedisResult<()> {
        if lanes.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = lanes.iter().map(Lane::to_string).collect();
        self.write_even_when_full("SADD", self.keys.types(), names).await
    }

    /// Registers the lanes of partitioned types, so that an operator's pause reaches them before their first task.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Each lane is also registered with its first task.
    pub async fn announce_partitions(&self) -> Result<(), RedisError> {
        for (task_type, partitions) in &self.config.partitions {
            let lanes: Vec<Lane> = Lane::all_of(task_type, *partitions).into_iter().collect();
            self.add_lanes(&lanes).await.map_err(RedisError::during("announce partitions"))?;
        }
        Ok(())
    }

    /// All task types that were ever submitted or offered.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn task_types(&self) -> Result<Vec<TaskType>, RedisError> {
        let lanes = self.lanes().await?;
        let types: BTreeSet<TaskType> =
            lanes.into_iter().map(|lane| lane.task_type().clone()).collect();
        Ok(types.into_iter().collect())
    }

    /// All lanes that were ever submitted to or offered.
    pub(crate) async fn lanes(&self) -> Result<Vec<Lane>, RedisError> {
        let names: Vec<Vec<u8>> = redis::cmd("SMEMBERS")
            .arg(self.keys.types())
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("list the task types"))?;
        Ok(self.note_lanes(names))
    }

    /// Takes in a list of lanes from Redis.
    pub(crate) fn note_lanes(&self, names: Vec<Vec<u8>>) -> Vec<Lane> {
        let lane = |name: Vec<u8>| String::from_utf8(name).ok()?.parse().ok();
        let mut lanes: Vec<Lane> = names.into_iter().filter_map(lane).collect();
        lanes.sort();
        self.listed_lanes().clone_from(&lanes);
        lanes
    }

    /// The lanes of some types: each whole type, and the partitions in the last list, which the sweep keeps up to date.
    pub(crate) fn lanes_of(&self, types: &[TaskType]) -> Vec<Lane> {
        let listed_before = self.listed_lanes();
        let parts = |task_type| {
            listed_before
                .iter()
                .filter(move |lane| lane.task_type() == task_type && lane.partition().is_some())
        };
        types
            .iter()
            .flat_map(|task_type| {
                std::iter::once(Lane::whole(task_type)).chain(parts(task_type).cloned())
            })
            .collect()
    }

    /// The lane for a person's new task of a type.
    pub fn lane_of(&self, task_type: &TaskType, user_id: i64) -> Lane {
        let parts = self.config.partitions.get(task_type).copied().unwrap_or(1);
        Lane::of_person(task_type, parts, user_id)
    }

    pub(crate) fn listed_lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.listed_lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
