//! Commands in a Cluster: each goes to the node that has its keys, over a connection to that node alone.
//!
//! No node is waited for by whoever has nothing to do with it: a node that is silent, dead or moving holds up the
//! commands that are for it, and those only until its slots have another owner. Which node has what is looked up
//! beside the commands, by asking all nodes that are known at once; what the first says holds until a node says
//! otherwise.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use redis::aio::ConnectionLike;
use redis::{
    Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, Value,
};

use crate::redis::reconnecting::{Reconnecting, server_error};
use crate::redis::server::{RedisServer, Target, connect_to};
use crate::redis::slots::{Node, SlotMap, slot_of, slot_of_command};
use crate::redis::topology::Topology;

/// A node of a Cluster is asked for its map; there are others to ask.
const ASK_ONE_OF_SEVERAL: Duration = Duration::from_secs(1);
/// Nodes that are asked at the same time who has what.
const ASKED_AT_ONCE: usize = 16;
/// Between two looks for who has what.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// A node that is silent for this long may have been replaced: from then on we look.
const SILENT: Duration = Duration::from_millis(500);
/// How often a command is tried when nodes send it on, or say that they cannot answer it yet.
const ATTEMPTS: u32 = 5;
/// Pauses while a slot moves or a replica takes over, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Connections to the nodes of a Cluster, opened when they are needed. Clones share them.
#[derive(Clone)]
pub(super) struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    server: RedisServer,
    nodes: Mutex<HashMap<Node, Reconnecting>>,
    /// How long its commands wait in the server, if they do: then a short silence says nothing, and it needs one node at
    /// a time.
    waits: Option<Duration>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// What a node is asked.
#[derive(Clone, Copy)]
enum Asked<'a> {
    One(&'a Cmd),
    Several(&'a Pipeline, usize, usize),
}

impl Cluster {
    /// Finds out who has what, unless that is known.
    ///
    /// # Errors
    ///
    /// When no node answers.
    pub(super) async fn connect(server: RedisServer, waits: Option<Duration>) -> RedisResult<Self> {
        let known = !server.topology.map.borrow().nodes().is_empty();
        let shared = Shared { server, nodes: Mutex::default(), waits };
        let cluster = Self { shared: Arc::new(shared) };
        if !known {
            cluster.look().await?;
        }
        Ok(cluster)
    }

    /// Whether one of the masters answers.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        let asking = self.masters().into_iter().map(|node| {
            let ping = &ping;
            async move { self.ask(&node, None, Asked::One(ping), false).await.map(drop) }.boxed()
        });
        let asking: Vec<_> = asking.collect();
        if asking.is_empty() {
            return Err(nobody());
        }
        futures::future::select_ok(asking).await.map(drop)
    }

    /// What every master answers.
    pub(super) async fn ask_masters(&self, command: &Cmd) -> RedisResult<Vec<Value>> {
        let asking = self.masters().into_iter().map(|node| async move {
            let answer = self.ask(&node, None, Asked::One(command), false).await?;
            first(answer).extract_error()
        });
        futures::future::try_join_all(asking).await
    }

    fn topology(&self) -> &Topology {
        &self.shared.server.topology
    }

    fn masters(&self) -> Vec<Node> {
        self.topology().map.borrow().masters().into_iter().cloned().collect()
    }

    /// The node that has `key`, as far as is known.
    pub(super) fn owner_of(&self, key: &str) -> String {
        let owner = self.topology().owner(slot_of(key.as_bytes()));
        owner.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
    }

    /// Asks the node that has `key`.
    pub(super) async fn ask_owner(&self, key: &str, command: &Cmd) -> RedisResult<Value> {
        let answer = self.run(slot_of(key.as_bytes()), Asked::One(command)).await?;
        first(answer).extract_error()
    }

    /// Runs what is for one slot, wherever that is. What a server answered in place of a value is a value here.
    async fn run(&self, slot: u16, asked: Asked<'_>) -> RedisResult<Vec<Value>> {
        let mut sent_on = None;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (node, once) = match sent_on.take() {
                Some(there) => there,
                None => (self.owner(slot).await?, false),
            };
            let answer = self.ask(&node, Some(slot), asked, once).await;
            let error = match &answer {
                Ok(values) => values.iter().find_map(server_error),
                Err(error) => Some(error.clone()),
            };
            let Some(error) = error else { return answer };
            match Then::after(&error) {
                Then::GiveBack => return answer,
                _ if attempt >= ATTEMPTS => return answer,
                // Whether it was done is not known, so it is not done again.
                Then::Look => {
                    self.look_soon();
                    return answer;
                }
                Then::Wait => {
                    self.look_soon();
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
                }
                Then::Follow(to) => {
                    self.topology().map.send_modify(|map| map.moved(slot, to));
                    self.look_soon();
                }
                Then::FollowOnce(to) => sent_on = Some((to, true)),
            }
        }
    }

    async fn owner(&self, slot: u16) -> RedisResult<Node> {
        if let Some(owner) = self.topology().owner(slot) {
            return Ok(owner);
        }
        self.look().await?;
        self.topology().owner(slot).ok_or_else(nobody)
    }

    /// Asks a node. When the slot gets another owner meanwhile, nothing is expected from this one any more.
    async fn ask(
        &self,
        node: &Node,
        slot: Option<u16>,
        asked: Asked<'_>,
        once: bool,
    ) -> RedisResult<Vec<Value>> {
        let mut connection = self.node(node)?;
        let answer = async move {
            match asked {
                Asked::One(command) if once => ask_once(&mut connection, &[command]).await,
                Asked::One(command) => Ok(vec![connection.req_packed_command(command).await?]),
                Asked::Several(pipeline, _, _) if once => {
                    let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
                    ask_once(&mut connection, &commands).await
                }
                Asked::Several(pipeline, offset, count) => {
                    connection.req_packed_commands(pipeline, offset, count).await
                }
            }
        };
        let leaves = async {
            match slot {
                Some(slot) if !once => self.topology().leaves(slot, node).await,
                _ => std::future::pending().await,
            }
        };
        let silent = async {
            if self.shared.waits.is_some() {
                std::future::pending::<()>().await;
            }
            loop {
                tokio::time::sleep(SILENT).await;
                self.look_soon();
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = leaves => {
                Err(RedisError::from(std::io::Error::other("the keys are on another node now")))
            }
            never = silent => never,
        }
    }

    /// The connection to a node.
    fn node(&self, node: &Node) -> RedisResult<Reconnecting> {
        let mut nodes = self.shared.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = nodes.get(node) {
            return Ok(connection.clone());
        }
        let Shared { server, waits, .. } = &*self.shared;
        let to = Target::Server(Box::new(server.at(node.clone())?));
        let connection = Reconnecting::lazy(server, to, *waits);
        if waits.is_some() {
            nodes.clear();
        } else {
            let known = self.topology().map.borrow();
            nodes.retain(|node, _| known.nodes().contains(node));
        }
        nodes.insert(node.clone(), connection.clone());
        Ok(connection)
    }

    /// Looks who has what, beside the command that found a reason to. One look serves all who ask for it.
    fn look_soon(&self) {
        let cluster = self.clone();
        tokio::spawn(async move {
            let Ok(looking) = cluster.topology().looking.try_lock() else { return };
            if let Err(error) = cluster.look_at_nodes().await {
                tracing::debug!(error = %error, "no node of the Cluster says who has what");
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            drop(looking);
        });
    }

    async fn look(&self) -> RedisResult<()> {
        let _looking = self.topology().looking.lock().await;
        self.look_at_nodes().await
    }

    /// Asks every node that is known who has what, until one says that is not behind what is known. When all are (the
    /// Cluster was made anew), the newest holds.
    async fn look_at_nodes(&self) -> RedisResult<()> {
        let known = self.topology().map.borrow().epoch();
        let asking =
            self.shared.server.nodes().into_iter().map(|node| self.ask_for_map(node).boxed());
        let mut answers = futures::stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        let mut newest: RedisResult<SlotMap> = Err(nobody());
        while let Some(answer) = answers.next().await {
            let epoch = newest.as_ref().ok().map(SlotMap::epoch);
            match answer {
                Ok(map) if epoch < Some(map.epoch()) => newest = Ok(map),
                Err(error) if newest.is_err() => newest = Err(error),
                _ => {}
            }
            if newest.as_ref().is_ok_and(|map| known <= map.epoch()) {
                break;
            }
        }
        self.topology().put(newest?);
        Ok(())
    }

    async fn ask_for_map(&self, node: ConnectionInfo) -> RedisResult<SlotMap> {
        let asked = match node.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                (host.clone(), *port)
            }
            _ => return Err(nobody()),
        };
        let client = self.shared.server.client(node)?;
        let mut connection =
            connect_to(client, ASK_ONE_OF_SEVERAL, Some(ASK_ONE_OF_SEVERAL)).await?;
        let slots: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
        let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await?;
        SlotMap::read(&slots, &info, &asked).ok_or_else(nobody)
    }
}

