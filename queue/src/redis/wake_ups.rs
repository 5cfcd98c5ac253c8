//! Waiting for work: wake-up tokens that a submit leaves for an idle worker.

use std::time::Duration;

use crate::error::RedisError;
use crate::redis::keys::Keys;
use crate::task::Lane;

use crate::redis::blocking::Waits;
use crate::redis::server::RedisServer;

/// Longest wait in one command; longer waits are made of several. Short, because a connection cannot be told to be silent
/// before its command's wait is over.
const LONGEST_BLOCK: Duration = Duration::from_secs(1);

/// Wake-ups as a stream: waits beside whoever listens, so that he may do other things in between without losing a
/// token.
#[derive(Debug)]
pub(crate) struct WakeUps {
    waits: Waits<Option<(String, String)>>,
    keys: Keys,
    lanes: Vec<Lane>,
}

impl WakeUps {
    pub(crate) fn new(server: &RedisServer, keys: &Keys) -> Self {
        let waits = Waits::new(server, LONGEST_BLOCK);
        Self { waits, keys: keys.clone(), lanes: Vec::new() }
    }

    /// Waits for a token of `lanes` from now on, at most `at_most`, unless it does already.
    pub(crate) fn ask(&mut self, lanes: &[Lane], at_most: Duration) {
        if self.lanes != lanes {
            self.lanes = lanes.to_vec();
        }
        // 0 would mean for ever.
        let wait = at_most.clamp(Duration::from_millis(10), LONGEST_BLOCK).as_secs_f64();
        self.waits.ask(lanes, |together| {
            let mut command = redis::cmd("BLPOP");
            for lane in together {
                command.arg(self.keys.wake(lane));
            }
            command.arg(wait);
            command
        });
    }

    /// The answer to the last [`WakeUps::ask`]: which lane may have a task, none when no token came in time. Never
    /// returns when nothing was asked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn woken(&mut self) -> Result<Option<Lane>, RedisError> {
        let woken = self.waits.answer().await.map_err(RedisError::during("wait for tasks"))?;
        let list = woken.map(|(list, _token)| list);
        Ok(self.lanes.iter().find(|known| list.as_ref() == Some(&self.keys.wake(known))).cloned())
    }
}
