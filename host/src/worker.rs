//! Starts a worker: connects to Redis, loads the plugins, and runs the queue's loop until shutdown.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use ops::health::Health;
use ops::process_metrics::{self, RedisFigures};
use ops::server::Program;
use ops::supervisor;
use queue::{DistributedWorkerRegistry, OfferedPlugin, QueueConfig, Side, TaskQueue};
use tokio_util::sync::CancellationToken;

use crate::archive::VersionArchive;
use crate::config::HostConfig;
use crate::fleet::follow::Follower;
use crate::handler::PluginHandler;
use crate::plugin::compile::cache::PreparedCache;
use crate::plugin::load::Loader;
use crate::plugin::publish::catalog::PluginCatalog;
use crate::plugin::publish::history::History;
use crate::plugin_config::base::PathBase;
use crate::replay::outside::Outside;
use crate::replay::recordings::Recordings;
use crate::swap::folder::PluginFolder;
use crate::swap::watch::watch_until;
use crate::{engine, facts, metrics};

/// Longest time between two turns of the loop that claims tasks. It turns every two seconds; what it asks of Redis meanwhile
/// has time limits of a few seconds.
const LOOP_AT_MOST: Duration = Duration::from_secs(60);

/// Runs a worker until `shutdown`, then drains it. `ready` is called once, after the plugins are loaded and before the
/// first claim.
///
/// # Errors
///
/// When Redis refuses the connection or the plugin folder cannot be read. A Redis that is not there yet is waited for.
pub async fn run(
    config: HostConfig,
    shutdown: CancellationToken,
    ready: impl FnOnce(&str, &[OfferedPlugin]),
) -> anyhow::Result<()> {
    let redis_ca = config.redis.read_ca()?;
    let side = Some(Side::Worker);
    let history = config.history;
    let queue_config = QueueConfig { redis_ca, side, history, ..QueueConfig::default() };
    let retry = queue_config.retry;
    let connected = Arc::new(OnceLock::new());
    let catalog = Arc::new(PluginCatalog::default());
    let health = Health::default();
    supervisor::follow(health.clone(), shutdown.clone());
    if let Some(address) = config.listen {
        let ready = readiness(Arc::clone(&connected), Arc::clone(&catalog));
        // Start health checks first, so that waiting for Redis is not mistaken for a crash.
        let program =
            Program { name: "worker", version: env!("CARGO_PKG_VERSION"), metrics: metrics::ALL };
        ops::server::serve(address, program, health.clone(), ready, shutdown.clone()).await?;
        metrics::capacity(config.concurrency);
    }
    supervisor::status("waiting for Redis");
    let connecting =
        TaskQueue::connect_when_there(config.redis.redis_url.expose(), queue_config, &shutdown);
    let Some(queue) = connecting.await? else { return Ok(()) };
    let _ = connected.set(queue.clone()); // Set once, here.
    supervisor::status("loading the plugins");
    let engine = engine::build(config.concurrency, &config.ceilings)
        .map_err(anyhow::Error::from)
        .context("cannot start the WebAssembly engine")?;
    let worker = format!("worker-{}", uuid::Uuid::now_v7().simple());
    let mut follower = follower(&config, &queue, &catalog, &worker)?;
    let (cache, archive) =
        config.plugin_cache.as_deref().and_then(|cache| open_cache(cache, &config.plugins)).unzip();
    if let Some(cache) = config.plugin_cache.clone().filter(|_| archive.is_some()) {
        // Beside the start: nobody waits for it.
        tokio::task::spawn_blocking(move || remove_unused_archives(&cache));
    }
    if config.trust.is_active() && archive.is_none() {
        tracing::warn!(
            "no plugin cache: an older signed version is not noticed after a restart (--plugin-cache)"
        );
    }
    let outside = outside(config.record_failed.as_deref())?;
    let loader = Arc::new(
        Loader::new(engine, config.ceilings, Some(queue.clone()))
            .map_err(anyhow::Error::from)
            .context("cannot build the linkers")?
            .with_compiler(config.compiler.clone())
            .with_cache(cache)
            .with_archive(archive)
            .with_trust(config.trust)
            .with_outside(outside)
            .with_base(PathBase::new(follower.as_ref().map(Follower::folder))),
    );
    let history = History::new(queue.clone(), &worker);
    let mut folder = PluginFolder::new(
        config.plugins.clone(),
        config.ceilings,
        Arc::clone(&loader),
        Arc::clone(&catalog),
    )
    .with_history(history.clone())
    .with_max_wait(config.plugin_wait);
    if let Some(follower) = &mut follower {
        folder = folder.with_second(follower.folder().plugins, follower.outcomes());
        follower.prepare().await;
    }
    folder.scan().await.with_context(|| {
        format!(
            "cannot read the plugin folder {}; name another with --plugins",
            config.plugins.display()
        )
    })?;
    ready(&worker, &catalog.offered().borrow());
    supervisor::ready(&format!("ready; {} plugins at the start", catalog.offered().borrow().len()));
    let following = follower
        .map(|follower| tokio::spawn(health.guard("fleet", follower.run(shutdown.clone()))));
    let watching = health.guard("plugin folder", watch_until(folder, shutdown.clone()));
    let watching = tokio::spawn(watching);
    let cache_written = loader.cache_written();
    let handler = PluginHandler::new(&loader, catalog, worker.clone(), retry);
    let turns = health.follow("tasks", LOOP_AT_MOST);
    let facts = facts::of_start(&config.plugins, config.plugin_cache.as_deref());
    let handler = handler.with_history(history).with_turns(turns).with_facts(facts);
    let handler = Arc::new(handler);
    DistributedWorkerRegistry::new(queue)
        .process_tasks(handler, &worker, config.concurrency, config.drain, shutdown)
        .await;
    watching.await.context("the folder watcher panicked")?;
    if let Some(following) = following {
        following.await.context("the fleet's follower panicked")?;
    }
    cache_written.await;
    Ok(())
}

