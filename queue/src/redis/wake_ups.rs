//! Waiting for work: a submit leaves a wake-up token, and an idle worker takes it.

use std::time::Duration;

use crate::error::RedisError;
use crate::redis::blocking::BlockingConnections;
use crate::redis::keys::Keys;
use crate::redis::server::RedisServer;
use crate::task::Lane;

/// Longest wait in one command; a longer wait takes several. Short, because a connection counts as silent only after the
/// command's own wait.
const MAX_BLOCK: Duration = Duration::from_secs(1);

/// Waits for wake-up tokens in the background, so a dropped `select!` branch loses no token.
#[derive(Debug)]
pub(crate) struct WakeUps {
    connections: BlockingConnections<Option<(String, String)>>,
    keys: Keys,
    lanes: Vec<Lane>,
}

impl WakeUps {
    pub(crate) fn new(server: &RedisServer, keys: &Keys) -> Self {
        let connections = BlockingConnections::new(server, MAX_BLOCK);
        Self { connections, keys: keys.clone(), lanes: Vec::new() }
    }

    /// Starts to wait for a token of `lanes`, for at most `max_wait`. Does nothing for a lane that is waited for already.
    pub(crate) fn listen(&mut self, lanes: &[Lane], max_wait: Duration) {
        if self.lanes != lanes {
            self.lanes = lanes.to_vec();
        }
        // BLPOP takes 0 for an endless wait.
        let wait = max_wait.clamp(Duration::from_millis(10), MAX_BLOCK).as_secs_f64();
        self.connections.send(lanes, |group| {
            let mut command = redis::cmd("BLPOP");
            for lane in group {
                command.arg(self.keys.wake(lane));
            }
            command.arg(wait);
            command
        });
    }

    /// The end of a wait: the lane that may have a task, or none when no token came in time. Never returns when
    /// [`WakeUps::listen`] was not called.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Lane>, RedisError> {
        let reply = self.connections.next_reply().await;
        let list = reply.map_err(RedisError::during("wait for tasks"))?.map(|(list, _token)| list);
        Ok(self.lanes.iter().find(|lane| list.as_ref() == Some(&self.keys.wake(lane))).cloned())
    }
}
