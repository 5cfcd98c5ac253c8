//! Notices that files in the plugin folder changed.
//!
//! The operating system's notices make it quick; a look every few seconds makes it sure (network file systems send
//! none, and a queue of notices may overflow). A notice only makes the next look come sooner: what has changed is seen
//! in the files themselves, so noise in the same folders neither delays a change nor looks like one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::files::{Place, place};
use super::folder::{LOOK_EVERY, PluginFolder};

/// Looks are at least so far apart, however much is noticed.
const AT_MOST_EVERY: Duration = Duration::from_millis(50);

/// Keeps the catalogue in step with the folder until `shutdown`.
pub async fn watch_until(mut folder: PluginFolder, shutdown: CancellationToken) {
    let (noticed, mut notices) = mpsc::channel(1);
    let mut watches = Watches::new(noticed.clone());
    watches.keep(&BTreeSet::from([folder.folder.clone()]));
    let (mut look_in, mut unreadable) = (Duration::ZERO, false);
    loop {
        // Losing a branch loses nothing: the folder itself is compared.
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = notices.recv() => {}
            () = tokio::time::sleep(look_in) => {}
        }
        let stepped = tokio::select! {
            // A compile may take long, and nobody needs it any more.
            () = shutdown.cancelled() => return,
            stepped = folder.step() => stepped,
        };
        match stepped {
            Ok(next) => {
                if std::mem::take(&mut unreadable) {
                    tracing::info!("the plugin folder can be read again");
                }
                watches.keep(&next.folders);
                look_in = next.look_in;
            }
            Err(error) => {
                if !std::mem::replace(&mut unreadable, true) {
                    tracing::warn!(error = %error, "cannot read the plugin folder; what runs goes on");
                }
                look_in = LOOK_EVERY;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(AT_MOST_EVERY) => {}
        }
    }
}

/// The folders that notices come from.
struct Watches {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, Option<Place>>,
}

impl Watches {
    fn new(noticed: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(&event)) {
                let _ = noticed.try_send(()); // Full means that a look is due anyway.
            }
        });
        let watcher = watcher.inspect_err(|error| no_notices(Path::new("."), error)).ok();
        Self { watcher, watched: BTreeMap::new() }
    }

    /// Watches these folders and no others. One that was made anew under its old name is watched anew.
    fn keep(&mut self, folders: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|folder, was| {
            let stays = folders.contains(folder) && place(folder) == *was;
            if !stays {
                let _ = watcher.unwatch(folder); // It may be gone, and its watch with it.
            }
            stays
        });
        for folder in folders {
            let there = place(folder);
            if there.is_none() || self.watched.contains_key(folder) {
                continue;
            }
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                no_notices(folder, &error);
            }
            self.watched.insert(folder.clone(), there);
        }
    }
}

/// Reading a file is an event too, and would notice itself for ever.
fn matters(event: &notify::Event) -> bool {
    !event.kind.is_access()
}

fn no_notices(folder: &Path, error: &notify::Error) {
    tracing::warn!(
        folder = %folder.display(),
        error = %error,
        "no file notices; the plugins' files are looked at every 3 s"
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
        let mut watches = Watches::new(noticed);
        watches.keep(&folders);
        fs::rename(&folder, place.path().join("away")).unwrap();
        watches.keep(&folders);
        fs::create_dir(&folder).unwrap();
        watches.keep(&folders);
        // More than the old folder has to tell.
        for number in 0..20 {
            fs::write(folder.join(number.to_string()), "").unwrap();
            let notice = tokio::time::timeout(Duration::from_secs(20), notices.recv());
            assert_eq!(notice.await, Ok(Some(())), "file {number}");
        }
    }
}
