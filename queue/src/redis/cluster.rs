//! Commands in a Cluster: each goes to the node that owns its keys, over a connection to that node alone.
//!
//! A node that is silent, dead or losing a slot delays only commands for its own keys, and those only until their slots
//! have another owner. The slot map is refreshed in the background ([`slot_map`]).

mod redirect;
mod slot_map;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};

use crate::redis::cluster::redirect::NextStep;
use crate::redis::cluster::slot_map::{no_owner, refresh, refresh_in_background};
use crate::redis::reconnecting::{ReconnectingConnection, server_error};
use crate::redis::server::{RedisServer, Target};
use crate::redis::slots::{Node, slot_of, slot_of_command};
use crate::redis::topology::Topology;

/// A node that is silent for this long may have been replaced: the slot map is refreshed, and again after each such time.
const SILENCE_BEFORE_REFRESH: Duration = Duration::from_millis(500);
/// How often a command is sent when nodes redirect it, or cannot answer it yet.
const MAX_ATTEMPTS: u32 = 5;
/// Pause while a slot moves or a replica takes over; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Connections to the nodes of a Cluster, opened when they are needed. Clones share them.
#[derive(Clone)]
pub(super) struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    server: RedisServer,
    nodes: Mutex<HashMap<Node, ReconnectingConnection>>,
    /// How long commands block in the server, if they do. Then a short silence means nothing, and one node is enough.
    block_time: Option<Duration>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// What is sent to a node.
