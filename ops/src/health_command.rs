//! `worker health`, `coordinator health`: asks the process that runs beside it. For containers, which have no `curl`.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer that is read, in bytes. Ours are one line.
const ANSWER_AT_MOST: u64 = 64 << 10;

/// Asks the process that serves at `--listen` whether it is alive. Exit code 0 when it is, 1 when it is not.
#[derive(Debug, clap::Args)]
pub struct HealthCommand {
    /// The address at which it serves health and metrics. `0.0.0.0` stands for this machine.
    #[arg(long, env = "LISTEN")]
    listen: Option<SocketAddr>,
    /// Ask whether it is ready instead: whether all that it needs is there, for instance Redis. Not for what restarts a
    /// process, because a restart brings no Redis back.
    #[arg(long)]
    ready: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// How long to wait for the answer, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

impl HealthCommand {
    /// Asks, and prints the answer to `out`. Returns whether it is the good one.
    ///
    /// # Errors
    ///
    /// When nobody answers, or there is no address.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let Some(listen) = self.listen else {
            bail!("there is no address to ask: set LISTEN, here and for the process that is asked")
        };
        let address = reachable(listen);
        let path = if self.ready { "/readyz" } else { "/livez" };
        let accept = if self.json { "application/json" } else { "text/plain" };
        let within = Duration::from_secs(self.timeout);
        let asked = tokio::time::timeout(within, ask(address, path, accept)).await;
        let (status, body) = asked
            .with_context(|| format!("no answer from {address} within {} s", self.timeout))?
            .with_context(|| format!("cannot ask {address}"))?;
        out.write_all(body.as_bytes())?;
        Ok(status == 200)
    }
}

/// An address that listens on all interfaces is asked on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The status and the body. HTTP/1.0, so that the server closes the connection after them.
async fn ask(address: SocketAddr, path: &str, accept: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_AT_MOST).read_to_end(&mut answer).await?;
    parse(&String::from_utf8_lossy(&answer))
        .context("its answer is not HTTP; is it another program?")
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_are_asked_on_the_own_one() {
        for (listen, asked) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("10.1.2.3:9464", "10.1.2.3:9464"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn an_answer_is_read_and_what_is_none_is_not() {
        assert_eq!(
            parse("HTTP/1.0 503 Service Unavailable\r\na: b\r\n\r\nnot ready: x\n"),
            Some((503, "not ready: x\n".to_owned()))
        );
        for junk in ["", "+PONG\r\n", "HTTP/1.1 x\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
            assert_eq!(parse(junk), None, "{junk:?}");
        }
    }
}
