//! The coordinator's configuration: flags and environment, checked together.

mod alert_flags;
pub(crate) mod privacy_file;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ops::flags::{HistoryFlags, MonitoringFlags, RedisFlags};
use ops::secret::Secret;
use queue::history::HistorySettings;
use queue::{NoRate, Rate, TaskType};
use reqwest::Url;

use crate::access::lists::AccessLists;
use crate::alerts::settings::AlertSettings;
use crate::dashboard::settings::{DashboardConfig, DashboardFlags};
use crate::telegram::send::Limits;
use alert_flags::AlertFlags;

/// Every process sweeps each of them every second.
const PARTITIONS_AT_MOST: u16 = 64;

/// Largest rate limit: Telegram's are far below, and Redis stores as many timestamps.
const LIMIT_AT_MOST: u32 = 1_000;
const WEBHOOK_PROBLEM: &str = "WEBHOOK_URL is not an address for a webhook: it looks like \
    `https://host/path`, without `?` and `#`";

/// How the bot runs, as given on the command line.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// The bot's token, from Telegram's `@BotFather`. Set it in the environment: other users can see a command line.
    #[arg(long, env = "TELEGRAM_BOT_TOKEN", hide_env_values = true)]
    telegram_bot_token: Option<Secret<String>>,
    #[command(flatten)]
    redis: RedisFlags,
    #[command(flatten)]
    history: HistoryFlags,
    /// Number of queues of busy task types, for instance `search_creator=4`; separate several with commas. In a Redis
    /// Cluster the queues are spread over the nodes. Must be the same for all coordinators; to change it, stop them all first.
    #[arg(long, env = "QUEUE_PARTITIONS", value_delimiter = ',', value_parser = partitions)]
    queue_partitions: Vec<(TaskType, u16)>,
    /// How many tasks of a type start in a time, retries included, for instance `search_simpcity=30/min`; separate several with
    /// commas. It protects a forum or a database that the type's plugin asks. Units: `s`, `min` and `h`; `off` takes a limit away. A start
    /// sets it for all workers; a type that is not named keeps what it has (`coordinator queue limit`).
    #[arg(long, env = "RATE_LIMITS", value_delimiter = ',', value_parser = rate_limit)]
    rate_limits: Vec<(TaskType, Option<Rate>)>,
    /// Allow list: numeric ids of people and chats, separated by commas. Everybody may use the bot without it.
    #[arg(long, env = "ALLOWED_IDS", value_delimiter = ',', allow_negative_numbers = true)]
    allowed_ids: Vec<i64>,
    /// Deny list: ids of people and chats that are ignored.
    #[arg(long, env = "DENIED_IDS", value_delimiter = ',', allow_negative_numbers = true)]
    denied_ids: Vec<i64>,
    /// Administrators: they may use `/stats` and `/plugins`, and are told what is wrong.
    #[arg(long, env = "ADMIN_IDS", value_delimiter = ',')]
    admin_ids: Vec<i64>,
    #[command(flatten)]
    alerts: AlertFlags,
    /// File with the text of `/privacy`: UTF-8, at most 3,500 characters, or the address of a page. Translations are beside it,
    /// for instance `privacy.de.txt` for `privacy.txt`. Without it the bot shows its own text.
    #[arg(long, env = "PRIVACY_FILE")]
    privacy_file: Option<PathBuf>,
    /// The Bot API server.
    #[arg(long, env = "TELEGRAM_API_URL", default_value = "https://api.telegram.org")]
    telegram_api_url: String,
    /// Receive updates by a webhook at this public `https` address instead of long polling. Must be the same for all
    /// coordinators; a proxy with the certificate forwards requests to `--webhook-listen`.
    #[arg(long, env = "WEBHOOK_URL")]
    webhook_url: Option<String>,
    /// Address on which this process serves the webhook, for instance `127.0.0.1:8443`.
    #[arg(long, env = "WEBHOOK_LISTEN")]
    webhook_listen: Option<SocketAddr>,
    /// What to do about a webhook that another program sets for this bot during long polling.
    #[arg(long, env = "FOREIGN_WEBHOOK", default_value = "remove")]
    foreign_webhook: ForeignWebhook,
    /// Most messages per second of all coordinators together; 0 for no limit, with a Bot API server that has none.
    #[arg(long, env = "LIMIT_OVERALL", default_value_t = 30)]
    limit_overall: u32,
    /// Most messages per second to one chat, three seconds' worth of them at once; 0 for no limit.
    #[arg(long, env = "LIMIT_CHAT", default_value_t = 1)]
    limit_chat: u32,
    /// Most messages per minute to one group; 0 for no limit.
    #[arg(long, env = "LIMIT_GROUP", default_value_t = 20)]
    limit_group: u32,
    #[command(flatten)]
    dashboard: DashboardFlags,
    #[command(flatten)]
    monitoring: MonitoringFlags,
}