/// What is outside for tasks, where `record_failed` is the folder for those that fail.
fn outside(record_failed: Option<&Path>) -> anyhow::Result<Outside> {
    let Some(folder) = record_failed else { return Ok(Outside::Real) };
    let recordings = Recordings::open(folder).with_context(|| {
        format!(
            "cannot keep failed tasks in {}; name another folder with --record-failed",
            folder.display()
        )
    })?;
    tracing::info!(folder = %folder.display(), "tasks that fail are recorded, with what people typed");
    Ok(Outside::Recorded(Arc::new(recordings)))
}

/// What follows the fleet, if the worker is one of a fleet.
fn follower(
    config: &HostConfig,
    queue: &TaskQueue,
    catalog: &Arc<PluginCatalog>,
    worker: &str,
) -> anyhow::Result<Option<Follower>> {
    let Some(fleet) = &config.fleet else { return Ok(None) };
    let cache = config.plugin_cache.as_deref().context(
        "a worker of a fleet keeps its plugins on disk; name a folder with --plugin-cache",
    )?;
    // Others must not put plugins there.
    PreparedCache::open(cache)
        .with_context(|| format!("cannot use the folder {}", cache.display()))?;
    let redis = (config.redis.redis_url.expose().as_str(), queue.clone());
    let folders = (cache, &*config.plugins);
    let trust = config.trust.clone();
    Follower::new(fleet, trust, redis, folders, Arc::clone(catalog), worker).map(Some)
}

/// Opens the cache and the archive in it. A worker without them starts slower and cannot roll back after a restart.
fn open_cache(folder: &Path, plugins: &Path) -> Option<(PreparedCache, VersionArchive)> {
    PreparedCache::open(folder)
        .and_then(|prepared| Ok((prepared, VersionArchive::open(folder, plugins)?)))
        .inspect_err(|error| {
            tracing::warn!(
                folder = %folder.display(),
                error = %error,
                "no plugin cache: prepared plugins and good versions are not stored"
            );
        })
        .ok()
}

fn remove_unused_archives(cache: &Path) {
    match VersionArchive::remove_unused(cache) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed archives of plugin folders that are gone"),
        Err(error) => {
            let folder = cache.display();
            tracing::warn!(%folder, %error, "cannot remove archives of plugin folders that are gone");
        }
    }
}

/// Ready to work: Redis answers, and there is a plugin.
fn readiness(
    queue: Arc<OnceLock<TaskQueue>>,
    catalog: Arc<PluginCatalog>,
) -> impl Fn() -> futures::future::BoxFuture<'static, Vec<String>> + Send + Sync {
    move || {
        let queue = Arc::clone(&queue);
        let catalog = Arc::clone(&catalog);
        Box::pin(async move {
            let mut missing: Vec<_> =
                TaskQueue::readiness(queue.get()).await.err().into_iter().collect();
            if let Some(queue) = queue.get() {
                let trouble = queue.redis_trouble();
                process_metrics::redis(&RedisFigures {
                    errors: &trouble.errors,
                    current: &trouble.current,
                    history_dropped: queue.history_dropped(),
                });
            }
            // The plugins are loaded when Redis was reached.
            if queue.get().is_some() && catalog.offered().borrow().is_empty() {
                missing.push("no plugin is loaded".to_owned());
            }
            missing
        })
    }
}
