//! Keeps the fleet's folder in step with the state in Redis, and reports how far this worker is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use queue::fleet::{
    Entry, Fleet, Merged, PluginReport, Record, Revision, State, Step, WorkerReport,
};
use queue::task::now_ms;
use queue::{RedisError, TaskQueue};
use tokio_util::sync::CancellationToken;

use super::coverage::Coverage;
use super::fetch::Fetcher;
use super::grants;
use super::rollout::Rollouts;
use super::store::{Known, Store, folder_name};
use crate::config::FleetConfig;
use crate::facts::host_name;
use crate::metrics;
use crate::plugin::publish::catalog::PluginCatalog;
use crate::plugin_config::base::FleetFolder;
use crate::swap::outcomes::Outcomes;
use crate::trust::Policy;

/// How often the revision is read: one small command.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How often while a plugin is on its way, so that its end is reported at once.
const POLL_ON_THE_WAY: Duration = Duration::from_millis(50);
/// How often an unchanged report is written again. It expires after 15 s.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a start waits for the fleet's plugins before it goes on with those that it has.
const FIRST_TICK: Duration = Duration::from_secs(30);

/// Follows the state of the fleet.
#[derive(Debug)]
pub(crate) struct Follower {
    fleet: Fleet,
    store: Store,
    labels: Vec<String>,
    /// [`WorkerReport::folder`].
    folder: String,
    rollouts: Rollouts,
    coverage: Coverage,
    /// The operator's own plugin folder.
    own: PathBuf,
    /// The folder with the operator's own settings.
    grants: PathBuf,
    catalog: Arc<PluginCatalog>,
    outcomes: Outcomes,
    worker: String,
    host: String,
    known: Known,
    fetcher: Fetcher,
    reported: Option<(WorkerReport, Instant)>,
    is_away: bool,
    is_unwritable: bool,
}

/// How far a plugin is, and why.
type Progress = BTreeMap<String, (Step, Option<String>)>;

impl Follower {
    /// Follows the fleet of `queue` as `worker`. `cache` is the plugin cache folder and `own` the plugin folder.
    ///
    /// # Errors
    ///
    /// When the folders cannot be created.
    pub(crate) fn new(
        config: &FleetConfig,
        trust: Policy,
        (redis_url, queue): (&str, TaskQueue),
        (cache, own): (&Path, &Path),
        catalog: Arc<PluginCatalog>,
        worker: &str,
    ) -> anyhow::Result<Self> {
        let whole = fs::canonicalize(own).unwrap_or_else(|_| own.to_owned());
        let name = folder_name(redis_url, &whole, &config.labels);
        let store = Store::open(cache, &name).with_context(|| {
            format!("cannot use the plugin cache {} for the fleet", cache.display())
        })?;
        let host = host_name();
        let known = store.load();
        let fleet = Fleet::new(queue);
        let fetcher = Fetcher::new(fleet.clone(), store.clone(), config.sources.clone());
        Ok(Self {
            fleet,
            labels: config.labels.clone(),
            folder: store.identity(&host),
            rollouts: Rollouts::new(),
            coverage: Coverage::new(trust),
            own: own.to_owned(),
            grants: config.grants.clone().unwrap_or_else(|| own.to_owned()),
            catalog,
            outcomes: Outcomes::default(),
            worker: worker.to_owned(),
            host,
            known,
            store,
            fetcher,
            reported: None,
            is_away: false,
            is_unwritable: false,
        })
    }

    /// The folder in which the plugins are put.
    pub(crate) fn folder(&self) -> FleetFolder {
        let base = fs::canonicalize(&self.grants).unwrap_or_else(|_| self.grants.clone());
        FleetFolder { plugins: self.store.plugins(), base }
    }

    /// Where to note what came of them.
    pub(crate) fn outcomes(&self) -> Outcomes {
        self.outcomes.clone()
    }

    /// Puts the plugins in place before the first scan of the folder.
    pub(crate) async fn prepare(&mut self) {
        let all_there = async {
            self.tick().await;
            while self.fetcher.is_busy() {
                self.tick().await;
            }
        };
        if tokio::time::timeout(FIRST_TICK, all_there).await.is_err() {
            tracing::warn!(
                "the fleet's plugins are not all here yet; starting with those that are"
            );
        }
    }

