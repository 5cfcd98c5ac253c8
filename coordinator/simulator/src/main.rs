//! The `telegram-simulator` binary.

use std::path::PathBuf;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use simulator::Simulator;
use tokio_util::sync::CancellationToken;

/// A strict local Bot API server with a web chat page.
#[derive(Debug, Parser)]
#[command(name = "telegram-simulator", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: String,
    /// The one bot's token.
    #[arg(long, default_value = "123456:SIMULATOR")]
    token: String,
    /// Enforce Telegram's flood limits.
    #[arg(long)]
    limits: bool,
    /// Take webhook addresses without TLS, for a bot on this machine.
    #[arg(long)]
    http_webhooks: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes man pages.
    Man {
        /// The folder for them, for instance `/usr/local/share/man/man1`.
        #[arg(long)]
        to: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Completions { shell }) => {
            let out = &mut std::io::stdout();
            clap_complete::generate(shell, &mut Cli::command(), "telegram-simulator", out);
            Ok(())
        }
        Some(Command::Man { to }) => std::fs::create_dir_all(&to)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &to))
            .with_context(|| format!("cannot write the man pages into {}", to.display())),
        None => serve(cli).await,
    }
}

async fn serve(cli: Cli) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(&cli.listen).await.with_context(|| {
        format!("cannot listen on {}; name another address with --listen", cli.listen)
    })?;
    announce(&listener.local_addr()?.to_string());
    let simulator = Simulator::new(&cli.token);
    let simulator = if cli.limits { simulator.with_limits() } else { simulator };
    let simulator = if cli.http_webhooks { simulator.with_http_webhooks() } else { simulator };
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        // Either signal means the same.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stop.cancel();
    });
    simulator::serve(listener, simulator, shutdown).await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "whoever starts it reads the port from here")]
fn announce(address: &str) {
    println!("listening on http://{address}");
}
