//! The Redis of a crash test: one server, or a Cluster of three masters with a replica each.

use test_kit::{Proxies, Proxy, TestCluster, TestRedis};

/// What runs, and what of it is away.
pub(super) struct RedisServers {
    servers: Servers,
    away: Option<Away>,
    /// The way that the programs take to the servers.
    proxies: Proxies,
}

/// How a Redis that is there does not take what it is given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    Full,
    ReadOnly,
}

/// What the connections that there are do not bring any more. New ones work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Silence {
    Everything,
    Answers,
    HalfAnAnswer,
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

impl RedisServers {
    pub(super) fn start(in_cluster: bool) -> anyhow::Result<Self> {
        let (servers, ports) = if in_cluster {
            let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let cluster = waiting.block_on(TestCluster::start());
            let ports = cluster.ports();
            (Servers::Cluster { cluster, waiting }, ports)
        } else {
            let redis = TestRedis::start_durable();
            let port = redis.port();
            (Servers::One(redis), vec![port])
        };
        Ok(Self { servers, away: None, proxies: Proxies::start(&ports) })
    }

    pub(super) fn url(&self) -> String {
        let url = match &self.servers {
            Servers::One(redis) => redis.url(),
            Servers::Cluster { cluster, .. } => cluster.url(),
        };
        self.proxies.url(&url)
    }

    /// Makes every server that is there refuse writes, or take them again.
    pub(super) fn refuse(&self, how: Refusal, refuses: bool) {
        let command: &[&str] = match (how, refuses, &self.servers) {
            (Refusal::Full, true, _) => &["CONFIG", "SET", "maxmemory", "1"],
            (Refusal::Full, false, _) => &["CONFIG", "SET", "maxmemory", "0"],
            // Nobody listens there, so it keeps what it has.
            (Refusal::ReadOnly, true, Servers::One(_)) => &["REPLICAOF", "127.0.0.1", "1"],
            (Refusal::ReadOnly, false, Servers::One(_)) => &["REPLICAOF", "NO", "ONE"],
            // More than each has.
            (Refusal::ReadOnly, true, _) => &["CONFIG", "SET", "min-replicas-to-write", "3"],
            (Refusal::ReadOnly, false, _) => &["CONFIG", "SET", "min-replicas-to-write", "0"],
        };
        match &self.servers {
            Servers::One(redis) if self.away.is_none() => drop(redis.ask(command)),
            Servers::One(_) => {}
            Servers::Cluster { cluster, .. } => drop(cluster.ask_everyone(command)),
        }
    }

    /// Makes the connections that there are silent, without a word.
    pub(super) fn fall_silent(&self, what: Silence) {
        let silence = match what {
            Silence::Everything => Proxy::forget,
            Silence::Answers => Proxy::forget_answers,
            Silence::HalfAnAnswer => Proxy::halve_answers,
        };
        self.proxies.all().iter().for_each(silence);
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

    /// Whether no server is dead or frozen.
    pub(super) fn there(&self) -> bool {
        self.away.is_none()
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
