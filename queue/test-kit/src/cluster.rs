//! A real Redis Cluster for one test: three masters with a replica each. Stopped at the end of the test.
//!
//! Nodes are named by index: 0, 1 and 2 are the first masters, 3, 4 and 5 their replicas in this order. Later roles are
//! read from the running nodes, never stored. Functions that wait for the cluster are async, so that other tasks of a
//! test can run.

mod view;

use std::path::Path;

use self::view::View;
use crate::server::{KEEPS_ALL, Server, command};
use crate::until;

const MASTERS: usize = 3;
const NODES: usize = 2 * MASTERS;
const SLOTS: usize = 16384;
/// A node is suspected after 1.5 s, and a replica takes over even if it lacks some writes, without further delays.
const OPTIONS: &[&str] = &[
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1500",
    "--cluster-replica-validity-factor",
    "0",
    "--cluster-require-full-coverage",
    "no",
    "--cluster-announce-ip",
    "127.0.0.1",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
];

/// A running cluster that keeps everything on disk. Killed when dropped.
#[derive(Debug)]
pub struct TestCluster {
    nodes: Vec<Server>,
}

impl TestCluster {
    /// Starts it, and returns when every node reports that it is complete.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server` or the cluster does not come up.
    pub async fn start() -> Self {
        let node = |port, folder: &Path| command(port, folder, &[KEEPS_ALL, OPTIONS].concat());
        let cluster = Self { nodes: (0..NODES).map(|_| Server::start(node)).collect() };
        cluster.divide_slots();
        cluster.introduce().await;
        cluster.attach_replicas();
        cluster.settled().await;
        cluster
    }

    /// The address of all six nodes.
    pub fn url(&self) -> String {
        let all: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", all.join(","))
    }

