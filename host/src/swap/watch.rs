//! Watches the plugin folder until shutdown.
//!
//! Events of the operating system start a scan at once. A scan every few seconds finds what they miss: network file
//! systems send none, and their queue may overflow. An event only starts a scan; the scan finds the changes in the files
//! themselves, so events for other files in the same folders neither delay a change nor look like one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::files::{FileId, file_id};
use super::folder::{PluginFolder, SCAN_INTERVAL};

/// Shortest time between two scans, however many events there are.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// Keeps the catalogue in step with the folder until `shutdown`.
pub async fn watch_until(mut folder: PluginFolder, shutdown: CancellationToken) {
    let (sender, mut events) = mpsc::channel(1);
    let mut watched = WatchedFolders::new(sender.clone());
    watched.set(&BTreeSet::from([folder.path().to_owned()]));
    let mut delay = Duration::ZERO;
    let mut is_unreadable = false;
    loop {
        // Whichever branch is dropped, the scan compares the folder itself.
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = events.recv() => {}
            () = tokio::time::sleep(delay) => {}
        }
        let scanned = tokio::select! {
            // A compile may take long, and its result is no longer needed.
            () = shutdown.cancelled() => return,
            scanned = folder.scan_quiet() => scanned,
        };
        match scanned {
            Ok(next) => {
                if std::mem::take(&mut is_unreadable) {
                    tracing::info!("plugin folder readable again");
                }
                watched.set(&next.folders);
                delay = next.delay;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_unreadable, true) {
                    tracing::warn!(error = %error, "plugin folder not readable; running plugins stay");
                }
                delay = SCAN_INTERVAL;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(MIN_INTERVAL) => {}
        }
    }
}

/// The folders whose events are received.
struct WatchedFolders {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeMap<PathBuf, Option<FileId>>,
}

impl WatchedFolders {
    fn new(sender: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(&event)) {
                let _ = sender.try_send(()); // When it is full, a scan is due anyway.
            }
        });
        let watcher = watcher.inspect_err(|error| warn_without_events(Path::new("."), error)).ok();
        Self { watcher, folders: BTreeMap::new() }
    }

    /// Watches exactly these folders. A folder that was replaced under the same name is watched again.
    fn set(&mut self, folders: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        self.folders.retain(|folder, id| {
            let stays = folders.contains(folder) && file_id(folder) == *id;
            if !stays {
                let _ = watcher.unwatch(folder); // Fails when the folder is gone.
            }
            stays
        });
        for folder in folders {
            let id = file_id(folder);
            if id.is_none() || self.folders.contains_key(folder) {
                continue;
            }
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                warn_without_events(folder, &error);
            }
            self.folders.insert(folder.clone(), id);
        }
    }
}

/// Reading a file is an event too, and each scan would start the next.
fn matters(event: &notify::Event) -> bool {
    !event.kind.is_access()
}

fn warn_without_events(folder: &Path, error: &notify::Error) {
    tracing::warn!(
        folder = %folder.display(),
        error = %error,
        "no file events for the plugin folder; scanning it every 3 s"
    );
}

#[cfg(test)]
mod tests {
    use std::fs;

    use notify::event::{AccessKind, AccessMode, CreateKind, EventKind};

    use super::*;

    #[test]
    fn a_file_that_is_read_is_no_change() {
        let event = notify::Event::new;
        assert!(!matters(&event(EventKind::Access(AccessKind::Read))));
        assert!(!matters(&event(EventKind::Access(AccessKind::Open(AccessMode::Read)))));
        assert!(matters(&event(EventKind::Create(CreateKind::File))));
    }

    #[tokio::test]
    async fn a_folder_that_is_made_anew_is_watched_anew() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("plugins");
        let folders = BTreeSet::from([folder.clone()]);
        fs::create_dir(&folder).unwrap();
        let (noticed, mut notices) = mpsc::channel(1);
        let mut watches = WatchedFolders::new(noticed);
        watches.set(&folders);
        fs::rename(&folder, place.path().join("away")).unwrap();
        watches.set(&folders);
        fs::create_dir(&folder).unwrap();
        watches.set(&folders);
        // More than the old folder has to tell.
        for number in 0..20 {
            fs::write(folder.join(number.to_string()), "").unwrap();
            let notice = tokio::time::timeout(Duration::from_secs(20), notices.recv());
            assert_eq!(notice.await, Ok(Some(())), "file {number}");
        }
    }
}
