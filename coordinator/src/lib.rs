//! The bot: Telegram's traffic and the sessions.
//!
//! An update becomes an [`chat::event::Event`]; a flow, which is a pure function, turns it into effects ([`chat::flow`]),
//! which are carried out in order (`conversation`). A question becomes a task, and only when Redis has it does the update
//! count as handled (`receive`). Answers come back through the outbox, to any coordinator (`answers`).
//!
//! Not here: searching, loading or computing anything.

pub mod access;
mod admin;
pub mod alerts;
pub mod answers;
pub mod chat;
mod chat_order;
pub mod cli;
pub mod config;
mod conversation;
pub mod dashboard;
#[cfg(test)]
mod fixtures;
pub mod keys;
mod menu;
pub mod metrics;
mod receive;
mod redis_lease;
mod redis_retry;
mod script_reply;
pub mod session_store;
mod spans;

pub mod telegram;
mod wait_estimator;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use ops::health::Health;
use ops::process_metrics::{self, RedisFigures};
use ops::server::Program;
use ops::shutdown::Shutdown;
use ops::supervisor;
use queue::{QueueConfig, Rate, Side, TaskQueue, TaskType};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::admission::AccessControl;
use crate::access::dedup::Dedup;
use crate::answers::delivery::{self, Delivery};
use crate::answers::message_edit::MessageEditor;
use crate::answers::placeholder::Placeholders;
use crate::answers::progress::ProgressReporter;
use crate::answers::status::TaskStatusReader;
use crate::answers::wait_feedback::WaitFeedback;
use crate::chat_order::ChatOrder;
use crate::config::{Config, privacy_file};
use crate::conversation::delay_notice::DelayNotices;
use crate::conversation::effects::EffectRunner;
use crate::conversation::handler::Handler;
use crate::conversation::reactions::{FlowInputs, Reactions};
use crate::conversation::replies::Replies;
use crate::conversation::submit::Submitter;
use crate::conversation::task_ids::TaskIds;
use crate::receive::UpdateProblem;
use crate::receive::dispatch::Dispatcher;
use crate::receive::poller_lease::PollerLease;
use crate::session_store::SessionStore;
use crate::telegram::bot_api::BotApi;
use crate::telegram::send::Sender;
use crate::wait_estimator::WaitEstimator;

/// Longest time between two turns of the loop that delivers answers: it waits a second for new ones, and what it asks of Redis
/// has time limits of a few seconds.
const DELIVERY_AT_MOST: Duration = Duration::from_secs(60);
/// The same for updates: a long poll takes 35 s at most, another program's webhook makes it pause for 20 s, and a webhook of our
/// own is looked at every 60 s.
const UPDATES_AT_MOST: Duration = Duration::from_secs(180);

