//! The bot: all Telegram traffic and all sessions.
//!
//! An update becomes an [`chat::event::Event`]; a flow, which is a pure function, turns it into effects ([`chat::flow`]),
//! which are carried out in order (`conversation`). A question becomes a task, and only when Redis has it does the update
//! count as handled (`receive`). Answers come back through the outbox, to whichever coordinator is there (`answers`).
//!
//! Not here: searching, loading or computing anything.

pub mod access;
mod admin;
pub mod answers;
pub mod chat;
mod chat_order;
pub mod cli;
pub mod config;
mod conversation;
pub mod keys;
mod menu;
pub mod metrics;
mod receive;
pub mod session_store;
pub mod telegram;
mod wait_estimator;

use std::sync::{Arc, OnceLock};

use anyhow::Context;
use queue::{QueueConfig, Side, TaskQueue};
use tokio_util::sync::CancellationToken;

use crate::chat::privacy::Privacy;
use crate::config::Config;
use crate::conversation::handler::Performer;
use crate::receive::Trouble;
use crate::session_store::SessionStore;
use crate::telegram::bot_api::BotApi;
use crate::telegram::send::Sender;
use crate::wait_estimator::Tempo;

/// Runs a coordinator until `shutdown`.
///
/// # Errors
///
/// When Redis is not usable or the Bot API cannot be used at the start. A Redis that is not there is waited for.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let redis_ca = ops::file::read_optional(config.redis_ca.as_deref())?;
    let partitions = config.queue_partitions.clone();
    let side = Some(Side::Coordinator);
    let queue_config = QueueConfig { redis_ca, partitions, side, ..QueueConfig::default() };
    let reached = Arc::new(OnceLock::new());
    let trouble = Trouble::default();
    if let Some(address) = config.listen {
        let handle = ops::server::collect()?;
        metrics::describe();
        let asked: Arc<OnceLock<TaskQueue>> = Arc::clone(&reached);
        let trouble = trouble.subscribe();
        let ready = move || {
            let (asked, trouble) = (Arc::clone(&asked), trouble.borrow().clone());
            async move {
                TaskQueue::readiness(asked.get()).await?;
                trouble.map_or(Ok(()), Err)
            }
        };
        // Before Redis is there: who watches us must not take waiting for being dead.
        let address = ops::server::serve(address, handle, ready, shutdown.clone()).await?;
        tracing::info!(%address, "serving health and metrics");
    }
    let connecting =
        TaskQueue::connect_when_there(config.redis_url.expose(), queue_config, &shutdown);
    let Some(queue) = connecting.await? else { return Ok(()) };
    let _ = reached.set(queue.clone()); // Set once, here.
    if config.listen.is_some() {
        tokio::spawn(metrics::watch_until(queue.clone(), shutdown.clone()));
    }
    let bot = BotApi::connect(&config, &shutdown).await.context("cannot use the Bot API")?;
    let me = format!("coordinator-{}", uuid::Uuid::now_v7().simple());
    let (menu, tempo) = (tokio::sync::watch::Sender::default(), Arc::new(Tempo::default()));
    let mut offered = menu.subscribe();
    let watching = tokio::spawn(menu::watch_until(
        queue.clone(),
        bot.clone(),
        me.clone(),
        menu,
        Arc::clone(&tempo),
        shutdown.clone(),
    ));
    tracing::info!(coordinator = me, bot = bot.username(), "coordinator ready");
    let sessions = SessionStore::new(queue.clone());
    let (sender, line) = Sender::new(bot, queue.clone(), config.limits);
    let sent = sender.clone();
    let letting_through = tokio::spawn(line.run(shutdown.clone()));
    let (access, shown) = (config.access, offered.clone());
    let performer =
        Performer::new(sender, queue.clone(), sessions, access, shown, tempo, shutdown.clone());
    let privacy = Privacy::read(config.privacy_file.as_deref());
    let performer = Arc::new(performer.with_privacy(privacy));
    if let Err(error) = queue.announce_partitions().await {
        tracing::warn!(error = %error.source, "the partitions become known with their first tasks");
    }
    let sweeping = tokio::spawn(queue::work::sweep_until(queue.clone(), shutdown.clone()));
    let confirming = tokio::spawn(queue::submit::confirm_until(queue.clone(), shutdown.clone()));
    let delivering = tokio::spawn(answers::delivery::deliver_until(
        queue,
        Arc::clone(&performer),
        me.clone(),
        shutdown.clone(),
    ));
    // Until it is known what plugins offer, their commands would be taken for unknown ones.
    let _ = shutdown.run_until_cancelled(offered.changed()).await;
    match &config.webhook {
        Some(webhook) => {
            let token = config.token.expose();
            receive::webhook::serve_until(&performer, webhook, token, &trouble, shutdown).await?;
        }
        None => {
            let foreign = config.foreign_webhook;
            receive::polling::poll_until(&performer, &me, foreign, &trouble, shutdown).await;
        }
    }
    performer.settle().await;
    sweeping.await.context("the sweep ended badly")?;
    confirming.await.context("looking after recent tasks ended badly")?;
    delivering.await.context("the delivery ended badly")?;
    watching.await.context("watching the plugins' commands ended badly")?;
    letting_through.abort(); // Nobody asks any more.
    sent.settle().await;
    tracing::info!("coordinator stopped");
    Ok(())
}
