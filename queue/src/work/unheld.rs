//! Ending tasks that nobody holds: by the sweep, by a cancellation, or because they cannot be read. The history of finished
//! tasks learns of them here.

use std::collections::HashMap;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::history::note::Unheld;
use crate::redis::task_record::TaskRecord;
use crate::task::{Lane, Task};
use crate::work::finish::FinishItem;
use crate::work::reply::FinishReply;

impl TaskQueue {
    /// As [`TaskQueue::finish_items`], and notes the outcome for the history.
    pub(crate) async fn finish_unheld(
        &self,
        lane: &Lane,
        items: &[FinishItem<'_>],
    ) -> Result<Vec<FinishReply>, RedisError> {
        let Some(history) = &self.history else { return self.finish_items(lane, items).await };
        // Afterwards the records are gone. If they cannot be read, the tasks end all the same.
        let known = self.read_unheld(lane, items).await.unwrap_or_default();
        let replies = self.finish_items(lane, items).await?;
        for (item, reply) in items.iter().zip(&replies) {
            if let Some(unheld) = known.get(item.id) {
                history.note_unheld(unheld, item.result, *reply);
            }
        }
        Ok(replies)
    }

    async fn read_unheld<'a>(
        &self,
        lane: &Lane,
        items: &[FinishItem<'a>],
    ) -> Result<HashMap<&'a str, Unheld>, RedisError> {
        let ids: Vec<&str> = items.iter().map(|item| item.id).collect();
        let values: Vec<Option<Vec<u8>>> = redis::cmd("HMGET")
            .arg(self.keys.data(lane))
            .arg(&ids)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read tasks that end"))?;
        let read = |(id, value): (&'a str, Option<Vec<u8>>)| {
            let value = value?;
            let record = TaskRecord::read(&value)?;
            let task = serde_json::from_slice(record.envelope).ok();
            let unheld = Unheld {
                task: task.or_else(|| Task::salvage(record.envelope))?,
                held: record.claimed_at.map(|at| (record.worker.to_owned(), at)),
                failures: record.failures,
                crashes: record.crashes,
            };
            Some((id, unheld))
        };
        Ok(ids.into_iter().zip(values).filter_map(read).collect())
    }
}
