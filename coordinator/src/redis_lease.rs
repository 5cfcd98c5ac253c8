//! A lease in Redis, by which one coordinator at a time does something.

use std::time::Duration;

use queue::{Script, TaskQueue, millis};

use crate::script_reply;

/// KEYS 1 lease; ARGV 1 holder, 2 ms. RETURNS 1 when the holder has it now.
const ACQUIRE: &str = r"#!lua flags=allow-oom
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";
/// KEYS 1 lease; ARGV 1 holder. Gives it up when the holder has it.
const RELEASE: &str = r"#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// A lease, to be held by one coordinator. A full server takes its writes.
#[derive(Debug)]
pub(crate) struct RedisLease {
    queue: TaskQueue,
    key: String,
    me: String,
    lasts: Duration,
    acquire: Script,
    release: Script,
}

impl RedisLease {
    /// The lease at `key`, to be held by `me`. A silent holder keeps it for `lasts`.
    pub(crate) fn new(queue: TaskQueue, key: String, me: &str, lasts: Duration) -> Self {
        let acquire = Script::new(ACQUIRE);
        let release = Script::new(RELEASE);
        Self { queue, key, me: me.to_owned(), lasts, acquire, release }
    }

    /// Takes or renews it. Whether this coordinator holds it now.
    ///
    /// # Errors
    ///
    /// When Redis does not answer, or refuses.
    pub(crate) async fn hold(&self) -> redis::RedisResult<bool> {
        let held: i64 = self
            .acquire
            .key(&self.key)
            .arg(&self.me)
            .arg(millis(self.lasts))
            .run(&mut self.queue.connection())
            .await?;
        script_reply::flag("lease", held)
    }

    /// Releases it, so that another coordinator need not wait for its end.
    pub(crate) async fn release(&self) {
        let released: redis::RedisResult<i64> =
            self.release.key(&self.key).arg(&self.me).run(&mut self.queue.connection()).await;
        if let Err(error) = released {
            tracing::debug!(lease = self.key, error = %error, "lease not released; it expires");
        }
    }
}