    /// Follows until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            // A tick that is dropped leaves files that the next start finishes.
            let tick = async {
                self.tick().await;
                let interval = if self.is_on_the_way() { POLL_ON_THE_WAY } else { POLL_INTERVAL };
                tokio::time::sleep(interval).await;
            };
            if shutdown.run_until_cancelled(tick).await.is_none() {
                let _ = self.fleet.forget(&self.worker).await; // It expires anyway.
                return;
            }
        }
    }

    /// Whether a plugin is in place and not loaded yet.
    fn is_on_the_way(&self) -> bool {
        let reported = self.reported.as_ref();
        reported.is_some_and(|(report, _)| {
            report.plugins.iter().any(|plugin| plugin.step == Step::Checking)
        })
    }

    /// One look at the state, and all that follows from it.
    async fn tick(&mut self) {
        let read = self.read().await;
        self.note_redis(read.as_ref().err());
        if read.is_ok() {
            let wanted = self.wanted();
            self.fetcher.fetch(&wanted).await;
        }
        let progress = match self.place().await {
            Ok(progress) => progress,
            Err(error) => {
                if !std::mem::replace(&mut self.is_unwritable, true) {
                    tracing::warn!(error = %error, "cannot write the fleet's folder; what runs stays");
                }
                return;
            }
        };
        self.is_unwritable = false;
        self.report(progress).await;
        if !self.is_away {
            let place = (&*self.labels, &*self.folder);
            // Decided by another look, or by another worker, when Redis does not answer this one.
            let _ = self.rollouts.tend(&self.fleet, &self.known.entries, place).await;
        }
    }

    fn note_redis(&mut self, error: Option<&RedisError>) {
        let was_away = std::mem::replace(&mut self.is_away, error.is_some());
        match error {
            Some(error) if !was_away => {
                tracing::warn!(error = %ops::chain::chain(error), "the fleet's state cannot be read; what runs stays");
            }
            None if was_away => tracing::info!("the fleet's state can be read again"),
            _ => {}
        }
    }

    /// Reads the state when it has changed. What Redis has lost is put back first.
    async fn read(&mut self) -> Result<(), RedisError> {
        let revision = self.fleet.revision().await?;
        let seen = self.known.seen.clone();
        if revision == seen {
            return Ok(());
        }
        let mut state = self.fleet.state().await?;
        if has_lost(state.revision.as_ref(), seen.as_ref()) {
            tracing::warn!(
                known = self.known.entries.len(),
                stored = state.entries.len(),
                "Redis has another state of the fleet than before; putting back what is missing there"
            );
            if self.put_back(&state, seen.as_ref()).await? == Merged::Changed {
                return Ok(()); // Another worker was first; the next tick reads what it did.
            }
            state = self.fleet.state().await?;
        }
        let mut known = self.known.clone();
        known.seen = state.revision;
        // Only a record of a removal removes: what is missing here stays.
        known.entries.extend(state.entries);
        self.fetcher.forget_failures();
        let store = self.store.clone();
        let saved = blocking(move || {
            store.locked(|| {
                let known = store.together(known);
                store.save(&known)?;
                Ok(known)
            })
        });
        match saved.await {
            Ok(known) => self.known = known,
            Err(error) => tracing::warn!(error = %error, "cannot store the fleet's state"),
        }
        Ok(())
    }

    /// Puts records and components back that Redis has lost.
    async fn put_back(&self, state: &State, seen: Option<&Revision>) -> Result<Merged, RedisError> {
        for (name, entry) in &self.known.entries {
            // A record of a later push has its own component.
            let is_other = state
                .entries
                .get(name)
                .is_some_and(|stored| stored.record.digest != entry.record.digest);
            if is_other {
                continue;
            }
            for Record { digest, size, .. } in
                entry.records().filter(|record| record.source.is_none())
            {
                if self.fleet.is_stored(digest, *size).await? {
                    continue;
                }
                let store = self.store.clone();
                let wanted = digest.clone();
                let component = blocking(move || Ok(store.artefact(&wanted))).await.ok().flatten();
                if let Some(component) = component
                    && let Err(error) = self.fleet.store(digest, &component).await
                {
                    tracing::warn!(plugin = name, error = %ops::chain::chain(&error), "component not put back");
                }
            }
        }
        self.fleet.merge(state.revision.as_ref(), seen, &self.known.entries).await
    }

    /// What this worker should run, canaries included.
    fn wanted(&self) -> Vec<Entry> {
        let entries = self.known.entries.values();
        entries.filter_map(|entry| followed(entry, &self.labels, &self.folder)).collect()
    }

    /// Puts in place what this worker should run, and removes the rest.
    async fn place(&mut self) -> io::Result<Progress> {
        let place = Place {
            store: self.store.clone(),
            known: self.known.clone(),
            labels: self.labels.clone(),
            folder: self.folder.clone(),
            coverage: self.coverage.clone(),
            own: self.own.clone(),
            grants: self.grants.clone(),
        };
        let (known, mut progress) = blocking(move || {
            let store = place.store.clone();
            store.locked(|| place.run())
        })
        .await?;
        self.known = known;
        for Entry { name, record, .. } in self.wanted() {
            let Some((step, reason)) = progress.get_mut(&name) else { continue };
            match *step {
                Step::Fetching => {
                    if let Some(failure) = self.fetcher.failure(&record.digest) {
                        *step = failure.step;
                        *reason = Some(failure.reason.clone());
                    }
                }
                Step::Checking => {
                    let component = self.store.component(&name);
                    let settings = fs::read_to_string(component.with_extension("toml"));
                    let in_force = self.catalog.named(&name);
                    let runs = in_force.is_some_and(|version| {
                        version.digest == record.digest
                            && settings.is_ok_and(|settings| settings == version.settings_text)
                    });
                    if runs {
                        *step = Step::Running;
                    } else if let Some(refusal) = self.outcomes.refusal(&component) {
                        *step = Step::Refused;
                        *reason = Some(refusal);
                    }
                }
                Step::Running | Step::Refused | Step::OwnFile => {}
            }
        }
        Ok(progress)
    }

    /// Writes the report, when it has changed or is about to expire.
    async fn report(&mut self, progress: Progress) {
        let mut plugins = Vec::new();
        for Entry { name, record, .. } in self.wanted() {
            let Some((step, reason)) = progress.get(&name).cloned() else { continue };
            let in_force = self.catalog.named(&name);
            let runs = in_force.as_ref().map(|version| version.digest.clone());
            let signed = in_force.as_ref().and_then(|version| version.signature.as_ref());
            let signed_at = signed.map(|signed| signed.accepted.covered.timestamp);
            let is_tried =
                self.known.entries.get(&name).is_some_and(|entry| entry.record.canary.is_some());
            // Counted for a rollout only: each change is written.
            let counts = in_force.filter(|_| is_tried).map(|version| version.task_counts.read());
            let (ended, failed) = counts.unwrap_or_default();
            let digest = record.digest;
            let since = now_ms();
            let mut report =
                PluginReport { name, step, digest, runs, signed_at, reason, since, ended, failed };
            let earlier = self.reported.as_ref().and_then(|(earlier, _)| {
                earlier.plugins.iter().find(|earlier| earlier.name == report.name)
            });
            let is_same = earlier.is_some_and(|earlier| {
                earlier.step == report.step
                    && earlier.digest == report.digest
                    && earlier.reason == report.reason
            });
            match earlier {
                Some(earlier) if is_same => report.since = earlier.since,
                _ => tell(&report),
            }
            plugins.push(report);
        }
        metrics::fleet_plugins(plugins.iter().map(|plugin| plugin.step));
        let report = WorkerReport {
            worker: self.worker.clone(),
            host: self.host.clone(),
            labels: self.labels.clone(),
            folder: self.folder.clone(),
            signatures: self.coverage.signatures(),
            revision: self.known.seen.clone(),
            plugins,
        };
        let is_known = self
            .reported
            .as_ref()
            .is_some_and(|(earlier, at)| *earlier == report && at.elapsed() < REPORT_INTERVAL);
        if is_known {
            return;
        }
        // Written again with the next tick when it fails.
        if self.fleet.report(&report).await.is_ok() {
            self.reported = Some((report, Instant::now()));
        }
    }
}

