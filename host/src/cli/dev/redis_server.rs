//! The Redis of `worker dev`: one that is started for it, or a named one.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use queue::{QueueConfig, TaskQueue};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::programs::{end, in_path};

/// Programs that speak Redis' protocol, the first that is found.
const SERVERS: &[&str] = &["redis-server", "valkey-server"];
/// How long one may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct RedisServer {
    url: String,
    started: Option<Started>,
}

struct Started {
    name: &'static str,
    process: Child,
}

impl RedisServer {
    /// Uses the server at `url`, or starts one that keeps its data in the folder `place`.
    pub(super) async fn start(
        url: Option<String>,
        place: &Path,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        if let Some(url) = url {
            return Ok(Self { url, started: None });
        }
        let found = SERVERS.iter().find_map(|name| Some((*name, in_path(name)?)));
        let Some((name, program)) = found else {
            bail!(
                "no Redis is installed: install one (`apt install redis-server`, `brew install redis`, or valkey), or name one that \
                 runs with --redis-url redis://HOST:PORT"
            );
        };
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .context("there is no free port")?
            .port();
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--dir"]);
        command.arg(place).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        // Ctrl-C is for this program, which ends the server last.
        let process =
            command.process_group(0).spawn().with_context(|| format!("starting {name}"))?;
        let server = Self {
            url: format!("redis://127.0.0.1:{port}"),
            started: Some(Started { name, process }),
        };
        let answers = tokio::time::timeout(READY_WITHIN, server.queue(stop)).await;
        answers.with_context(|| format!("{name} does not answer"))??;
        Ok(server)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What it is, for people. A named one may have a password in its address.
    pub(super) fn told(&self) -> String {
        self.started.as_ref().map_or_else(
            || "the one of --redis-url".to_owned(),
            |started| format!("{} at {}", started.name, self.url),
        )
    }

    /// Connects to it as soon as it is there.
    pub(super) async fn queue(&self, stop: &CancellationToken) -> anyhow::Result<TaskQueue> {
        let connecting = TaskQueue::connect_when_there(&self.url, QueueConfig::default(), stop);
        connecting.await?.context("ended before Redis answered")
    }

    /// Ends the server that was started.
    pub(super) async fn end(self) {
        if let Some(started) = self.started {
            end(started.process).await;
        }
    }
}