/// What to do about a webhook that another program sets during long polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ForeignWebhook {
    /// Remove it and go on polling. No update is lost.
    #[default]
    Remove,
    /// Leave it. No updates come until it is gone.
    Leave,
}

/// The webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The public address.
    pub url: Url,
    /// Where this process serves it.
    pub listen: SocketAddr,
}

/// The configuration of a coordinator.
#[derive(Debug, Clone)]
pub struct Config {
    /// The bot's token.
    pub token: Secret<String>,
    /// How to reach Redis.
    pub redis: RedisFlags,
    /// What is kept of finished tasks; none to keep nothing.
    pub history: Option<HistorySettings>,
    /// Number of queues of busy task types.
    pub queue_partitions: BTreeMap<TaskType, u16>,
    /// What administrators are told.
    pub alerts: AlertSettings,
    /// How many tasks of a type may start in a time; none for as many as there are.
    pub rate_limits: BTreeMap<TaskType, Option<Rate>>,
    /// Who may use the bot.
    pub access: AccessLists,
    /// What `/privacy` says.
    pub privacy_file: Option<PathBuf>,
    /// The Bot API server.
    pub api_url: Url,
    /// The address of health and metrics.
    pub listen: Option<SocketAddr>,
    /// The dashboard, where it is served.
    pub dashboard: Option<DashboardConfig>,
    /// The webhook; without it the coordinator polls.
    pub webhook: Option<WebhookConfig>,
    /// What to do about a webhook that another program has set.
    pub foreign_webhook: ForeignWebhook,
    /// Rate limits of sending.
    pub limits: Limits,
}

impl Serve {
    /// How the program is observed.
    pub fn monitoring(&self) -> &MonitoringFlags {
        &self.monitoring
    }

    /// What is wrong with the settings, one line each. Nothing is connected to.
    pub fn problems(self) -> Vec<String> {
        let mut problems = self.file_problems();
        problems.extend(self.into_config().err().unwrap_or_default());
        problems
    }

    /// What is wrong with the log's filter, the export of traces and the files that settings name.
    pub(crate) fn file_problems(&self) -> Vec<String> {
        let mut problems = self.monitoring.problems();
        problems.extend(self.redis.problem());
        problems.extend(privacy_file::problems(self.privacy_file.as_deref()));
        problems
    }

    /// How to reach Redis.
    pub(crate) fn redis(&self) -> &RedisFlags {
        &self.redis
    }

    /// The address of health and metrics.
    pub(crate) fn listen(&self) -> Option<SocketAddr> {
        self.monitoring.listen
    }

    /// The configuration that these flags stand for.
    ///
    /// # Errors
    ///
    /// All problems, one text each.
    pub fn into_config(self) -> Result<Config, Vec<String>> {
        let mut problems = Vec::new();
        // A token from a file may end with a line break.
        let token =
            self.telegram_bot_token.map(|token| Secret::new(token.expose().trim().to_owned()));
        let token = token.filter(|token| !token.expose().is_empty());
        match &token {
            None => problems.push(
                "TELEGRAM_BOT_TOKEN is not set: put the token from @BotFather into the environment or .env"
                    .to_owned(),
            ),
            Some(token) if !looks_like_token(token.expose()) => problems.push(
                "TELEGRAM_BOT_TOKEN is not a bot token: it looks like `123456:ABC-DEF…`".to_owned(),
            ),
            Some(_) => {}
        }
        let api_url = Url::parse(&self.telegram_api_url);
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if !api_url.as_ref().is_ok_and(usable) {
            problems.push(
                "TELEGRAM_API_URL is not an address: it looks like `https://host[:port]`"
                    .to_owned(),
            );
        }
        let webhook = match (&self.webhook_url, self.webhook_listen) {
            (Some(url), Some(listen)) => match webhook_url(url) {
                Some(url) => Some(WebhookConfig { url, listen }),
                None => {
                    problems.push(WEBHOOK_PROBLEM.to_owned());
                    None
                }
            },
            (Some(_), None) => {
                problems.push(
                    "WEBHOOK_URL needs WEBHOOK_LISTEN: the address that the proxy forwards to"
                        .to_owned(),
                );
                None
            }
            (None, _) => None,
        };
        if self.limit_overall.max(self.limit_chat).max(self.limit_group) > LIMIT_AT_MOST {
            problems.push(format!(
                "LIMIT_OVERALL, LIMIT_CHAT and LIMIT_GROUP take at most {LIMIT_AT_MOST}; 0 is no limit"
            ));
        }
        let history = self.history.settings(HistorySettings::new);
        let history = history.map_err(|problem| problems.push(problem)).unwrap_or_default();
        let dashboard = self.dashboard.into_config(&mut problems);
        match (token, api_url) {
            (Some(token), Ok(api_url)) if problems.is_empty() => {
                let limits = Limits::new(self.limit_overall, self.limit_chat, self.limit_group);
                let Self { redis, monitoring, privacy_file, .. } = self;
                // Compose files set unused variables to nothing.
                let privacy_file = privacy_file.filter(|file| !file.as_os_str().is_empty());
                let queue_partitions = self.queue_partitions.into_iter().collect();
                let rate_limits = self.rate_limits.into_iter().collect();
                let alerts = self.alerts.settings(&self.admin_ids);
                let access = AccessLists {
                    allowed: self.allowed_ids.into_iter().collect(),
                    denied: self.denied_ids.into_iter().collect(),
                    admins: self.admin_ids.into_iter().collect(),
                };
                let config = Config {
                    token,
                    redis,
                    history,
                    queue_partitions,
                    rate_limits,
                    alerts,
                    access,
                    privacy_file,
                    api_url,
                    listen: monitoring.listen,
                    dashboard,
                    webhook,
                    foreign_webhook: self.foreign_webhook,
                    limits,
                };
                Ok(config)
            }
            _ => Err(problems),
        }
    }
}