/// Says in the log what the loader does not say.
fn tell(report: &PluginReport) {
    let PluginReport { name: plugin, digest, reason, .. } = report;
    let digest = digest.get(..12).unwrap_or_default();
    let reason = reason.as_deref();
    match report.step {
        Step::Refused => {
            tracing::warn!(
                plugin,
                digest,
                reason,
                "plugin of the fleet refused; what ran before still runs"
            );
        }
        Step::OwnFile => tracing::info!(plugin, digest, reason, "plugin of the fleet not used"),
        Step::Running => tracing::info!(plugin, digest, "plugin of the fleet runs"),
        Step::Fetching | Step::Checking => {
            tracing::debug!(plugin, digest, "plugin of the fleet on its way");
        }
    }
}

/// Whether Redis has lost what was read before. A worker that has read nothing misses nothing.
fn has_lost(stored: Option<&Revision>, seen: Option<&Revision>) -> bool {
    match (stored, seen) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(stored), Some(seen)) => stored.era != seen.era || stored.number < seen.number,
    }
}

/// What is needed to put files in place, on a thread that may wait for the disk.
struct Place {
    store: Store,
    known: Known,
    labels: Vec<String>,
    folder: String,
    coverage: Coverage,
    own: PathBuf,
    grants: PathBuf,
}

