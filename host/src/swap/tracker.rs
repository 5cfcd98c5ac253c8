//! Decides which files of a plugin folder are to be loaded or unloaded now.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files::{self, FileId, Fingerprint, FolderContents};

/// Files that were refused for a reason outside of them are tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// A plugin's files are read when they have not changed for this long: whoever writes them may not be done.
const QUIET_PERIOD: Duration = Duration::from_millis(150);
/// How often contents are compared, to notice changes without a new size, time or file: on some network file systems,
/// and for two writes within one tick of a file system's clock. The first comparison comes soon after the read.
const COMPARE_INTERVAL: Duration = Duration::from_secs(60);
const FIRST_COMPARISON: Duration = Duration::from_secs(3);

/// Why files were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    /// Another plugin has the name or a task type.
    pub(super) by_other_plugin: bool,
}

/// Files that were loaded or refused.
#[derive(Debug)]
struct Attempt {
    fingerprint: Fingerprint,
    /// Digest of their contents.
    contents: [u8; 32],
    compare_at: Instant,
    /// When they are tried again though they are unchanged.
    retry_at: Option<Instant>,
    refusal: Option<Refusal>,
}

/// Files that differ from the last attempt.
#[derive(Debug)]
struct PendingChange {
    /// None when the component is gone.
    files: Option<Fingerprint>,
    first_seen: Instant,
    last_change: Instant,
}

/// When changed files are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timing {
    /// At once, even when they are still being written.
    Immediate,
    /// After a quiet period, or when it does not come for too long.
    WhenQuiet,
}

/// What to do now.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) load: Vec<(PathBuf, Fingerprint)>,
    /// Components whose files are gone.
    pub(super) unload: Vec<PathBuf>,
}

/// The last attempt and the pending change of each component in a folder.
#[derive(Debug)]
pub(super) struct FileTracker {
    attempts: BTreeMap<PathBuf, Attempt>,
    pending: BTreeMap<PathBuf, PendingChange>,
    /// The folder that the attempts are about.
    folder: Option<FileId>,
    /// How long to wait for a quiet period.
    max_wait: Duration,
}

impl FileTracker {
    pub(super) fn new(max_wait: Duration) -> Self {
        Self { attempts: BTreeMap::new(), pending: BTreeMap::new(), folder: None, max_wait }
    }

    pub(super) fn set_max_wait(&mut self, max_wait: Duration) {
        self.max_wait = max_wait;
    }

    /// Compares the folder with the last attempts.
    pub(super) async fn due(&mut self, found: &FolderContents, timing: Timing) -> Due {
        let mut due = Due::default();
        for (path, files) in &found.plugins {
            if self.is_unchanged(path, files).await {
                self.pending.remove(path);
            } else if self.is_quiet(path, Some(files), QUIET_PERIOD) || timing == Timing::Immediate
            {
                self.pending.remove(path);
                due.load.push((path.clone(), files.clone()));
            }
        }
        let present: BTreeSet<&PathBuf> = found.plugins.iter().map(|(path, _)| path).collect();
        self.pending.retain(|path, _| present.contains(path) || self.attempts.contains_key(path));
        let missing: Vec<PathBuf> =
            self.attempts.keys().filter(|path| !present.contains(path)).cloned().collect();
        // Another folder under the same name may be about to be filled or mounted.
        let is_other_folder = self.folder != found.id;
        let quiet_period = if is_other_folder { self.max_wait } else { QUIET_PERIOD };
        for path in missing {
            if self.is_quiet(&path, None, quiet_period) || timing == Timing::Immediate {
                self.pending.remove(&path);
                due.unload.push(path);
            }
        }
        if self.pending.values().all(|change| change.files.is_some()) {
            self.folder = found.id;
        }
        due
    }

    /// Whether the files at `path` are those of the last attempt.
    async fn is_unchanged(&mut self, path: &Path, files: &Fingerprint) -> bool {
        let now = Instant::now();
        let Some(attempt) = self.attempts.get_mut(path) else { return false };
        if attempt.retry_at.is_some_and(|at| at <= now) {
            return false;
        }
        let is_same = attempt.fingerprint == *files;
        if is_same && now < attempt.compare_at {
            return true;
        }
        // Refused files are tried again when they were touched.
        if !is_same && attempt.refusal.is_some() {
            return false;
        }
        let is_being_written =
            self.pending.get(path).is_none_or(|change| change.files.as_ref() != Some(files));
        if !is_same && is_being_written {
            return false;
        }
        let contents = digest_contents(files).await;
        attempt.compare_at = now + COMPARE_INTERVAL;
        if contents != Some(attempt.contents) {
            return false;
        }
        attempt.fingerprint.clone_from(files);
        true
    }

