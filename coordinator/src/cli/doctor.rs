//! `coordinator doctor`: what is wrong here, and what mends it.

use std::io::Write;

use ops::doctor::{Report, Verdict};
use ops::startup::Startup;
use queue::admin::examine;
use queue::{QueueConfig, Side};

use super::outcome::Outcome;
use crate::config::{Config, ForeignWebhook, Serve};
use crate::receive::polling::host;
use crate::telegram::bot_api::BotApi;

/// What a coordinator needs beside what others use.
const MEMORY_BYTES: u64 = 128 << 20;

/// Checks settings, machine, Redis and Telegram, and says what mends what is wrong. Changes nothing, and may run beside a
/// coordinator. Exit code 0 when nothing fails, 1 otherwise.
#[derive(Debug, clap::Args)]
pub struct DoctorCommand {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Serve,
}

impl DoctorCommand {
    /// Runs the subcommand.
    pub(super) async fn run(
        self,
        startup: &Startup,
        out: &mut impl Write,
    ) -> anyhow::Result<Outcome> {
        let Self { json, settings } = self;
        let mut report = Report::default();
        let mut problems = [startup.problems(), &settings.file_problems()].concat();
        let redis = settings.redis().clone();
        let listen = settings.listen();
        let config = settings.into_config();
        problems.extend(config.as_ref().err().into_iter().flatten().cloned());
        report.settings(&problems);
        report.machine(MEMORY_BYTES, listen);
        let redis_ca = redis.read_ca().unwrap_or_default(); // A problem of the settings, told above.
        let queue_config =
            QueueConfig { redis_ca, side: Some(Side::Coordinator), ..QueueConfig::default() };
        for finding in examine(redis.redis_url.expose(), queue_config).await {
            let verdict = finding.wellness.choose(Verdict::Ok, Verdict::Warning, Verdict::Fail);
            report.add(verdict, "Redis", &finding.found, &finding.mend);
        }
        if let Ok(config) = &config {
            telegram(config, &mut report).await;
        }
        let well = report.write(out, json)?;
        Ok(if well { Outcome::Done } else { Outcome::Failed })
    }
}

async fn telegram(config: &Config, report: &mut Report) {
    const WHAT: &str = "Telegram";
    let server = config.api_url.host_str().unwrap_or_default();
    let bot = match BotApi::try_connect(&config.token, &config.api_url).await {
        Ok(bot) => bot,
        Err(error) => {
            let mend =
                format!("check the token, TELEGRAM_API_URL, and whether {server} can be reached");
            return report.add(Verdict::Fail, WHAT, &error.to_string(), &mend);
        }
    };
    report.ok(WHAT, &format!("{server} knows the bot, @{}", bot.username()));
    let (set, trouble) = match bot.webhook().await {
        Ok(webhook) => webhook,
        Err(error) => return report.add(Verdict::Fail, WHAT, &error.to_string(), ""),
    };
    let wanted = config.webhook.as_ref().map(|webhook| webhook.url.as_str());
    match (set.as_deref(), wanted) {
        (None, None) => report.ok(WHAT, "no webhook is set, so updates can be polled"),
        (None, Some(_)) => report.ok(WHAT, "the webhook is set at the start"),
        (Some(set), Some(wanted)) if set == wanted => match trouble {
            None => report.ok(WHAT, "the webhook is set"),
            Some(trouble) => {
                let found = format!("Telegram cannot deliver to the webhook: {trouble}");
                let mend =
                    "check the proxy, its certificate, and that it forwards to WEBHOOK_LISTEN";
                report.add(Verdict::Warning, WHAT, &found, mend);
            }
        },
        (Some(set), _) => {
            let found = format!("a webhook of another program or setup is set to {}", host(set));
            let (verdict, mend) = match (wanted, config.foreign_webhook) {
                (None, ForeignWebhook::Leave) => (
                    Verdict::Fail,
                    "no updates come: remove it where it is set, or set FOREIGN_WEBHOOK=remove",
                ),
                _ => (
                    Verdict::Warning,
                    "a coordinator replaces it; end the program that sets it, or each update reaches only one of both",
                ),
            };
            report.add(verdict, WHAT, &found, mend);
        }
    }
}
