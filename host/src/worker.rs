//! The worker: plugins, and the queue's loop around them.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use queue::task::now_ms;
use queue::{
    DistributedWorkerRegistry, FailureCode, Finish, Handled, Lease, OfferedPlugin, QueueConfig,
    Side, TaskHandler, TaskQueue, TaskResult,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::archive::{KeptVersions, Rejection};
use crate::config::HostConfig;
use crate::plugin::compile::cache::PreparedCache;
use crate::plugin::load::Loader;
use crate::plugin::publish::catalog::{PluginCatalog, RolledBack};
use crate::plugin::publish::history::History;
use crate::swap::folder::PluginFolder;
use crate::swap::watch::watch_until;
use crate::version::PluginVersion;
use crate::{engine, metrics, runner};

/// Runs tasks with the plugins of a catalogue.
#[derive(Debug)]
pub struct PluginHandler {
    loader: Arc<Loader>,
    catalog: Arc<PluginCatalog>,
    worker: String,
    retry: queue::config::RetryPolicy,
    history: Option<History>,
}

impl PluginHandler {
    /// Runs tasks with the plugins of `catalog`, which `loader` loaded; `worker` is the name that results carry.
    pub fn new(
        loader: Arc<Loader>,
        catalog: Arc<PluginCatalog>,
        worker: String,
        retry: queue::config::RetryPolicy,
    ) -> Self {
        Self { loader, catalog, worker, retry, history: None }
    }

    /// Tells `history` when a version is rolled back.
    #[must_use]
    pub fn with_history(self, history: History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// Tells everybody, and remembers it for the next start.
    async fn rolled_back(&self, version: &Arc<PluginVersion>, back: &RolledBack) {
        let RolledBack { to, failed, ended } = back;
        metrics::plugin_looked_at("rolled-back");
        metrics::plugin_in_force(version.name(), &version.descriptor.version, false);
        metrics::plugin_in_force(version.name(), &to.descriptor.version, true);
        tracing::error!(
            plugin = version.name(),
            plugin_version = version.descriptor.version,
            digest = version.digest.get(..12).unwrap_or_default(),
            back_to = to.descriptor.version,
            failed,
            of = ended,
            "plugin rolled back: too many of its first tasks failed; put a mended file or the old one in place"
        );
        let reason = format!("{failed} of its first {ended} tasks failed");
        if let Some(history) = &self.history {
            history.rolled_back(version, to, reason);
        }
        // Other data with the same component and settings: nothing on disk would tell the two apart.
        let Some(versions) = self.loader.versions().filter(|_| version.id() != to.id()) else {
            return;
        };
        let (versions, version, to) = (versions.clone(), Arc::clone(version), Arc::clone(to));
        let name = version.name().to_owned();
        let why = Rejection { at: now_ms(), failed: *failed, ended: *ended };
        let noting = tokio::task::spawn_blocking(move || {
            versions.reject(version.name(), &version.id(), why)?;
            versions.keep(&to)
        });
        match noting.await {
            Ok(Ok(())) => self.catalog.note_rolled_back(&name),
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "the next start will try the version that was rolled back");
            }
            Err(error) => tracing::warn!(error = %error, "a rollback was not remembered"),
        }
    }
}

impl TaskHandler for PluginHandler {
    async fn handle(&self, lease: &Lease, cancelled: CancellationToken) -> Handled {
        // Pinned here: a swap from now on does not touch this task.
        let Some(version) = self.catalog.get(&lease.task.task_type) else {
            // Its plugin was removed between claim and start; another worker may have it.
            let result =
                TaskResult::failure(FailureCode::UnknownTaskType, "no plugin for this task type");
            return Handled { result, finish: Finish::Requeue };
        };
        let handled =
            runner::run(&self.loader, &version, lease, &self.worker, &self.retry, &cancelled).await;
        version.tally.note(handled.result.failure_code());
        if let Some(back) = self.catalog.judge(&version) {
            self.rolled_back(&version, &back).await;
        }
        handled
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.catalog.offered()
    }
}

