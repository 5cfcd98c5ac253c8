//! `worker fleet push`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ops::flags::RedisFlags;
use queue::fleet::{Entry, MAX_SETTINGS_BYTES, Record, State};
use queue::task::now_ms;

use super::asks::Asks;
use super::canary::{self, CanaryFlags};
use super::candidate::Candidate;
use super::change::tell;
use super::common::{connect, described, this_user};
use super::status;
use crate::cli::flags::CacheFlag;
use crate::cli::plugins::output::Format;
use crate::cli::plugins::{folders, push_oci};
use crate::fleet::settings::literal_secrets;

/// Pushes a plugin: every worker with --fleet (and the labels that are asked for) takes it within seconds.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Push {
    /// The component. A signature beside it, `FILE.minisig`, is pushed with it. Or `oci://registry/name:tag`: then workers fetch
    /// what this names now from the registry, by its digest.
    file: PathBuf,
    /// Stores it in a registry instead: `oci://registry/name:tag`. Everyone who may read the registry can read the settings.
    #[arg(conflicts_with_all = ["name", "labels", "to_all", "if_current", "by", "not_secret", "wait", "canary", "share", "grant"])]
    address: Option<String>,
    /// Uses HTTP without TLS also for a registry on another machine. Anyone on the way can then read the password.
    #[arg(long, requires = "address")]
    insecure: bool,
    /// The plugin's name. Default: the file's name without `.wasm`.
    #[arg(long)]
    name: Option<String>,
    /// Its settings. Default: those that the fleet has. What they grant counts only where the worker's own disk grants it, or under
    /// a signature that covers them.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Only for workers with this label. Repeatable; a worker must have all. Default: as before.
    #[arg(long = "to", value_name = "LABEL", value_parser = crate::cli::flags::label)]
    labels: Vec<String>,
    /// For all workers again.
    #[arg(long, conflicts_with = "labels")]
    to_all: bool,
    /// Only if this is the version that the fleet has, by the beginning of its digest; `none` if it has none.
    #[arg(long, value_name = "DIGEST")]
    if_current: Option<String>,
    /// Who pushes, for the history. Default: the user's name.
    #[arg(long)]
    by: Option<String>,
    /// Pushes without loading the component here first. Workers check it all the same.
    #[arg(long)]
    unchecked: bool,
    /// Pushes although it wants to reach or use more than the version before.
    #[arg(long)]
    grant: bool,
    /// Puts the component into this folder instead of Redis. Workers must see it under the same path, and allow it with
    /// `--fleet-source file://FOLDER`.
    #[arg(long, value_name = "FOLDER")]
    share: Option<PathBuf>,
    /// A key under `[config]` whose value is no secret though it looks like one. Repeatable.
    #[arg(long, value_name = "KEY")]
    not_secret: Vec<String>,
    /// Room for all components in Redis, in MiB. Old versions are dropped first; what the fleet runs is not.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    quota_mib: u64,
    /// Waits this long for the workers, in seconds, and shows how far they are. Default with --canary: 600, else 0.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    canary: CanaryFlags,
    #[command(flatten)]
    cache: CacheFlag,
    #[command(flatten)]
    redis: RedisFlags,
}

