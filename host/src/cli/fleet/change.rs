//! `worker fleet rollback`, `promote`, `pin`, `unpin`, `remove`: changes that need no file.

use std::io::Write;

use anyhow::Context;
use ops::flags::RedisFlags;
use queue::fleet::{Change, Entry, Fleet, Record, SIGN_AGAIN, Target, WorkerReport};

use super::common::{connect, described, this_user};
use crate::cli::plugins::output::one_line;

/// What the commands share.
#[derive(Debug, clap::Args)]
pub(super) struct Of {
    /// The plugin: its file's name without `.wasm`.
    plugin: String,
    /// Who changes it, for the history. Default: the user's name.
    #[arg(long)]
    by: Option<String>,
    #[command(flatten)]
    redis: RedisFlags,
}

/// Puts an earlier version back on the whole fleet, with the settings that it was pushed with. A canary is taken back.
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    of: Of,
    /// The version, by the beginning of its digest as `worker fleet history` shows it. Default: the one before.
    #[arg(long)]
    to: Option<String>,
}

/// Gives the version that some workers try to all of them now.
#[derive(Debug, clap::Args)]
pub(super) struct Promote {
    #[command(flatten)]
    of: Of,
}

/// Keeps a plugin as it is, without its canary: pushes, rollbacks and removals are refused until it is unpinned.
#[derive(Debug, clap::Args)]
pub(crate) struct Pin {
    #[command(flatten)]
    of: Of,
    /// Goes to this version first, by the beginning of its digest.
    #[arg(long)]
    digest: Option<String>,
}

/// Lets a plugin be changed again.
#[derive(Debug, clap::Args)]
pub(crate) struct Unpin {
    #[command(flatten)]
    of: Of,
}

/// Removes a plugin from the whole fleet. Files in workers' own folders stay.
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    of: Of,
}

impl Rollback {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let fleet = connect(&self.of.redis).await?;
        let target = self.to.as_deref().map_or(Target::Before, Target::Digest);
        let back = fleet.rollback(&self.of.plugin, target).await?;
        for (report, why) in &back.refusing {
            let WorkerReport { worker, host, .. } = report;
            writeln!(out, "{} will refuse it: {why}", one_line(&format!("{worker} on {host}")))?;
        }
        if !back.refusing.is_empty() {
            writeln!(out, "{SIGN_AGAIN}")?;
        }
        self.of.change(&fleet, &back.current, back.record, out).await
    }
}

impl Promote {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let (fleet, current) = self.of.read().await?;
        let current = in_the_fleet(current)?;
        let canary = current.record.canary.as_deref().context("no worker tries another version")?;
        self.of.change(&fleet, &current, canary.record.clone(), out).await
    }
}

impl Pin {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let (fleet, current) = self.of.read().await?;
        let current = in_the_fleet(current)?;
        let mut record = current.record.clone();
        if let Some(digest) = self.digest.as_deref()
            && !record.digest.starts_with(digest)
        {
            current.ensure_not_pinned()?;
            let earlier = fleet.earlier(&current, Target::Digest(digest)).await?;
            record = Record { labels: record.labels, ..earlier.record };
        }
        self.of.change(&fleet, &current, Record { pinned: true, ..record }, out).await
    }
}

impl Unpin {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let (fleet, current) = self.of.read().await?;
        let current = in_the_fleet(current)?;
        let record = Record { pinned: false, ..current.record.clone() };
        self.of.change(&fleet, &current, record, out).await
    }
}

impl Remove {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let (fleet, current) = self.of.read().await?;
        let current = in_the_fleet(current)?;
        current.ensure_not_pinned()?;
        let record = Record { removed: true, ..current.record.clone() };
        self.of.change(&fleet, &current, record, out).await
    }
}

impl Of {
    async fn read(&self) -> anyhow::Result<(Fleet, Option<Entry>)> {
        let fleet = connect(&self.redis).await?;
        let current = fleet.state().await?.entries.remove(&self.plugin);
        Ok((fleet, current))
    }

    async fn change(
        &self,
        fleet: &Fleet,
        current: &Entry,
        record: Record,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let by = self.by.clone().unwrap_or_else(this_user);
        let record = record.put_by(&by);
        let change = fleet.change(&self.plugin, Some(current), &record).await?;
        tell(out, &self.plugin, &record, change)
    }
}

/// Says what came of a change.
pub(super) fn tell(
    out: &mut impl Write,
    plugin: &str,
    record: &Record,
    change: Change,
) -> anyhow::Result<bool> {
    match change {
        Change::Done(at) => {
            let entry = Entry { name: plugin.to_owned(), at, record: record.clone() };
            writeln!(out, "{}", described(&entry))?;
            writeln!(
                out,
                "workers take it within seconds; `worker fleet status` shows how far they are"
            )?;
            return Ok(true);
        }
        Change::Changed(Some(other)) => writeln!(
            out,
            "refused: somebody has changed `{plugin}` meanwhile. It is now {}. Look at it and try again.",
            described(&other)
        )?,
        Change::Incomplete => writeln!(
            out,
            "refused: the component {:.12} is no longer stored, because the quota had no room for it; push its file again",
            record.newest().digest
        )?,
        Change::Full => writeln!(
            out,
            "refused: the fleet has {} plugin names, removed ones included, which is the most",
            queue::fleet::MAX_NAMES
        )?,
        _ => writeln!(out, "refused: somebody has changed `{plugin}` meanwhile; try again")?,
    }
    Ok(false)
}

fn in_the_fleet(current: Option<Entry>) -> anyhow::Result<Entry> {
    current.filter(|entry| !entry.record.removed).context("the fleet has no plugin of this name")
}