/// Runs a worker until `shutdown`, then drains it. `ready` is called once when it has loaded its plugins and is about
/// to claim.
///
/// # Errors
///
/// When Redis is not usable (one that is not there is waited for), or the plugin folder cannot be read.
pub async fn run(
    config: HostConfig,
    shutdown: CancellationToken,
    ready: impl FnOnce(&str, &[OfferedPlugin]),
) -> anyhow::Result<()> {
    let redis_ca = ops::file::read_optional(config.redis_ca.as_deref())?;
    let queue_config = QueueConfig { redis_ca, side: Some(Side::Worker), ..QueueConfig::default() };
    let retry = queue_config.retry;
    let (reached, catalog) = (Arc::new(OnceLock::new()), Arc::new(PluginCatalog::default()));
    if let Some(address) = config.listen {
        let handle = ops::server::collect()?;
        metrics::describe();
        let ready = readiness(Arc::clone(&reached), Arc::clone(&catalog));
        // Before Redis is there: who watches us must not take waiting for being dead.
        let address = ops::server::serve(address, handle, ready, shutdown.clone()).await?;
        tracing::info!(%address, "serving health and metrics");
    }
    let connecting =
        TaskQueue::connect_when_there(config.redis_url.expose(), queue_config, &shutdown);
    let Some(queue) = connecting.await? else { return Ok(()) };
    let _ = reached.set(queue.clone()); // Set once, here.
    let engine = engine::build(config.concurrency, &config.ceilings)
        .map_err(anyhow::Error::from)
        .context("cannot start the WebAssembly engine")?;
    let (prepared, versions) =
        config.plugin_cache.as_deref().and_then(|cache| open_cache(cache, &config.plugins)).unzip();
    let loader = Arc::new(
        Loader::new(engine, config.ceilings, Some(queue.clone()))
            .map_err(anyhow::Error::from)
            .context("cannot build the linkers")?
            .with_cache(prepared)
            .with_versions(versions),
    );
    let worker = format!("worker-{}", uuid::Uuid::now_v7().simple());
    let history = History::new(queue.clone(), &worker);
    let mut folder = PluginFolder::new(
        config.plugins.clone(),
        config.ceilings,
        Arc::clone(&loader),
        Arc::clone(&catalog),
    )
    .with_history(history.clone())
    .with_patience(config.plugin_wait);
    folder.scan().await.with_context(|| {
        format!(
            "cannot read the plugin folder {}; name another with --plugins",
            config.plugins.display()
        )
    })?;
    ready(&worker, &catalog.offered().borrow());
    let watching = tokio::spawn(watch_until(folder, shutdown.clone()));
    let all_kept = loader.all_kept();
    let handler = PluginHandler::new(loader, catalog, worker.clone(), retry);
    let handler = Arc::new(handler.with_history(history));
    DistributedWorkerRegistry::new(queue)
        .process_tasks(handler, &worker, config.concurrency, config.drain, shutdown)
        .await;
    watching.await.context("the folder watcher ended badly")?;
    all_kept.await;
    Ok(())
}

/// The folder for what is kept, when it can be used; a worker without one starts slower and cannot go back.
fn open_cache(folder: &Path, plugins: &Path) -> Option<(PreparedCache, KeptVersions)> {
    PreparedCache::open(folder)
        .and_then(|prepared| Ok((prepared, KeptVersions::open(folder, plugins)?)))
        .inspect_err(|error| {
            tracing::warn!(
                folder = %folder.display(),
                error = %error,
                "prepared plugins and good versions are not kept for the next start"
            );
        })
        .ok()
}

/// Ready to work: Redis answers, and there is a plugin.
fn readiness(
    queue: Arc<OnceLock<TaskQueue>>,
    catalog: Arc<PluginCatalog>,
) -> impl Fn() -> futures::future::BoxFuture<'static, Result<(), String>> + Send + Sync {
    move || {
        let (queue, catalog) = (Arc::clone(&queue), Arc::clone(&catalog));
        Box::pin(async move {
            TaskQueue::readiness(queue.get()).await?;
            match catalog.offered().borrow().is_empty() {
                true => Err("no plugin is loaded".to_owned()),
                false => Ok(()),
            }
        })
    }
}
