//! How many tasks of a type may run, wait, belong to one person, and start in a time.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::admin::rate::Rate;
use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{Lane, TaskType};

/// One limit of a task type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeLimit {
    /// Most tasks that run at the same time.
    MaxActive,
    /// Most tasks that wait; a submit beyond is refused.
    MaxPending,
    /// Most live tasks of one person; a submit beyond is refused.
    UserCap,
}

impl TypeLimit {
    /// The field of `meta` that the scripts read.
    fn field(self) -> &'static str {
        match self {
            Self::MaxActive => "max_active",
            Self::MaxPending => "max_pending",
            Self::UserCap => "user_cap",
        }
    }
}

/// The limits that an operator has set for a task type. None: the default, which for running tasks is no limit. Of a type
/// that is divided into partitions, each partition has the numbers for itself, and all share the rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TypeLimits {
    /// Most tasks that run at the same time.
    pub max_active: Option<u64>,
    /// Most tasks that wait.
    pub max_pending: Option<u64>,
    /// Most live tasks of one person.
    pub user_cap: Option<u64>,
    /// How many tasks start in a time, retries included.
    pub rate: Option<Rate>,
    /// The time between two starts of this lane, in ms.
    #[serde(skip)]
    interval_ms: Option<f64>,
}

/// The field of `meta` with the time between two starts, in ms.
const INTERVAL: &str = "interval";
/// The field of `meta` with the time up to which the rate is used, in ms.
const PACED: &str = "paced";

impl TypeLimits {
    /// Reads the fields of `meta`.
    pub(super) fn read(meta: &BTreeMap<String, String>) -> Self {
        let of = |limit: TypeLimit| meta.get(limit.field()).and_then(|text| text.parse().ok());
        let interval_ms = meta.get(INTERVAL).and_then(|text| text.parse().ok());
        Self {
            max_active: of(TypeLimit::MaxActive),
            max_pending: of(TypeLimit::MaxPending),
            user_cap: of(TypeLimit::UserCap),
            rate: Rate::of_intervals(interval_ms),
            interval_ms,
        }
    }

    /// Adds those of another lane of the same type.
    pub(super) fn add(&mut self, other: &Self) {
        let intervals = [self.interval_ms, other.interval_ms];
        self.rate = Rate::of_intervals(intervals.into_iter().flatten());
        self.interval_ms = self.rate.map(|rate| rate.interval_ms(1));
        self.max_active = self.max_active.or(other.max_active);
        self.max_pending = self.max_pending.or(other.max_pending);
        self.user_cap = self.user_cap.or(other.user_cap);
    }
}

impl TaskQueue {
    /// The limits that an operator has set for a type.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn type_limits(&self, task_type: &TaskType) -> Result<TypeLimits, RedisError> {
        let mut limits = TypeLimits::default();
        for lane in self.listed_lanes_of(task_type).await? {
            let meta: BTreeMap<String, String> = redis::cmd("HGETALL")
                .arg(self.keys.meta(&lane))
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("read a type's limits"))?;
            limits.add(&TypeLimits::read(&meta));
        }
        Ok(limits)
    }

    /// Sets a limit of a task type; none for the default. It counts from the next claim or submit; what runs or waits
    /// already stays.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn set_type_limit(
        &self,
        task_type: &TaskType,
        limit: TypeLimit,
        most: Option<u64>,
    ) -> Result<(), RedisError> {
        let during = || RedisError::during("set a type's limit");
        for lane in self.limited_lanes(task_type).await? {
            let key = self.keys.meta(&lane);
            let command = match most {
                Some(most) => redis::Cmd::hset(key, limit.field(), most),
                None => redis::Cmd::hdel(key, limit.field()),
            };
            let _changed: i64 =
                command.query_async(&mut self.connection.clone()).await.map_err(during())?;
            if limit == TypeLimit::MaxActive {
                // More may run now.
                self.wake(&lane).await?;
            }
        }
        Ok(())
    }

    /// Sets how many tasks of a type may start in a time, retries included; none for no limit. All lanes of the type share it.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Calling again is safe.
    pub async fn set_rate_limit(
        &self,
        task_type: &TaskType,
        rate: Option<Rate>,
    ) -> Result<(), RedisError> {
        let lanes = self.limited_lanes(task_type).await?;
        for lane in &lanes {
            let key = self.keys.meta(lane);
            let mut pipe = redis::pipe();
            // What the former rate has used does not count.
            pipe.hdel(&key, PACED).ignore();
            match rate {
                Some(rate) => {
                    pipe.hset(&key, INTERVAL, format!("{:.3}", rate.interval_ms(lanes.len())))
                }
                None => pipe.hdel(&key, INTERVAL),
            };
            let () = pipe
                .ignore()
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("set a type's rate limit"))?;
            // More may start now.
            self.wake(lane).await?;
        }
        Ok(())
    }

    /// The lanes of a type. Without any, that of a type without partitions, which is registered.
    async fn limited_lanes(&self, task_type: &TaskType) -> Result<Vec<Lane>, RedisError> {
        let lanes = self.listed_lanes_of(task_type).await?;
        if !lanes.is_empty() {
            return Ok(lanes);
        }
        let whole = Lane::whole(task_type);
        self.register_lane(&whole).await.map_err(RedisError::during("set a type's limit"))?;
        Ok(vec![whole])
    }
}
