//! Turns of the processes that share a cache: what one compiles the others need not.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The folder of the locks, in that of the cache.
const FOLDER: &str = "turns";
/// Whoever compiles may be frozen. Then it is compiled a second time, which is only slower.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Held while something is compiled and written. A process that dies gives it back.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "the lock ends with the file")] File);

/// Waits for the turn to compile what is cached under `key` in `folder`; none when there is none to be had.
pub(super) async fn take(folder: &Path, key: &str) -> Option<Turn> {
    // Two keys may share a lock: then one waits for the other. So the number of files is bounded.
    let name: String = key.chars().take(2).collect();
    let lock = open(&folder.join(FOLDER), &name).ok()?;
    let until = Instant::now() + PATIENCE;
    while lock.try_lock().is_err() {
        if Instant::now() > until {
            return None;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Some(Turn(lock))
}

fn open(folder: &Path, name: &str) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    File::options().create(true).append(true).open(folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_the_other_and_after_one_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path(), "abc").await;
        assert!(first.is_some());
        assert!(take(folder.path(), "xyz").await.is_some(), "another key");
        let short = Duration::from_millis(100);
        assert!(tokio::time::timeout(short, take(folder.path(), "abc")).await.is_err());
        drop(first);
        assert!(take(folder.path(), "abc").await.is_some());
    }
}
