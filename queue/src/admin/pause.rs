//! Pausing a task type.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{Lane, TaskType};

impl TaskQueue {
    /// Pauses or resumes a task type. While it is paused, running tasks go on, and waiting tasks wait until their deadline.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn set_paused(&self, task_type: &TaskType, paused: bool) -> Result<(), RedisError> {
        let whole = Lane::whole(task_type);
        self.register_lane(&whole).await.map_err(RedisError::during("pause a type"))?;
        for lane in self.listed_lanes_of(task_type).await? {
            let () = redis::cmd("HSET")
                .arg(self.keys.meta(&lane))
                .arg("paused")
                .arg(i32::from(paused))
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("pause a type"))?;
            if !paused {
                self.wake(&lane).await?;
            }
        }
        Ok(())
    }
}
