//! Commands that block in the server. A dropped caller loses no reply.
//!
//! Each blocking command has a connection of its own. On one server, one command waits for all lanes. In a Cluster a
//! command cannot name keys of two slots, so each lane has its own connection, and they wait in parallel.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisResult};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::redis::connection::Connection;
use crate::redis::server::RedisServer;
use crate::redis::time::REDIS_RETRY_DELAY;
use crate::task::Lane;

/// The lanes that one command names.
pub(crate) type LaneGroup = Vec<Lane>;

/// Connections for blocking commands. Dropping this closes them.
#[derive(Debug)]
pub(crate) struct BlockingConnections<T> {
    server: RedisServer,
    max_block: Duration,
    /// By group name: a lane, or the empty text for all lanes.
    connections: HashMap<String, BlockingConnection>,
    reply_sender: mpsc::UnboundedSender<(String, RedisResult<T>)>,
    replies: mpsc::UnboundedReceiver<(String, RedisResult<T>)>,
}

#[derive(Debug)]
struct BlockingConnection {
    commands: mpsc::Sender<Cmd>,
    busy: bool,
    task: JoinHandle<()>,
}

impl Drop for BlockingConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: FromRedisValue + Send + 'static> BlockingConnections<T> {
    /// Connects with the first command. `max_block` is the longest time that a command blocks in the server.
    pub(crate) fn new(server: &RedisServer, max_block: Duration) -> Self {
        let (reply_sender, replies) = mpsc::unbounded_channel();
        let server = server.clone();
        Self { server, max_block, connections: HashMap::new(), reply_sender, replies }
    }

    /// Sends a command for each group of `lanes`, built by `command`. A group whose last command has not returned keeps
    /// that one. Connections for other lanes are closed.
    pub(crate) fn send(&mut self, lanes: &[Lane], command: impl Fn(&LaneGroup) -> Cmd) {
        let groups: Vec<(String, LaneGroup)> = if self.server.is_cluster() {
            lanes.iter().map(|one| (one.to_string(), vec![one.clone()])).collect()
        } else if lanes.is_empty() {
            Vec::new()
        } else {
            vec![(String::new(), lanes.to_vec())]
        };
        self.connections.retain(|name, _| groups.iter().any(|(group, _)| group == name));
        for (name, group) in groups {
            let connection = self
                .connections
                .entry(name.clone())
                .or_insert_with(|| start(&self.server, self.max_block, name, &self.reply_sender));
            // The channel holds one command, which is taken out before its reply is sent.
            if !connection.busy && connection.commands.try_send(command(&group)).is_ok() {
                connection.busy = true;
            }
        }
    }

    /// The next reply. Never returns when no command was sent.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a reply that was not taken stays in the channel.
    pub(crate) async fn next_reply(&mut self) -> RedisResult<T> {
        let Some((name, reply)) = self.replies.recv().await else {
            return std::future::pending().await; // Never closed: we hold a sender.
        };
        self.mark_idle(&name);
        reply
    }

    /// A reply that has arrived already.
    pub(crate) fn try_next_reply(&mut self) -> Option<RedisResult<T>> {
        let (name, reply) = self.replies.try_recv().ok()?;
        self.mark_idle(&name);
        Some(reply)
    }

    fn mark_idle(&mut self, name: &str) {
        if let Some(connection) = self.connections.get_mut(name) {
            connection.busy = false;
        }
    }
}

/// Runs commands one after the other, on a connection that is opened with the first.
fn start<T: FromRedisValue + Send + 'static>(
    server: &RedisServer,
    max_block: Duration,
    name: String,
    reply_sender: &mpsc::UnboundedSender<(String, RedisResult<T>)>,
) -> BlockingConnection {
    let (commands, mut received) = mpsc::channel::<Cmd>(1);
    let server = server.clone();
    let reply_sender = reply_sender.clone();
    let task = tokio::spawn(async move {
        let mut opened = None;
        while let Some(command) = received.recv().await {
            let connected = match opened.take() {
                Some(connection) => Ok(connection),
                None => Connection::blocking(&server, max_block).await,
            };
            let reply = match connected {
                Ok(mut connection) => {
                    let reply = command.query_async(&mut connection).await;
                    opened = Some(connection);
                    reply
                }
                Err(error) => Err(error),
            };
            let failed = reply.is_err();
            if reply_sender.send((name.clone(), reply)).is_err() {
                return;
            }
            if failed {
                tokio::time::sleep(REDIS_RETRY_DELAY).await;
            }
        }
    });
    BlockingConnection { commands, busy: false, task }
}