impl Place {
    fn run(self) -> io::Result<(Known, Progress)> {
        // Another worker may have read more and written it.
        let mut known = self.store.together(self.known.clone());
        let mut progress = Progress::new();
        for (name, entry) in known.entries.clone() {
            let Some(entry) = followed(&entry, &self.labels, &self.folder) else {
                if known.placed.remove(&name).is_some() || self.store.component(&name).exists() {
                    self.store.remove(&name)?;
                }
                continue;
            };
            let step = self.place(&entry, &mut known.placed)?;
            progress.insert(name, step);
        }
        self.store.save(&known)?;
        Ok((known, progress))
    }

    fn place(
        &self,
        entry: &Entry,
        placed: &mut BTreeMap<String, Entry>,
    ) -> io::Result<(Step, Option<String>)> {
        let Entry { name, record, .. } = entry;
        let own_settings = self.grants.join(name).with_extension("toml");
        let own = match fs::read_to_string(&own_settings) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                let reason = format!("cannot read {}: {error}", own_settings.display());
                return Ok((Step::Refused, Some(reason)));
            }
        };
        let folder = fs::canonicalize(&self.grants).unwrap_or_else(|_| self.grants.clone());
        let resolve = |record: &Record| {
            let component = || self.store.artefact(&record.digest);
            let covered = self.coverage.of(name, record, component)?;
            let settings = record.settings.as_str();
            Some(covered.and_then(|covered| grants::resolve(settings, &own, &folder, covered)))
        };
        let Some(resolved) = resolve(record) else { return Ok((Step::Fetching, None)) };
        let refused = match resolved {
            Ok(resolved) if resolved.missing.is_empty() => {
                let is_same = placed.get(name).is_some_and(|placed| {
                    placed.record.digest == record.digest
                        && placed.record.signature == record.signature
                });
                let is_placed = is_same && self.store.component(name).exists();
                if is_placed {
                    self.store.place_settings(name, &resolved.text)?;
                } else {
                    let Some(component) = self.store.artefact(&record.digest) else {
                        return Ok((Step::Fetching, None));
                    };
                    self.store.place(entry, &component, &resolved.text)?;
                }
                placed.insert(name.clone(), entry.clone());
                None
            }
            Ok(resolved) => Some(format!(
                "it asks for what {} does not grant: {}",
                own_settings.display(),
                resolved.missing.join("; ")
            )),
            Err(problem) => Some(problem),
        };
        if refused.is_some()
            && let Some(placed) = placed.get(name)
            && let Some(Ok(resolved)) = resolve(&placed.record)
        {
            // What the operator has taken away is taken from the former version as well.
            self.store.place_settings(name, &resolved.text)?;
        }
        let own = self.own.join(name).with_extension("wasm");
        if own.exists() {
            let reason = format!("{} has priority over the fleet", own.display());
            return Ok((Step::OwnFile, Some(reason)));
        }
        Ok(match refused {
            Some(reason) => (Step::Refused, Some(reason)),
            None => (Step::Checking, None),
        })
    }
}

/// What a worker runs of an entry.
fn followed(entry: &Entry, labels: &[String], folder: &str) -> Option<Entry> {
    let record = entry.record_for(labels, folder)?.clone();
    Some(Entry { name: entry.name.clone(), at: entry.at.clone(), record })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
