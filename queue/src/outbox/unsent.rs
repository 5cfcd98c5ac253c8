//! The outbox, looked at without taking anything from it.

use redis::streams::StreamRangeReply;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::outbox::reply::{Reply, read_entry};

impl TaskQueue {
    /// The oldest answers that were not sent, at most `max` of each lane, oldest first. One that cannot be read is left
    /// out.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn unsent(&self, max: usize) -> Result<Vec<Reply>, RedisError> {
        let mut replies = Vec::new();
        for lane in self.lanes().await? {
            let read: StreamRangeReply = redis::cmd("XRANGE")
                .arg(self.keys.replies(&lane))
                .arg(&["-", "+", "COUNT"])
                .arg(max)
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("look at the outbox"))?;
            replies.extend(read.ids.iter().filter_map(|entry| read_entry(&lane, entry)));
        }
        replies.sort_by_key(|reply| std::cmp::Reverse(reply.age()));
        replies.truncate(max);
        Ok(replies)
    }
}
