//! `worker fleet rollback`, `promote`, `pin`, `unpin`, `remove`: changes that need no file.

use std::io::Write;

use anyhow::{Context, bail, ensure};
use ops::flags::RedisFlags;
use queue::fleet::{Change, Entry, Fleet, Record};
use queue::task::now_ms;

use super::common::{connect, described, this_user};

/// Shortest beginning of a digest that names a version.
const MIN_PREFIX_CHARS: usize = 4;

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
        let (fleet, current) = self.of.read().await?;
        let current = current.context("the fleet has never had this plugin")?;
        ensure_not_pinned(&current)?;
        if current.record.canary.is_some() && self.to.is_none() {
            return self.of.change(&fleet, &current, current.record.clone(), out).await;
        }
        let earlier = earlier(&fleet, &current, self.to.as_deref()).await?;
        let labels = if current.record.removed {
            earlier.record.labels.clone()
        } else {
            current.record.labels.clone()
        };
        let record = Record { labels, pinned: false, ..earlier.record };
        self.of.change(&fleet, &current, record, out).await
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
            ensure_not_pinned(&current)?;
            let earlier = earlier(&fleet, &current, Some(digest)).await?;
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
        ensure_not_pinned(&current)?;
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
        let record = Record { by, pushed_at: now_ms(), note: None, canary: None, ..record };
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

pub(super) fn ensure_not_pinned(current: &Entry) -> anyhow::Result<()> {
    let Entry { name, record, .. } = current;
    ensure!(
        record.removed || !record.pinned,
        "`{name}` is pinned to {} (sha256 {:.12}) by {}; run `worker fleet unpin {name}` first",
        record.version,
        record.digest,
        record.by
    );
    Ok(())
}

fn in_the_fleet(current: Option<Entry>) -> anyhow::Result<Entry> {
    current.filter(|entry| !entry.record.removed).context("the fleet has no plugin of this name")
}

/// The version of the history that `to` names; without it the one before the first push of the present version.
async fn earlier(fleet: &Fleet, current: &Entry, to: Option<&str>) -> anyhow::Result<Entry> {
    let name = &current.name;
    let history = fleet.history(name).await?;
    let Some(to) = to else {
        return before(&history, current).cloned().with_context(|| {
            format!("the history of `{name}` has no earlier version; `worker fleet history {name}` shows it")
        });
    };
    ensure!(
        to.len() >= MIN_PREFIX_CHARS,
        "name the version by at least {MIN_PREFIX_CHARS} characters of its digest"
    );
    let found = history.into_iter().find(|entry| entry.record.digest.starts_with(to));
    let Some(found) = found else {
        bail!(
            "no version of `{name}` has the digest `{to}`; `worker fleet history {name}` shows them"
        )
    };
    Ok(Entry { record: Record { removed: false, pinned: false, ..found.record }, ..found })
}

/// The version before the present one. Going back twice goes back two versions, not to the first one again.
fn before<'a>(history: &'a [Entry], current: &Entry) -> Option<&'a Entry> {
    let content = |entry: &Entry| (entry.record.digest.clone(), entry.record.settings.clone());
    let present = content(current);
    if current.record.removed {
        return history.iter().find(|entry| !entry.record.removed);
    }
    let first = history.iter().rposition(|entry| content(entry) == present)?;
    let older = history.get(first + 1..).unwrap_or_default();
    older.iter().find(|entry| !entry.record.removed && content(entry) != present)
}

#[cfg(test)]
mod tests {
    use queue::fleet::Revision;

    use super::*;

    fn entry(number: u64, digest: &str, removed: bool) -> Entry {
        let record = Record { removed, digest: digest.to_owned(), ..Record::default() };
        Entry { name: "a".to_owned(), at: Revision { era: "e".to_owned(), number }, record }
    }

    #[track_caller]
    fn check(history: &[(&str, bool)], expected: Option<&str>) {
        let mut history: Vec<Entry> = (1..)
            .zip(history)
            .map(|(number, (digest, removed))| entry(number, digest, *removed))
            .collect();
        history.reverse();
        let found = before(&history, &history[0]).map(|entry| entry.record.digest.as_str());
        assert_eq!(found, expected);
    }

    #[test]
    fn going_back_again_goes_further_back() {
        check(&[("x", false), ("y", false), ("z", false)], Some("y"));
        check(&[("x", false), ("y", false), ("z", false), ("y", false)], Some("x"));
        check(&[("x", false), ("y", false), ("x", false)], None);
        check(&[("x", false)], None);
    }

    #[test]
    fn a_removal_is_taken_back() {
        check(&[("x", false), ("y", false), ("y", true)], Some("y"));
    }
}
