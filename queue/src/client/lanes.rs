//! The lanes that there are, and where a new task belongs.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{Lane, TaskType};

/// How long it is believed that Redis knows a lane: a Redis that lost its data hears of it again after that.
const LANE_IS_KNOWN: Duration = Duration::from_secs(5);

impl TaskQueue {
    /// Adds a lane to the set that sweepers and coordinators look through, unless that was done a moment ago.
    pub(crate) async fn remember_lane(&self, lane: &Lane) -> redis::RedisResult<()> {
        let now = Instant::now();
        let noted = {
            let lanes = self.known_lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.get(lane).copied()
        };
        if noted.is_some_and(|at| now < at + LANE_IS_KNOWN) {
            return Ok(());
        }
        let note = |at| {
            let mut lanes = self.known_lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.insert(lane.clone(), at);
        };
        if noted.is_none() {
            self.add_lane(lane).await?;
            note(now);
            return Ok(());
        }
        // It is there unless Redis was emptied. In a Cluster the set may be on a node that is away while the lane's own is
        // there, so nobody waits.
        note(now);
        let queue = self.clone();
        let lane = lane.clone();
        tokio::spawn(async move {
            if let Err(error) = queue.add_lane(&lane).await {
                tracing::debug!(error = %error, "a known lane was not noted again");
            }
        });
        Ok(())
    }

    pub(crate) async fn add_lane(&self, lane: &Lane) -> redis::RedisResult<()> {
        self.write_even_when_full("SADD", self.keys.types(), lane.to_string()).await
    }

    /// Makes the lanes of divided types known, so that an operator's pause reaches them before their first task.
    ///
    /// # Errors
    ///
    /// When Redis does not answer; each lane is made known with its first task as well.
    pub async fn announce_partitions(&self) -> Result<(), RedisError> {
        for (task_type, partitions) in &self.config.partitions {
            for lane in Lane::all_of(task_type, *partitions) {
                self.add_lane(&lane).await.map_err(RedisError::during("announce a partition"))?;
            }
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
        let lane = |name: Vec<u8>| String::from_utf8(name).ok()?.parse().ok();
        let mut lanes: Vec<Lane> = names.into_iter().filter_map(lane).collect();
        lanes.sort();
        self.last_lanes().clone_from(&lanes);
        Ok(lanes)
    }

    /// As [`TaskQueue::lanes`], and what was known last when Redis does not say.
    pub(crate) async fn lanes_to_sweep(&self) -> Result<Vec<Lane>, RedisError> {
        let listed = self.lanes().await;
        let last = self.last_lanes();
        match listed {
            Err(_) if !last.is_empty() => Ok(last.clone()),
            listed => listed,
        }
    }

    /// The lanes of some types, each type's own and the parts that are known: whoever sweeps keeps them up to date.
    pub(crate) fn lanes_of(&self, types: &[TaskType]) -> Vec<Lane> {
        let last = self.last_lanes();
        let parts = |task_type| {
            last.iter()
                .filter(move |lane| lane.task_type() == task_type && lane.partition().is_some())
        };
        types
            .iter()
            .flat_map(|task_type| {
                std::iter::once(Lane::whole(task_type)).chain(parts(task_type).cloned())
            })
            .collect()
    }

    /// Where a person's new task of a type belongs.
    pub fn lane_of(&self, task_type: &TaskType, user_id: i64) -> Lane {
        let parts = self.config.partitions.get(task_type).copied().unwrap_or(1);
        Lane::of_person(task_type, parts, user_id)
    }

    pub(crate) fn last_lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.last_lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
