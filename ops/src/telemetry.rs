//! Log output.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is not a log format: use `text` or `json`")),
        }
    }
}

/// How log lines look and which are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// How they look.
    pub format: LogFormat,
    /// The directives, as in `RUST_LOG`.
    pub filter: String,
}

impl Logging {
    /// What is wrong with the directives, if anything is.
    pub fn problem(&self) -> Option<String> {
        let error = EnvFilter::try_new(&self.filter).err()?;
        Some(format!("RUST_LOG: {error}"))
    }
}

/// Sends log lines for people to standard error, filtered by `RUST_LOG` (`info` when it is not set). For a subcommand.
///
/// # Errors
///
/// As [`init`].
pub fn init_for_people() -> anyhow::Result<()> {
    let set = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let filter = set.unwrap_or_else(|| "info".to_owned());
    init(&Logging { format: LogFormat::Text, filter })
}

/// Sends log lines to standard error.
///
/// # Errors
///
/// When the directives do not parse or a subscriber is set already.
pub fn init(Logging { format, filter }: &Logging) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => {
            builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().try_init(),
    };
    set.map_err(|error| anyhow::anyhow!("cannot set up logging: {error}"))
}
