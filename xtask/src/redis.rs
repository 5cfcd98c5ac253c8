//! A private redis-server that lives as long as its value.

mod connection;
mod info;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use crate::debian;
use crate::service::Service;
use crate::stop::Stop;

pub(crate) use connection::Connection;
pub(crate) use info::Info;

const START_BOUND: Duration = Duration::from_secs(10);

/// Makes sure that `redis-server` is on the machine.
pub(crate) fn ensure_installed() -> anyhow::Result<()> {
    if debian::find("redis-server").is_some() {
        return Ok(());
    }
    debian::install(&["redis-server"])
        .context("no redis-server on PATH; install Redis 7 or newer, or set REDIS_URL for the demo")
}

/// Flags that turn persistence off.
const WITHOUT_PERSISTENCE: &[&str] = &["--save", "", "--appendonly", "no"];
/// Flags for a log of all writes that is flushed every second, as in docker-compose.yml.
const WITH_LOG: &[&str] = &["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"];

/// Which server to start, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kind {
    /// Another program than `redis-server`, for instance a `valkey-server`.
    pub(crate) program: Option<PathBuf>,
    /// Whether it keeps a log of all writes.
    pub(crate) keeps_log: bool,
    /// Further flags.
    pub(crate) flags: &'static [&'static str],
}

/// A server on a free port of this machine, with an empty folder.
#[derive(Debug)]
pub(crate) struct Redis {
    // Dropped in this order: the server before its folder.
    service: Service,
    /// Its folder. Only the test reads this.
    #[cfg_attr(not(test), expect(dead_code, reason = "removed after the server has ended"))]
    folder: TempDir,
    port: u16,
}

impl Redis {
    /// Starts a server without persistence.
    pub(crate) fn start(stop: &Stop) -> anyhow::Result<Self> {
        Self::start_as(&Kind::default(), stop)
    }

    pub(crate) fn start_as(kind: &Kind, stop: &Stop) -> anyhow::Result<Self> {
        ensure_installed()?;
        // Another program may take the port before the server binds it.
        Self::try_start(kind, stop).or_else(|_| Self::try_start(kind, stop))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    fn try_start(kind: &Kind, stop: &Stop) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("creating a folder for Redis")?;
        let port = test_kit::free_port();
        let program = kind.program.clone().unwrap_or_else(|| "redis-server".into());
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(if kind.keeps_log { WITH_LOG } else { WITHOUT_PERSISTENCE });
        command.arg("--dir").arg(folder.path()).args(kind.flags);
        let mut service = Service::start("redis", &mut command, folder.path())?;
        service.wait_for_line("readiness", START_BOUND, stop, |line| {
            line.contains("Ready to accept connections").then_some(())
        })?;
        Ok(Self { service, folder, port })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_private_server_answers_and_is_gone_when_dropped() {
        if debian::find("redis-server").is_none() {
            return; // The tests must not install packages; `cargo xtask test` does it before them.
        }
        let mut redis = Redis::start(&Stop::default()).unwrap();
        assert!(redis.service().ended().is_none());
        let address = ("127.0.0.1", redis.port);
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+PONG\r\n");
        let folder = redis.folder.path().to_owned();
        drop(redis);
        assert!(TcpStream::connect(address).is_err());
        assert!(!folder.exists());
    }
}