    /// The ports of all nodes.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Server::port).collect()
    }

    /// The port of a node.
    pub fn port(&self, node: usize) -> u16 {
        self.nodes[node].port()
    }

    /// The node that is master for the key's slot now. It may be dead or frozen, until another takes over.
    ///
    /// # Panics
    ///
    /// When no node knows one.
    pub fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key);
        // Where they differ, all of them will accept the claim with the highest epoch.
        let claims = self.living().filter_map(|node| view(node).ok()?.claim(slot));
        let (_, port) = claims.max().unwrap_or_else(|| panic!("nobody has the slot of `{key}`"));
        self.node_on(port)
    }

    /// The slot of a key.
    ///
    /// # Panics
    ///
    /// When no node lives.
    pub fn slot(&self, key: &str) -> u16 {
        let node = self.living().next().unwrap_or_else(|| panic!("no node lives"));
        node.ask(&["CLUSTER", "KEYSLOT", key]).parse().unwrap()
    }

    /// What `redis-cli` prints about a command to one node.
    ///
    /// # Panics
    ///
    /// When the node is dead or frozen.
    pub fn ask(&self, node: usize, command: &[&str]) -> String {
        self.nodes[node].ask(command)
    }

    /// As [`TestCluster::ask`], to every living node that is master for slots.
    ///
    /// # Panics
    ///
    /// When a living node does not answer.
    pub fn ask_all_masters(&self, command: &[&str]) -> Vec<String> {
        self.living_masters().map(|master| master.ask(command)).collect()
    }

    /// As [`TestCluster::ask`], to every living node.
    ///
    /// # Panics
    ///
    /// When a living node does not answer.
    pub fn ask_everyone(&self, command: &[&str]) -> Vec<String> {
        self.living().map(|node| node.ask(command)).collect()
    }

    /// A living replica of a master.
    ///
    /// # Panics
    ///
    /// When it has none.
    pub fn replica_of(&self, master: usize) -> usize {
        let port = self.port(master);
        let views = self.living().filter_map(|node| view(node).ok());
        let replicas = views.flat_map(|view| {
            view.replicas(port).map(|replica| self.node_on(replica.port)).collect::<Vec<_>>()
        });
        let living = replicas.into_iter().find(|replica| self.nodes[*replica].living());
        living.unwrap_or_else(|| panic!("node {master} has no living replica"))
    }

    /// Ends a node with SIGKILL, frozen or not.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a killed node again on its port and folder. It may act as a master until the others correct it;
    /// [`TestCluster::settled`] waits for that.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn revive(&mut self, node: usize) {
        self.nodes[node].revive();
    }

    /// Freezes a node with SIGSTOP: its connections stay open, but nothing is answered.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn freeze(&self, node: usize) {
        self.nodes[node].freeze();
    }

    /// Continues a frozen node.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn thaw(&self, node: usize) {
        self.nodes[node].thaw();
    }

    /// Makes the replica of the key's master take over without asking anyone, and returns it when all running nodes
    /// follow. Writes that the old master had not sent yet are lost.
    ///
    /// # Panics
    ///
    /// When the master has no living replica or the others do not follow in time.
    pub async fn fail_over(&self, key: &str) -> usize {
        let old = self.owner(key);
        let new = self.replica_of(old);
        self.nodes[new].order(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
        self.agree_on(key, new).await;
        new
    }

    /// Waits until all living nodes have another master than `old` for the key's slot, and returns it.
    ///
    /// # Panics
    ///
    /// When none takes over in time.
    pub async fn wait_for_owner_change(&self, key: &str, old: usize) -> usize {
        let slot = self.slot(key);
        until(&format!("another master than node {old} for `{key}`"), || {
            let new = self.agreed_owner(slot)?;
            if new == old { Err(format!("node {old} has it")) } else { Ok(new) }
        })
        .await
    }

    /// Waits until the running replicas of a master have all its writes. (`WAIT` by [`TestCluster::ask`] does not help: it
    /// concerns only the writes of its own connection.)
    ///
    /// # Panics
    ///
    /// When the master does not live or its replicas do not come after it in time.
    pub async fn replicated(&self, master: usize) {
        let master = &self.nodes[master];
        let written = master.offset().unwrap_or_else(|error| panic!("{error}"));
        until("that replicas have all", || {
            let view = view(master)?;
            let replicas = view.replicas(master.port()).map(|replica| self.node_on(replica.port));
            let mut living = replicas.map(|node| &self.nodes[node]).filter(|node| node.living());
            living.try_for_each(|replica| replica.has(written))
        })
        .await;
    }

    /// Waits until the running nodes form a complete cluster: they agree, each slot's master runs, and each running replica
    /// follows its master.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    pub async fn settled(&self) {
        until("a whole cluster", || self.whole()).await;
    }

    /// Whether the condition of [`TestCluster::settled`] holds.
    pub fn is_settled(&self) -> bool {
        self.whole().is_ok()
    }

    /// Moves the key's slot with all its keys to another master, as resharding does.
    ///
    /// # Panics
    ///
    /// When a node refuses, for instance because `to` is no master.
    pub async fn move_slot(&self, key: &str, to: usize) {
        self.begin_moving_slot(key, to);
        self.finish_moving_slot(key, to).await;
    }

    /// Opens the key's slot for a move to another master and moves no key yet. From now on a key that is not there is
    /// answered with ASK, and several of which some are not there with TRYAGAIN.
    ///
    /// # Panics
    ///
    /// As [`TestCluster::move_slot`].
    pub fn begin_moving_slot(&self, key: &str, to: usize) {
        let slot = self.slot(key).to_string();
        let from = self.owner(key);
        let from_id = self.id(from);
        let to_id = self.id(to);
        self.nodes[to].order(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        self.nodes[from].order(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    }

    /// Moves one key of a slot that is open for a move. A key that is not there is left alone.
    ///
    /// # Panics
    ///
    /// When a node refuses.
    pub fn move_key(&self, key: &str, to: usize) {
        self.migrate(&[key], self.owner(key), to);
    }

    /// Moves the remaining keys of a slot that is open for a move, closes it, and returns when all running nodes know.
    ///
    /// # Panics
    ///
    /// As [`TestCluster::move_slot`].
    pub async fn finish_moving_slot(&self, key: &str, to: usize) {
        let slot = self.slot(key).to_string();
        let from = self.owner(key);
        loop {
            let keys = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
            if keys.is_empty() {
                break;
            }
            self.migrate(&keys.lines().collect::<Vec<_>>(), from, to);
        }
        let to_id = self.id(to);
        let close = |node: &Server| node.order(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        // The new master first: if it died after the old one gave up the slot, the slot would have no owner.
        close(&self.nodes[to]);
        close(&self.nodes[from]);
        let others = [self.port(to), self.port(from)];
        self.living_masters().filter(|node| !others.contains(&node.port())).for_each(close);
        self.agree_on(key, to).await;
    }
}

/// How it is built and changed.
impl TestCluster {
    fn divide_slots(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            // Without distinct epochs the masters would first have to resolve that they have the same.
            node.order(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        for (index, master) in self.nodes[..MASTERS].iter().enumerate() {
            let first = (index * SLOTS / MASTERS).to_string();
            let last = ((index + 1) * SLOTS / MASTERS - 1).to_string();
            master.order(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
    }

    /// Introduces every node to every other, which is faster than gossip.
    async fn introduce(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            for other in &self.nodes[index + 1..] {
                node.order(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]);
            }
        }
        until("that all nodes know each other", || {
            for node in &self.nodes {
                let known = view(node)?.members.iter().filter(|member| member.well).count();
                if known != NODES {
                    return Err(format!("the node on port {} knows {known}", node.port()));
                }
            }
            Ok(())
        })
        .await;
    }

    fn attach_replicas(&self) {
        for master in 0..MASTERS {
            self.nodes[MASTERS + master].order(&["CLUSTER", "REPLICATE", &self.id(master)]);
        }
    }

    fn migrate(&self, keys: &[&str], from: usize, to: usize) {
        let port = self.port(to).to_string();
        let command = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        let moved = self.ask(from, &[&command, keys].concat());
        assert!(["OK", "NOKEY"].contains(&&*moved), "{keys:?} are not moved: {moved}");
    }
}

/// The views of the running nodes.
impl TestCluster {
    fn living(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().filter(|node| node.living())
    }

    fn living_masters(&self) -> impl Iterator<Item = &Server> {
        self.living().filter(|node| {
            let view = view(node).unwrap_or_else(|error| panic!("{error}"));
            view.member(node.port()).is_some_and(view::Member::serves)
        })
    }

    fn node_on(&self, port: u16) -> usize {
        let node = self.nodes.iter().position(|node| node.port() == port);
        node.unwrap_or_else(|| panic!("no node of this cluster is on port {port}"))
    }

    fn id(&self, node: usize) -> String {
        self.ask(node, &["CLUSTER", "MYID"])
    }

    /// The master for a slot, when all living nodes have the same and think that the cluster works.
    fn agreed_owner(&self, slot: u16) -> Result<usize, String> {
        let mut agreed = None;
        for node in self.living() {
            let port = node.port();
            let view = view(node)?;
            if !view.ok {
                return Err(format!("the cluster does not work for the node on port {port}"));
            }
            let Some((_, owner)) = view.claim(slot) else {
                return Err(format!("the node on port {port} has no master for it"));
            };
            if *agreed.get_or_insert(owner) != owner {
                return Err(format!("the node on port {port} has another master for it"));
            }
        }
        agreed.map(|port| self.node_on(port)).ok_or_else(|| "no node lives".to_owned())
    }

    async fn agree_on(&self, key: &str, owner: usize) {
        let slot = self.slot(key);
        until(&format!("node {owner} as master for `{key}`"), || {
            let now = self.agreed_owner(slot)?;
            if now == owner { Ok(()) } else { Err(format!("node {now} has it")) }
        })
        .await;
    }

    fn whole(&self) -> Result<(), String> {
        let living: Vec<u16> = self.living().map(Server::port).collect();
        let views: Vec<View> = self.living().map(view).collect::<Result<_, _>>()?;
        for (port, view) in living.iter().zip(&views) {
            let of = |what: &str| format!("the node on port {port}: {what}");
            if !view.ok || view.covered() != SLOTS {
                return Err(of("the cluster does not work or not all slots have a master"));
            }
            if view.members.len() != NODES || !view.agrees(&views[0]) {
                return Err(of("it does not agree with the others"));
            }
            if !view.linked {
                return Err(of("it is a replica and does not follow its master"));
            }
            for member in &view.members {
                let lives = living.contains(&member.port);
                if member.serves() && !lives {
                    return Err(of(&format!("the master on port {} is gone", member.port)));
                }
                if lives && !member.well {
                    return Err(of(&format!("it suspects the one on port {}", member.port)));
                }
                if lives && !member.serves() && member.master.is_none() {
                    return Err(of(&format!("the one on port {} has no part", member.port)));
                }
            }
        }
        Ok(())
    }
}

fn view(node: &Server) -> Result<View, String> {
    Ok(View::parse(&node.talk(View::QUESTIONS)?))
}