/// Runs a coordinator until `shutdown`.
///
/// # Errors
///
/// When Redis or the Bot API refuses us at the start. While they do not answer, it waits.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let redis_ca = config.redis.read_ca()?;
    let partitions = config.queue_partitions.clone();
    let side = Some(Side::Coordinator);
    let history = config.history;
    let queue_config =
        QueueConfig { redis_ca, partitions, side, history, ..QueueConfig::default() };
    let reached = Arc::new(OnceLock::new());
    let problem = UpdateProblem::default();
    let health = Health::default();
    supervisor::follow(health.clone(), shutdown.clone());
    if let Some(address) = config.listen {
        let asked: Arc<OnceLock<TaskQueue>> = Arc::clone(&reached);
        let problem = problem.subscribe();
        let ready = move || {
            let asked = Arc::clone(&asked);
            let problem = problem.borrow().clone();
            async move {
                let redis = TaskQueue::readiness(asked.get()).await.err();
                if let Some(queue) = asked.get() {
                    let trouble = queue.redis_trouble();
                    process_metrics::redis(&RedisFigures {
                        errors: &trouble.errors,
                        current: &trouble.current,
                        history_dropped: queue.history_dropped(),
                    });
                }
                redis.into_iter().chain(problem).collect()
            }
        };
        // Start health checks first, so waiting for Redis is not mistaken for a crash.
        let program = Program {
            name: "coordinator",
            version: env!("CARGO_PKG_VERSION"),
            metrics: metrics::ALL,
        };
        ops::server::serve(address, program, health.clone(), ready, shutdown.clone()).await?;
    }
    supervisor::status("waiting for Redis");
    let bot_id = Arc::new(OnceLock::new());
    if let Some(dashboard) = config.dashboard.clone() {
        let sources = dashboard::Sources {
            queue: Arc::clone(&reached),
            bot: Arc::clone(&bot_id),
            problem: problem.subscribe(),
            has_history: history.is_some(),
        };
        dashboard::serve(dashboard, sources, shutdown.clone()).await?;
    }
    let connecting =
        TaskQueue::connect_when_there(config.redis.redis_url.expose(), queue_config, &shutdown);
    let Some(queue) = connecting.await? else { return Ok(()) };
    let _ = reached.set(queue.clone()); // Set once, here.
    if config.listen.is_some() {
        tokio::spawn(metrics::watch_until(queue.clone(), shutdown.clone()));
    }
    supervisor::status("waiting for the Bot API");
    let connecting = BotApi::connect(&config.token, &config.api_url, &shutdown);
    let bot = connecting.await.context("cannot use the Bot API")?;
    let _ = bot_id.set(bot.id().to_string()); // Set once, here.
    let me = format!("coordinator-{}", uuid::Uuid::now_v7().simple());
    let menu = tokio::sync::watch::Sender::default();
    let mut offered = menu.subscribe();
    let estimator = Arc::new(WaitEstimator::default());
    let watching = menu::watch_until(
        queue.clone(),
        bot.clone(),
        me.clone(),
        menu,
        Arc::clone(&estimator),
        shutdown.clone(),
    );
    let watching = tokio::spawn(health.guard("command menu", watching));
    tracing::info!(coordinator = me, bot = bot.username(), "coordinator ready");
    supervisor::ready(&format!("ready; the bot is @{}", bot.username()));
    let (sender, scheduler) = Sender::new(bot.clone(), queue.clone(), config.limits);
    let sending = tokio::spawn(health.guard("sending", scheduler.run(shutdown.clone())));
    let parts = Parts::new(queue.clone(), sender.clone(), estimator, shutdown.clone());
    if let Err(error) = queue.announce_partitions().await {
        tracing::warn!(error = %error.source, "partitions not announced; workers learn them from the first tasks");
    }
    tokio::spawn(set_rate_limits(queue.clone(), config.rate_limits, shutdown.clone()));
    let sweeping = queue::work::sweep_until(queue.clone(), shutdown.clone());
    let sweeping = tokio::spawn(health.guard("sweep", sweeping));
    let confirming = queue::submit::confirm_until(queue.clone(), shutdown.clone());
    let confirming = tokio::spawn(health.guard("confirmation of tasks", confirming));
    let telling = alerts::watch_until(
        queue.clone(),
        sender.clone(),
        me.clone(),
        problem.subscribe(),
        config.alerts.clone(),
        shutdown.clone(),
    );
    let telling = tokio::spawn(health.guard("messages to administrators", telling));
    // Ends after the delivery, whose last notes it writes.
    let delivered = CancellationToken::new();
    let noting = queue::history::write_until(queue.clone(), delivered.clone());
    let noting = tokio::spawn(health.guard("history", noting));
    let turns = health.follow("delivery", DELIVERY_AT_MOST);
    let delivering = parts.delivery().run_until(me.clone(), turns, shutdown.clone());
    let delivering = tokio::spawn(delivering);
    let inputs = FlowInputs {
        bot: bot.username().to_owned(),
        lists: Arc::new(config.access),
        menu: offered.clone(),
        privacy: privacy_file::read(config.privacy_file.as_deref()),
    };
    let dispatcher = parts.dispatcher(inputs);
    // Wait for the plugins' commands, or they would be unknown.
    let _ = shutdown.run_until_cancelled(offered.changed()).await;
    let turns = health.follow("updates", UPDATES_AT_MOST);
    match &config.webhook {
        Some(webhook) => {
            let token = config.token.expose();
            let lease = PollerLease::new(queue, bot.id(), "");
            receive::webhook::serve_until(
                dispatcher,
                &bot,
                lease,
                (webhook, token),
                &problem,
                &turns,
                shutdown,
            )
            .await?;
        }
        None => {
            let foreign = config.foreign_webhook;
            let lease = PollerLease::new(queue, bot.id(), &me);
            receive::polling::poll_until(
                &dispatcher,
                &bot,
                lease,
                foreign,
                &problem,
                &turns,
                shutdown,
            )
            .await;
        }
    }
    drop(turns);
    parts.settle().await;
    sweeping.await.context("the sweep panicked")?;
    confirming.await.context("the confirmation of recent tasks panicked")?;
    delivering.await.context("the delivery panicked")?;
    delivered.cancel();
    noting.await.context("the writer of the history panicked")?;
    watching.await.context("the command menu's task panicked")?;
    telling.await.context("the messages to administrators panicked")?;
    sending.abort(); // Nobody sends any more.
    sender.settle().await;
    tracing::info!("coordinator stopped");
    Ok(())
}

