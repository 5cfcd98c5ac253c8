//! The servers of one measurement: one, or a Cluster of three masters.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::settings::Setting;
use crate::redis::{Connection, Info, Kind, Redis};
use crate::stop::Stop;
use crate::valkey;

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
const BOUND: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(50);

pub(super) struct Servers {
    servers: Vec<Redis>,
    pub(super) connections: Vec<Connection>,
}

impl Servers {
    pub(super) fn start(root: &Path, setting: &Setting, stop: &Stop) -> anyhow::Result<Self> {
        let program = if setting.valkey {
            Some(valkey::server(root).context("no Valkey server could be fetched")?)
        } else {
            None
        };
        let flags: &[&str] = if setting.cluster { &["--cluster-enabled", "yes"] } else { &[] };
        let kind = Kind { program, keeps_log: setting.log, flags };
        let count = if setting.cluster { MASTERS } else { 1 };
        let servers: anyhow::Result<Vec<Redis>> =
            (0..count).map(|_| Redis::start_as(&kind, stop)).collect();
        let servers = servers?;
        let connections: anyhow::Result<Vec<Connection>> =
            servers.iter().map(|server| Connection::open(server.port())).collect();
        let mut started = Self { servers, connections: connections? };
        if setting.cluster {
            started.join()?;
        }
        Ok(started)
    }

    pub(super) fn url(&self) -> String {
        match self.servers.as_slice() {
            [one] => one.url(),
            many => {
                let all: Vec<String> =
                    many.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
                format!("redis-cluster://{}", all.join(","))
            }
        }
    }

    /// The counters of all servers together.
    pub(super) fn info(&mut self) -> anyhow::Result<Info> {
        let mut sum = Info::default();
        for connection in &mut self.connections {
            sum = sum.plus(Info::of(connection)?);
        }
        Ok(sum)
    }

    /// What was asked over these connections.
    pub(super) fn asked(&self) -> u64 {
        self.connections.iter().map(Connection::asked).sum()
    }

    /// Makes a Cluster of them.
    fn join(&mut self) -> anyhow::Result<()> {
        let ports: Vec<String> =
            self.servers.iter().map(|server| server.port().to_string()).collect();
        for (place, connection) in self.connections.iter_mut().enumerate() {
            // Without distinct epochs the masters would first have to resolve that they have the same.
            connection.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()])?;
            let first = (place * SLOTS / MASTERS).to_string();
            let last = ((place + 1) * SLOTS / MASTERS - 1).to_string();
            connection.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
            for port in &ports {
                connection.ask(&["CLUSTER", "MEET", "127.0.0.1", port])?;
            }
        }
        let deadline = Instant::now() + BOUND;
        while !self.is_whole()? {
            ensure!(Instant::now() < deadline, "the Cluster does not come up");
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    fn is_whole(&mut self) -> anyhow::Result<bool> {
        let masters = format!("cluster_size:{MASTERS}");
        for connection in &mut self.connections {
            let info = connection.ask(&["CLUSTER", "INFO"])?;
            let says = |line: &str| info.lines().any(|said| said.trim_end() == line);
            if !says("cluster_state:ok") || !says(&masters) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