#[derive(Clone, Copy)]
enum Request<'a> {
    Command(&'a Cmd),
    /// A pipeline with the offset and the count of the replies to return.
    Pipeline(&'a Pipeline, usize, usize),
}

impl Cluster {
    /// Reads the slot map, unless the process has one.
    ///
    /// # Errors
    ///
    /// When no node answers.
    pub(super) async fn connect(
        server: RedisServer,
        block_time: Option<Duration>,
    ) -> RedisResult<Self> {
        if server.topology.map.borrow().nodes().is_empty() {
            refresh(&server).await?;
        }
        let shared = Shared { server, nodes: Mutex::default(), block_time };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether one of the masters answers.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        let pings = self.masters().into_iter().map(|node| {
            let ping = &ping;
            async move { self.send(&node, None, Request::Command(ping), false).await.map(drop) }
                .boxed()
        });
        let pings: Vec<_> = pings.collect();
        if pings.is_empty() {
            return Err(no_owner());
        }
        futures::future::select_ok(pings).await.map(drop)
    }

    /// The reply of every master.
    pub(super) async fn ask_masters(&self, command: &Cmd) -> RedisResult<Vec<Value>> {
        let replies = self.masters().into_iter().map(|node| async move {
            let reply = self.send(&node, None, Request::Command(command), false).await?;
            first(reply).extract_error()
        });
        futures::future::try_join_all(replies).await
    }

    fn topology(&self) -> &Topology {
        &self.shared.server.topology
    }

    fn masters(&self) -> Vec<Node> {
        self.topology().map.borrow().masters().into_iter().cloned().collect()
    }

    /// The node that owns `key`, by the current slot map.
    pub(super) fn owner_of(&self, key: &str) -> String {
        let owner = self.topology().owner(slot_of(key.as_bytes()));
        owner.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
    }

    /// The reply of the node that owns `key`.
    pub(super) async fn ask_owner(&self, key: &str, command: &Cmd) -> RedisResult<Value> {
        let reply = self.run(slot_of(key.as_bytes()), Request::Command(command)).await?;
        first(reply).extract_error()
    }

    /// Runs a request for one slot on the slot's owner. An error that the server sent in place of a value is returned as a
    /// value.
    async fn run(&self, slot: u16, request: Request<'_>) -> RedisResult<Vec<Value>> {
        let mut redirect = None;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (node, once) = match redirect.take() {
                Some(redirect) => redirect,
                None => (self.owner(slot).await?, false),
            };
            let reply = self.send(&node, Some(slot), request, once).await;
            let error = match &reply {
                Ok(values) => values.iter().find_map(server_error),
                Err(error) => Some(error.clone()),
            };
            let Some(error) = error else { return reply };
            match NextStep::after(&error) {
                NextStep::Return => return reply,
                _ if attempt >= MAX_ATTEMPTS => return reply,
                // Nobody knows whether the command ran, so it is not sent again.
                NextStep::RefreshAndReturn => {
                    self.refresh_in_background();
                    return reply;
                }
                NextStep::Wait => {
                    self.refresh_in_background();
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
                }
                NextStep::Follow(to) => {
                    self.topology().map.send_modify(|map| map.moved(slot, to));
                    self.refresh_in_background();
                }
                NextStep::FollowOnce(to) => redirect = Some((to, true)),
            }
        }
    }

    async fn owner(&self, slot: u16) -> RedisResult<Node> {
        if let Some(owner) = self.topology().owner(slot) {
            return Ok(owner);
        }
        refresh(&self.shared.server).await?;
        self.topology().owner(slot).ok_or_else(no_owner)
    }

    /// Sends a request to a node. Gives up when the slot gets another owner meanwhile. `once` is set after an `ASK`
    /// redirect.
    async fn send(
        &self,
        node: &Node,
        slot: Option<u16>,
        request: Request<'_>,
        once: bool,
    ) -> RedisResult<Vec<Value>> {
        let mut connection = self.node(node)?;
        let reply = async move {
            match request {
                Request::Command(command) if once => send_once(&mut connection, &[command]).await,
                Request::Command(command) => {
                    Ok(vec![connection.req_packed_command(command).await?])
                }
                Request::Pipeline(pipeline, _, _) if once => {
                    let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
                    send_once(&mut connection, &commands).await
                }
                Request::Pipeline(pipeline, offset, count) => {
                    connection.req_packed_commands(pipeline, offset, count).await
                }
            }
        };
        let slot_moved = async {
            match slot {
                Some(slot) if !once => self.topology().slot_moved(slot, node).await,
                _ => std::future::pending().await,
            }
        };
        let refresh_while_silent = async {
            if self.shared.block_time.is_some() {
                std::future::pending::<()>().await;
            }
            loop {
                tokio::time::sleep(SILENCE_BEFORE_REFRESH).await;
                self.refresh_in_background();
            }
        };
        tokio::select! {
            biased;
            reply = reply => reply,
            () = slot_moved => {
                Err(RedisError::from(std::io::Error::other("the keys are on another node now")))
            }
            never = refresh_while_silent => never,
        }
    }

    /// The connection to a node.
    fn node(&self, node: &Node) -> RedisResult<ReconnectingConnection> {
        let mut nodes = self.shared.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = nodes.get(node) {
            return Ok(connection.clone());
        }
        let Shared { server, block_time, .. } = &*self.shared;
        let target = Target::Server(Box::new(server.node_at(node.clone())?));
        let connection = ReconnectingConnection::lazy(server, target, *block_time);
        if block_time.is_some() {
            nodes.clear();
        } else {
            let map = self.topology().map.borrow();
            nodes.retain(|node, _| map.nodes().contains(node));
        }
        nodes.insert(node.clone(), connection.clone());
        Ok(connection)
    }

    fn refresh_in_background(&self) {
        refresh_in_background(self.shared.server.clone());
    }
}

/// Sends commands for a slot that is moving to this node (after an `ASK` redirect).
async fn send_once(
    connection: &mut ReconnectingConnection,
    commands: &[&Cmd],
) -> RedisResult<Vec<Value>> {
    let mut pipeline = redis::pipe();
    for command in commands {
        pipeline.cmd("ASKING");
        pipeline.add_command((*command).clone());
    }
    let replies = connection.req_packed_commands(&pipeline, 0, 2 * commands.len()).await?;
    Ok(replies.into_iter().skip(1).step_by(2).collect())
}

/// The reply to [`Request::Command`].
fn first(reply: Vec<Value>) -> Value {
    reply.into_iter().next().unwrap_or(Value::Nil)
}

impl ConnectionLike for Cluster {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let slot = slot_of_command(cmd).ok_or_else(no_owner)?;
            let reply = self.run(slot, Request::Command(cmd)).await?;
            Ok(first(reply))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let slot = pipeline.cmd_iter().next().and_then(slot_of_command).ok_or_else(no_owner)?;
            self.run(slot, Request::Pipeline(pipeline, offset, count)).await
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
