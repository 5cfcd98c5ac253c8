//! Commands that wait in the server, answered without losing an answer.
//!
//! A command that waits has a connection of its own. On one server a single command waits for all lanes; in a
//! Cluster no command can name keys of two slots, so there is one connection per lane, and they wait side by side.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisResult};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::redis::connection::Connection;
use crate::redis::server::RedisServer;
use crate::redis::time::RETRY_PAUSE;
use crate::task::Lane;

/// The lanes that one command waits for.
pub(crate) type Together = Vec<Lane>;

/// Waits for several things at once. Dropping it drops the connections.
#[derive(Debug)]
pub(crate) struct Waits<T> {
    server: RedisServer,
    longest: Duration,
    /// By what is waited for: a lane's name, or nothing for all of them.
    waiting: HashMap<String, Waiting>,
    answer: mpsc::UnboundedSender<(String, RedisResult<T>)>,
    answers: mpsc::UnboundedReceiver<(String, RedisResult<T>)>,
}

#[derive(Debug)]
struct Waiting {
    asks: mpsc::Sender<Cmd>,
    asked: bool,
    task: JoinHandle<()>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: FromRedisValue + Send + 'static> Waits<T> {
    /// Nothing is connected until something is asked. `longest` bounds how long one command waits in the server.
    pub(crate) fn new(server: &RedisServer, longest: Duration) -> Self {
        let (answer, answers) = mpsc::unbounded_channel();
        Self { server: server.clone(), longest, waiting: HashMap::new(), answer, answers }
    }

    /// Waits for what concerns `lanes` from now on, with the command that `command` makes for those that can be named
    /// together. What is waited for already goes on being waited for.
    pub(crate) fn ask(&mut self, lanes: &[Lane], command: impl Fn(&Together) -> Cmd) {
        let groups: Vec<(String, Together)> = if self.server.has_slots() {
            lanes.iter().map(|one| (one.to_string(), vec![one.clone()])).collect()
        } else if lanes.is_empty() {
            Vec::new()
        } else {
            vec![(String::new(), lanes.to_vec())]
        };
        self.waiting.retain(|name, _| groups.iter().any(|(group, _)| group == name));
        for (name, together) in groups {
            let waiting = self
                .waiting
                .entry(name.clone())
                .or_insert_with(|| start(&self.server, self.longest, name, &self.answer));
            // Room for one: an ask is taken from the channel before its answer is given.
            if !waiting.asked && waiting.asks.try_send(command(&together)).is_ok() {
                waiting.asked = true;
            }
        }
    }

    /// The next answer to an ask. Never returns when nothing was asked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an answer that is not taken stays.
    pub(crate) async fn answer(&mut self) -> RedisResult<T> {
        let Some((name, answer)) = self.answers.recv().await else {
            return std::future::pending().await; // Never closed: we hold a sender.
        };
        self.answered(&name);
        answer
    }

    /// An answer that is there already.
    pub(crate) fn ready(&mut self) -> Option<RedisResult<T>> {
        let (name, answer) = self.answers.try_recv().ok()?;
        self.answered(&name);
        Some(answer)
    }

    fn answered(&mut self, name: &str) {
        if let Some(waiting) = self.waiting.get_mut(name) {
            waiting.asked = false;
        }
    }
}

/// Runs one command after the other, on a connection that is opened with the first.
fn start<T: FromRedisValue + Send + 'static>(
    server: &RedisServer,
    longest: Duration,
    name: String,
    answer: &mpsc::UnboundedSender<(String, RedisResult<T>)>,
) -> Waiting {
    let (asks, mut asked) = mpsc::channel::<Cmd>(1);
    let server = server.clone();
    let answer = answer.clone();
    let task = tokio::spawn(async move {
        let mut opened = None;
        while let Some(command) = asked.recv().await {
            let connected = match opened.take() {
                Some(connection) => Ok(connection),
                None => Connection::blocking(&server, longest).await,
            };
            let answered = match connected {
                Ok(mut connection) => {
                    let answered = command.query_async(&mut connection).await;
                    opened = Some(connection);
                    answered
                }
                Err(error) => Err(error),
            };
            let trouble = answered.is_err();
            if answer.send((name.clone(), answered)).is_err() {
                return;
            }
            if trouble {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    });
    Waiting { asks, asked: false, task }
}