/// Sets the configured rates, as soon as Redis takes them.
async fn set_rate_limits(
    queue: TaskQueue,
    rates: BTreeMap<TaskType, Option<Rate>>,
    shutdown: CancellationToken,
) {
    let shutdown = Shutdown::new(shutdown);
    for (task_type, rate) in rates {
        let set =
            || async { queue.set_rate_limit(&task_type, rate).await.map_err(|error| error.source) };
        let doing = "set the rate limit of a type";
        if redis_retry::until_answered(&queue, &shutdown, doing, set).await.is_err() {
            return;
        }
    }
}

/// What the parts of a coordinator share.
struct Parts {
    queue: TaskQueue,
    sender: Sender,
    sessions: SessionStore,
    editor: MessageEditor,
    placeholders: Placeholders,
    estimator: Arc<WaitEstimator>,
    /// Tasks that no update waits for.
    background: TaskTracker,
    shutdown: Shutdown,
}

impl Parts {
    fn new(
        queue: TaskQueue,
        sender: Sender,
        estimator: Arc<WaitEstimator>,
        shutdown: CancellationToken,
    ) -> Self {
        let shutdown = Shutdown::new(shutdown);
        let sessions = SessionStore::new(queue.clone());
        let editor = MessageEditor::new(sender.clone(), sessions.clone());
        let placeholders = Placeholders::new(sender.clone(), queue.clone(), shutdown.clone());
        let background = TaskTracker::new();
        Self { queue, sender, sessions, editor, placeholders, estimator, background, shutdown }
    }

    fn delivery(&self) -> Arc<Delivery> {
        Delivery::new(delivery::Parts {
            queue: self.queue.clone(),
            sessions: self.sessions.clone(),
            sender: self.sender.clone(),
            editor: self.editor.clone(),
            placeholders: self.placeholders.clone(),
            estimator: Arc::clone(&self.estimator),
            shutdown: self.shutdown.clone(),
        })
    }

    fn dispatcher(&self, inputs: FlowInputs) -> Arc<Dispatcher> {
        let bot = self.sender.bot().clone();
        let order = ChatOrder::default();
        let dedup = Dedup::new(self.queue.clone());
        let status = TaskStatusReader::new(self.queue.clone(), Arc::clone(&self.estimator));
        let replies = Replies::new(
            self.sender.clone(),
            self.sessions.clone(),
            self.editor.clone(),
            order.clone(),
            self.background.clone(),
            self.shutdown.clone(),
        );
        let progress = ProgressReporter::new(
            self.queue.clone(),
            self.sender.clone(),
            status.clone(),
            self.shutdown.clone(),
        );
        let feedback =
            WaitFeedback::new(self.placeholders.clone(), progress, order, self.background.clone());
        let notices = Arc::new(DelayNotices::new(dedup.clone(), Arc::clone(&replies)));
        let submitter = Submitter::new(
            self.queue.clone(),
            self.sessions.clone(),
            Arc::clone(&replies),
            feedback,
            Arc::clone(&notices),
            self.shutdown.clone(),
        );
        let task_ids = TaskIds::new(self.queue.clone(), bot.id());
        let access = AccessControl::new(Arc::clone(&inputs.lists), self.queue.clone());
        let reactions = Reactions::new(
            inputs,
            self.queue.clone(),
            task_ids.clone(),
            self.sessions.clone(),
            notices,
            self.shutdown.clone(),
        );
        let effects = EffectRunner {
            queue: self.queue.clone(),
            task_ids,
            sessions: self.sessions.clone(),
            status,
            replies: Arc::clone(&replies),
            submitter,
            dedup,
            shutdown: self.shutdown.clone(),
        };
        let handler = Handler::new(bot, reactions, effects, replies);
        Dispatcher::new(access, self.sender.clone(), handler)
    }

    /// Waits for the tasks in the background.
    async fn settle(&self) {
        self.background.close();
        self.background.wait().await;
    }
}