/// Asks a node for a slot that is on its way to it.
async fn ask_once(connection: &mut Reconnecting, commands: &[&Cmd]) -> RedisResult<Vec<Value>> {
    let mut pipeline = redis::pipe();
    for command in commands {
        pipeline.cmd("ASKING");
        pipeline.add_command((*command).clone());
    }
    let answers = connection.req_packed_commands(&pipeline, 0, 2 * commands.len()).await?;
    Ok(answers.into_iter().skip(1).step_by(2).collect())
}

/// The answer to [`Asked::One`].
fn first(answer: Vec<Value>) -> Value {
    answer.into_iter().next().unwrap_or(Value::Nil)
}

fn nobody() -> RedisError {
    RedisError::from((
        ErrorKind::ClusterConnectionNotFound,
        "no node of the Cluster has these keys",
    ))
}

/// What follows from an error.
enum Then {
    GiveBack,
    Look,
    Wait,
    Follow(Node),
    FollowOnce(Node),
}

impl Then {
    fn after(error: &RedisError) -> Self {
        use ServerErrorKind::{
            Ask, BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly, TryAgain,
        };
        let to = || error.redirect_node().and_then(|(node, _slot)| read_address(node));
        match error.kind() {
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => Self::Look,
            ErrorKind::Server(Moved) => to().map_or(Self::Wait, Self::Follow),
            ErrorKind::Server(Ask) => to().map_or(Self::Wait, Self::FollowOnce),
            ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain) => {
                Self::Wait
            }
            _ => Self::GiveBack,
        }
    }
}

/// `host:port`.
fn read_address(node: &str) -> Option<Node> {
    let (host, port) = node.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}

impl ConnectionLike for Cluster {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let slot = slot_of_command(cmd).ok_or_else(nobody)?;
            let answer = self.run(slot, Asked::One(cmd)).await?;
            Ok(first(answer))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let slot = pipeline.cmd_iter().next().and_then(slot_of_command).ok_or_else(nobody)?;
            self.run(slot, Asked::Several(pipeline, offset, count)).await
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
