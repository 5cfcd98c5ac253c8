//! Notices that files in the plugin folder changed.
//!
//! The operating system's notices make it quick; a look every few seconds makes it sure (network file systems send
//! none). A file that is still being written changes again: it is loaded when it has been still for a moment.

use std::time::Duration;

use notify::Watcher;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PluginFolder;

/// A folder must be still for this long before it is read.
const STILL_FOR: Duration = Duration::from_millis(150);
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Keeps the catalogue in step with the folder until `shutdown`.
pub async fn watch_until(mut folder: PluginFolder, shutdown: CancellationToken) {
    let (noticed, mut notices) = mpsc::channel(1);
    let _watcher = watcher(&folder, noticed);
    loop {
        // Losing a branch loses nothing: the folder itself is compared.
        tokio::select! {
            () = shutdown.cancelled() => return,
            notice = notices.recv() => if notice.is_none() { tokio::time::sleep(LOOK_EVERY).await },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        folder.note_rollbacks();
        if folder.unchanged() {
            continue;
        }
        while let Ok(Some(())) = tokio::time::timeout(STILL_FOR, notices.recv()).await {}
        let scanned = tokio::select! {
            // A compile may take long, and nobody needs it any more.
            () = shutdown.cancelled() => return,
            scanned = folder.scan() => scanned,
        };
        if let Err(error) = scanned {
            tracing::warn!(error = %error, "cannot read the plugin folder; what runs goes on");
        }
    }
}

fn watcher(folder: &PluginFolder, noticed: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and would notice itself for ever.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = noticed.try_send(()); // Full means that a look is due anyway.
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(&folder.folder, notify::RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    match watching {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(error = %error, "no file notices; the plugin folder is looked at every 3 s");
            None
        }
    }
}