    /// Whether files have not changed for `quiet_period`, or were waited for long enough.
    fn is_quiet(
        &mut self,
        path: &Path,
        files: Option<&Fingerprint>,
        quiet_period: Duration,
    ) -> bool {
        let now = Instant::now();
        if let Some(attempt) = self.attempts.get(path)
            && Some(&attempt.fingerprint) == files
        {
            return true; // Nothing is being written.
        }
        let new_change =
            || PendingChange { files: files.cloned(), first_seen: now, last_change: now };
        let change = self.pending.entry(path.to_owned()).or_insert_with(new_change);
        if change.files.is_some() != files.is_some() {
            *change = new_change();
        }
        if change.files.as_ref() != files {
            change.files = files.cloned();
            change.last_change = now;
        }
        now.duration_since(change.last_change) >= quiet_period
            || now.duration_since(change.first_seen) >= self.max_wait
    }

    /// Records an attempt. With `retry` it is repeated later, even when the files are unchanged.
    pub(super) fn record(
        &mut self,
        path: PathBuf,
        fingerprint: Fingerprint,
        contents: Option<[u8; 32]>,
        refusal: Option<Refusal>,
        retry: bool,
    ) {
        let now = Instant::now();
        let attempt = Attempt {
            fingerprint,
            contents: contents.unwrap_or_default(),
            compare_at: now + FIRST_COMPARISON,
            retry_at: retry.then(|| now + RETRY_AFTER),
            refusal,
        };
        self.attempts.insert(path, attempt);
    }

    /// Marks files that were in force as refused. They are tried again later.
    pub(super) fn refuse(&mut self, path: &Path, refusal: Refusal) -> bool {
        let Some(attempt) = self.attempts.get_mut(path) else { return false };
        attempt.refusal = Some(refusal);
        attempt.retry_at = Some(Instant::now() + RETRY_AFTER);
        true
    }

    /// Forgets files that are gone. Returns why they were refused.
    pub(super) fn forget(&mut self, path: &Path) -> Option<Refusal> {
        self.attempts.remove(path)?.refusal
    }

    /// Whether the files at `path` were loaded or refused.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.attempts.contains_key(path)
    }

    /// Why the files at `path` were refused.
    pub(super) fn refusal(&self, path: &Path) -> Option<Refusal> {
        self.attempts.get(path)?.refusal
    }

    /// Whether the last attempt with these very files ended with this refusal.
    pub(super) fn is_known(&self, path: &Path, files: &Fingerprint, refusal: Refusal) -> bool {
        self.attempts.get(path).is_some_and(|attempt| {
            attempt.fingerprint == *files && attempt.refusal == Some(refusal)
        })
    }

    /// The components whose files were refused.
    pub(super) fn refused(&self) -> Vec<PathBuf> {
        let refused = self.attempts.iter().filter(|(_, attempt)| attempt.refusal.is_some());
        refused.map(|(path, _)| path.clone()).collect()
    }

    /// Tries the plugins again that another plugin kept out: it may be gone now.
    pub(super) fn retry_displaced(&mut self) {
        for attempt in self.attempts.values_mut() {
            if attempt.refusal.is_some_and(|refusal| refusal.by_other_plugin) {
                attempt.retry_at = Some(Instant::now());
            }
        }
    }

    /// When files are due next, unless something is noticed before.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let retries = self.attempts.values().filter_map(|attempt| attempt.retry_at);
        retries.chain(self.pending.values().map(|_| now + QUIET_PERIOD)).min()
    }
}

/// The digest of the contents of files; none when the thread ends badly.
pub(super) async fn digest_contents(files: &Fingerprint) -> Option<[u8; 32]> {
    let files = files.clone();
    blocking(move || files::contents(&files)).await.ok()
}

/// Runs work that waits for a disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