impl Push {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        if let Some(address) = self.address {
            let Self { file, settings, unchecked, insecure, cache, .. } = self;
            let push = push_oci::Push { file, address, settings, unchecked, insecure, cache };
            return push.run(out, format).await;
        }
        match self.push(out).await {
            Err(error) => match error.downcast::<Refused>() {
                Ok(Refused(reason)) => {
                    writeln!(out, "refused: {reason}")?;
                    Ok(false)
                }
                Err(error) => Err(error),
            },
            pushed => pushed,
        }
    }

    async fn push(&self, out: &mut impl Write) -> anyhow::Result<bool> {
        let mut candidate = Candidate::read(&self.file, self.name.as_deref()).await?;
        let fleet = connect(&self.redis).await?;
        let state = fleet.state().await?;
        let name = candidate.name.clone();
        let current = state.entries.get(&name);
        if let Some(current) = current {
            current.ensure_not_pinned()?;
        }
        refuse_if(self.not_as_expected(&name, current))?;
        let live = current.filter(|entry| !entry.record.removed).map(|entry| &entry.record);
        let settings = self.settings(live, &candidate)?;
        refuse_if(self.secrets_in(&settings)?)?;
        let version = self.version(&candidate.file, &settings).await?;
        let asks = Asks::read(&fleet, live, &candidate.component, &settings).await?;
        refuse_if(asks.refusal().filter(|_| !self.grant))?;
        if let Some(folder) = &self.share {
            candidate.share(folder)?;
        }
        let labels = if self.to_all || !self.labels.is_empty() {
            self.labels.clone()
        } else {
            live.map(|record| record.labels.clone()).unwrap_or_default()
        };
        let record = Record {
            removed: false,
            version,
            digest: candidate.digest.clone(),
            size: candidate.component.len() as u64,
            settings,
            labels,
            pinned: false,
            signature: candidate.signature.clone(),
            source: candidate.source.clone(),
            pushed_at: now_ms(),
            by: self.by.clone().unwrap_or_else(this_user),
            note: None,
            canary: None,
        };
        if record.source.is_none() {
            refuse_if(self.no_room(&state, &name, record.size))?;
        }
        let record = match self.canary.change(&fleet, &name, live, record).await? {
            Ok(record) => record,
            Err(reason) => return Err(Refused(reason).into()),
        };
        if candidate.source.is_none() {
            fleet.store(&candidate.digest, &candidate.component).await?;
        }
        let change = fleet.change(&name, current, &record).await?;
        if !tell(out, &name, &record, change)? {
            return Ok(false);
        }
        asks.tell(out)?;
        fleet.collect(self.quota_mib << 20).await?;
        match self.wait {
            _ if self.canary.is_asked_for() => {
                canary::wait(&fleet, &name, &candidate.digest, self.wait, out).await
            }
            Some(seconds) => status::wait(&fleet, Some(&name), seconds, out).await,
            None => Ok(true),
        }
    }

    /// The secrets that the settings hold, and what to write instead.
    fn secrets_in(&self, settings: &str) -> anyhow::Result<Option<String>> {
        let secrets = literal_secrets(settings, &self.not_secret)
            .map_err(|problem| anyhow::anyhow!("the settings cannot be read: {problem}"))?;
        let list = secrets.join("\n  ");
        Ok((!secrets.is_empty()).then(|| format!("secrets do not go through Redis:\n  {list}")))
    }

    /// Why the fleet's version is not the one that was expected.
    fn not_as_expected(&self, name: &str, current: Option<&Entry>) -> Option<String> {
        let expected = self.if_current.as_deref()?;
        let live = current.filter(|entry| !entry.record.removed);
        match live {
            None if expected == "none" => None,
            None => {
                Some(format!("the fleet has no `{name}`, and --if-current expects {expected:.12}"))
            }
            Some(entry) if expected.len() >= 4 && entry.record.digest.starts_with(expected) => None,
            Some(entry) => Some(format!(
                "the fleet has {}, and --if-current expects {expected:.12}",
                described(entry)
            )),
        }
    }

    /// The settings that are given, else those that the fleet has, else those that came with the component.
    fn settings(&self, live: Option<&Record>, candidate: &Candidate) -> anyhow::Result<String> {
        let text = match (&self.settings, live) {
            (Some(path), _) => fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
            (None, Some(live)) => live.settings.clone(),
            (None, None) => candidate.settings.clone().unwrap_or_default(),
        };
        ensure!(
            text.len() <= MAX_SETTINGS_BYTES,
            "the settings have {} bytes; at most {MAX_SETTINGS_BYTES} are taken",
            text.len()
        );
        Ok(text)
    }

    /// The plugin's version; refused when a worker that grants all of the settings would refuse it.
    async fn version(&self, file: &Path, settings: &str) -> anyhow::Result<String> {
        if self.unchecked {
            return Ok("(unchecked)".to_owned());
        }
        let host = folders::offline_host(&self.cache)?.without_snapshots();
        let folder = self.settings.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
        let inspection = host.inspect_with_settings(file, settings, folder).await;
        let refusal = inspection.refusal();
        match inspection.loaded {
            Ok(version) => Ok(version.descriptor.version.clone()),
            Err(_) => Err(Refused(format!(
                "workers would refuse it, too (--unchecked pushes it all the same):\n  {}",
                refusal.join("\n  ")
            ))
            .into()),
        }
    }

    /// Why the quota has no room for the component.
    fn no_room(&self, state: &State, name: &str, bytes: u64) -> Option<String> {
        // With a canary the version of the others stays as well.
        let stays = |entry: &&Entry| entry.name != name || self.canary.is_asked_for();
        let others = state.entries.values().filter(stays).flat_map(Entry::records);
        let others: u64 = others.map(|record| record.size).sum();
        (others + bytes > self.quota_mib << 20).then(|| {
            format!(
                "what the fleet runs besides has {others} bytes, and {bytes} more are above the quota of {} MiB (--quota-mib)",
                self.quota_mib
            )
        })
    }
}

/// Why something is not pushed. The command ends with 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

fn refuse_if(reason: Option<String>) -> Result<(), Refused> {
    reason.map_or(Ok(()), |reason| Err(Refused(reason)))
}
