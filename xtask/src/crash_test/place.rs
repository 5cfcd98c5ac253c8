//! The Redis of a crash test: one server, or a Cluster of three masters with a replica each.

use test_kit::{TestCluster, TestRedis};

/// What runs, and what of it is away.
pub(super) struct Place {
    servers: Servers,
    away: Option<Away>,
}

enum Servers {
    One(TestRedis),
    Cluster { cluster: TestCluster, waiting: tokio::runtime::Runtime },
}

/// A server that is dead or frozen; its place in a Cluster.
struct Away {
    node: usize,
    frozen: bool,
}

impl Place {
    pub(super) fn start(in_cluster: bool) -> anyhow::Result<Self> {
        let servers = if in_cluster {
            let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let cluster = waiting.block_on(TestCluster::start());
            Servers::Cluster { cluster, waiting }
        } else {
            Servers::One(TestRedis::start_durable())
        };
        Ok(Self { servers, away: None })
    }

    pub(super) fn url(&self) -> String {
        match &self.servers {
            Servers::One(redis) => redis.url(),
            Servers::Cluster { cluster, .. } => cluster.url(),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster { .. })
    }

    /// What `redis-cli` prints about a command to the server of `key`; nothing while that is away.
    pub(super) fn ask(&self, key: &str, command: &[&str]) -> Option<String> {
        match &self.servers {
            Servers::One(redis) => self.away.is_none().then(|| redis.ask(command)),
            Servers::Cluster { cluster, .. } => {
                let owner = cluster.owner(key);
                let away = self.away.as_ref().is_some_and(|away| away.node == owner);
                (!away).then(|| cluster.ask(owner, command))
            }
        }
    }

    /// What every master says; nothing while one is away.
    pub(super) fn ask_all(&self, command: &[&str]) -> Vec<String> {
        match &self.servers {
            _ if self.away.is_some() => Vec::new(),
            Servers::One(redis) => vec![redis.ask(command)],
            Servers::Cluster { cluster, .. } => cluster.ask_all_masters(command),
        }
    }

    /// Whether everything is there: then something may be done to it. In a Cluster a replica that is still learning
    /// must not lose its master, or what both know is lost for good.
    pub(super) fn whole(&self) -> bool {
        self.away.is_none()
            && match &self.servers {
                Servers::One(_) => true,
                Servers::Cluster { cluster, .. } => cluster.is_settled(),
            }
    }

    /// Ends the server of `key` with SIGKILL, or freezes it.
    pub(super) fn take_away(&mut self, key: &str, frozen: bool) {
        let node = match &mut self.servers {
            Servers::One(redis) => {
                if frozen {
                    redis.freeze();
                } else {
                    redis.kill();
                }
                0
            }
            Servers::Cluster { cluster, .. } => {
                let node = cluster.owner(key);
                if frozen {
                    cluster.freeze(node);
                } else {
                    cluster.kill(node);
                }
                node
            }
        };
        self.away = Some(Away { node, frozen });
    }

    /// Lets come back what is away.
    pub(super) fn give_back(&mut self) {
        let Some(Away { node, frozen }) = self.away.take() else { return };
        match &mut self.servers {
            Servers::One(redis) if frozen => redis.thaw(),
            Servers::One(redis) => redis.revive(),
            Servers::Cluster { cluster, .. } if frozen => cluster.thaw(node),
            Servers::Cluster { cluster, .. } => cluster.revive(node),
        }
    }

    /// Makes a replica take over from the master of `key`, without asking it.
    pub(super) fn fail_over(&mut self, key: &str) {
        if let Servers::Cluster { cluster, waiting } = &self.servers {
            waiting.block_on(cluster.fail_over(key));
        }
    }
}
