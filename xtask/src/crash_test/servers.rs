//! The Redis of a crash test: one server, or a Cluster of three masters with a replica each.

use test_kit::{Proxies, Proxy, TestCluster, TestRedis};

/// The servers, and which of them is down.
pub(super) struct RedisServers {
    servers: Servers,
    down: Option<Down>,
    /// The programs connect through these.
    proxies: Proxies,
}

/// How a running Redis refuses writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    Full,
    ReadOnly,
}

/// What existing connections stop transferring. New ones work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Silence {
    Everything,
    Answers,
    HalfAnAnswer,
}

enum Servers {
    One(TestRedis),
    Cluster { cluster: TestCluster, runtime: tokio::runtime::Runtime },
}

/// A server that was killed or frozen.
struct Down {
    node: usize,
    frozen: bool,
}

impl RedisServers {
    pub(super) fn start(in_cluster: bool) -> anyhow::Result<Self> {
        let (servers, ports) = if in_cluster {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let cluster = runtime.block_on(TestCluster::start());
            let ports = cluster.ports();
            (Servers::Cluster { cluster, runtime }, ports)
        } else {
            let redis = TestRedis::start_durable();
            let port = redis.port();
            (Servers::One(redis), vec![port])
        };
        Ok(Self { servers, down: None, proxies: Proxies::start(&ports) })
    }

    pub(super) fn url(&self) -> String {
        let url = match &self.servers {
            Servers::One(redis) => redis.url(),
            Servers::Cluster { cluster, .. } => cluster.url(),
        };
        self.proxies.url(&url)
    }

    /// Makes every running server refuse writes, or accept them again.
    pub(super) fn refuse(&self, how: Refusal, refuses: bool) {
        let command: &[&str] = match (how, refuses, &self.servers) {
            (Refusal::Full, true, _) => &["CONFIG", "SET", "maxmemory", "1"],
            (Refusal::Full, false, _) => &["CONFIG", "SET", "maxmemory", "0"],
            // Nothing listens on this port, so the replica keeps its data.
            (Refusal::ReadOnly, true, Servers::One(_)) => &["REPLICAOF", "127.0.0.1", "1"],
            (Refusal::ReadOnly, false, Servers::One(_)) => &["REPLICAOF", "NO", "ONE"],
            // More replicas than each master has.
            (Refusal::ReadOnly, true, _) => &["CONFIG", "SET", "min-replicas-to-write", "3"],
            (Refusal::ReadOnly, false, _) => &["CONFIG", "SET", "min-replicas-to-write", "0"],
        };
        match &self.servers {
            Servers::One(redis) if self.down.is_none() => drop(redis.ask(command)),
            Servers::One(_) => {}
            Servers::Cluster { cluster, .. } => drop(cluster.ask_everyone(command)),
        }
    }

    /// Makes the existing connections silent without closing them.
    pub(super) fn silence_connections(&self, what: Silence) {
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

    /// Runs a command on the server of `key` and returns what `redis-cli` prints; none while that server is down.
    pub(super) fn ask(&self, key: &str, command: &[&str]) -> Option<String> {
        match &self.servers {
            Servers::One(redis) => self.down.is_none().then(|| redis.ask(command)),
            Servers::Cluster { cluster, .. } => {
                let owner = cluster.owner(key);
                let down = self.down.as_ref().is_some_and(|down| down.node == owner);
                (!down).then(|| cluster.ask(owner, command))
            }
        }
    }

    /// Runs a command on every master; nothing while one is down.
    pub(super) fn ask_all(&self, command: &[&str]) -> Vec<String> {
        match &self.servers {
            _ if self.down.is_some() => Vec::new(),
            Servers::One(redis) => vec![redis.ask(command)],
            Servers::Cluster { cluster, .. } => cluster.ask_all_masters(command),
        }
    }

    /// Whether every server runs, so that a fault may be injected. In a Cluster a replica that is still copying must
    /// not lose its master, or the data of both is lost.
    pub(super) fn is_healthy(&self) -> bool {
        self.down.is_none()
            && match &self.servers {
                Servers::One(_) => true,
                Servers::Cluster { cluster, .. } => cluster.is_settled(),
            }
    }

    /// Whether no server is killed or frozen.
    pub(super) fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// Kills the server of `key` with SIGKILL, or freezes it.
    pub(super) fn stop(&mut self, key: &str, frozen: bool) {
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
        self.down = Some(Down { node, frozen });
    }

    /// Restarts or continues the server that is down.
    pub(super) fn restore(&mut self) {
        let Some(Down { node, frozen }) = self.down.take() else { return };
        match &mut self.servers {
            Servers::One(redis) if frozen => redis.thaw(),
            Servers::One(redis) => redis.revive(),
            Servers::Cluster { cluster, .. } if frozen => cluster.thaw(node),
            Servers::Cluster { cluster, .. } => cluster.revive(node),
        }
    }

    /// Makes a replica take over from the master of `key`, without asking it.
    pub(super) fn fail_over(&mut self, key: &str) {
        if let Servers::Cluster { cluster, runtime } = &self.servers {
            runtime.block_on(cluster.fail_over(key));
        }
    }
}
