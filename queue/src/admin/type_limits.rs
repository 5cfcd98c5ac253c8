//! How many tasks of a type may run, wait, and belong to one person.

use std::collections::BTreeMap;

use serde::Serialize;

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
/// that is divided into partitions, each partition has the limit for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TypeLimits {
    /// Most tasks that run at the same time.
    pub max_active: Option<u64>,
    /// Most tasks that wait.
    pub max_pending: Option<u64>,
    /// Most live tasks of one person.
    pub user_cap: Option<u64>,
}

impl TypeLimits {
    /// Reads the fields of `meta`.
    pub(super) fn read(meta: &BTreeMap<String, String>) -> Self {
        let of = |limit: TypeLimit| meta.get(limit.field()).and_then(|text| text.parse().ok());
        Self {
            max_active: of(TypeLimit::MaxActive),
            max_pending: of(TypeLimit::MaxPending),
            user_cap: of(TypeLimit::UserCap),
        }
    }
}

impl TaskQueue {
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
        let whole = Lane::whole(task_type);
        self.register_lane(&whole).await.map_err(during())?;
        for lane in self.listed_lanes_of(task_type).await? {
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
}