/// `TYPE=NUMBER`.
fn partitions(text: &str) -> Result<(TaskType, u16), String> {
    let (task_type, number) = text.split_once('=').ok_or("it takes `TYPE=NUMBER`")?;
    let task_type = task_type.trim().parse::<TaskType>().map_err(|error| error.to_string())?;
    let number =
        number.trim().parse().ok().filter(|number| (1..=PARTITIONS_AT_MOST).contains(number));
    let number = number.ok_or(format!("it takes 1 to {PARTITIONS_AT_MOST} partitions"))?;
    Ok((task_type, number))
}

fn rate_limit(text: &str) -> Result<(TaskType, Option<Rate>), String> {
    let (task_type, rate) = text.split_once('=').ok_or("it takes `TYPE=RATE`")?;
    let task_type = task_type.trim().parse::<TaskType>().map_err(|error| error.to_string())?;
    Ok((task_type, rate_or_off(rate.trim())?))
}

/// A rate, or `off`.
pub(crate) fn rate_or_off(text: &str) -> Result<Option<Rate>, String> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: NoRate| format!("{error}, or `off`"))
}

/// A public address. Only what stays on this machine may do without TLS.
fn webhook_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let encrypted = url.scheme() == "https" || (url.scheme() == "http" && local);
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (encrypted && plain).then_some(url)
}

fn looks_like_token(token: &str) -> bool {
    token.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && !secret.is_empty()
            && secret
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        serve: Serve,
    }

    fn parse(arguments: &[&str]) -> Result<Config, Vec<String>> {
        let program = std::iter::once("coordinator");
        let parsed = Arguments::try_parse_from(program.chain(arguments.iter().copied())).unwrap();
        parsed.serve.into_config()
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems =
            parse(&["--telegram-bot-token", "nonsense", "--telegram-api-url", "nowhere"])
                .unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("@BotFather") || problems[0].contains("123456:ABC"));
    }

    #[test]
    fn hot_types_are_divided() {
        let token = ["--telegram-bot-token", "123:abc"];
        let config =
            parse(&[&token[..], &["--queue-partitions", "search=4,load=2"]].concat()).unwrap();
        let divided: Vec<String> = config
            .queue_partitions
            .iter()
            .map(|(task_type, number)| format!("{task_type} {number}"))
            .collect();
        assert_eq!(divided, ["load 2", "search 4"]);
        for junk in ["search", "search=0", "search=65", "Search=2"] {
            assert!(partitions(junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn rates_of_types_are_read() {
        let token = ["--telegram-bot-token", "123:abc"];
        let given = ["--rate-limits", "search=30/min,load=off"];
        let config = parse(&[&token[..], &given].concat()).unwrap();
        let words = |(task_type, rate): (&TaskType, &Option<Rate>)| {
            let rate = rate.map_or("off".to_owned(), |rate| rate.to_string());
            format!("{task_type} {rate}")
        };
        let rates: Vec<String> = config.rate_limits.iter().map(words).collect();
        assert_eq!(rates, ["load off", "search 30/min"]);
        for junk in ["search", "search=0/s", "search=30", "Search=1/s"] {
            assert!(rate_limit(junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn updates_are_brought_over_tls_only() {
        for (text, fine) in [
            ("https://bot.example/hook", true),
            ("https://bot.example:8443/", true),
            ("http://127.0.0.1:8080/hook", true),
            ("http://bot.example/hook", false),
            ("https://bot.example/hook?secret=1", false),
            ("https://me@bot.example/hook", false),
            ("bot.example", false),
        ] {
            assert_eq!(webhook_url(text).is_some(), fine, "{text}");
        }
    }

    #[test]
    fn the_token_does_not_print_itself() {
        let config = parse(&["--telegram-bot-token", "123:s3cret"]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
