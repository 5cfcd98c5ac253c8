//! The cases of tasks that failed in a worker: a folder with a bounded number of files.
//!
//! A case holds what a person typed and what other servers answered, so nothing is kept unless an operator names a folder, and no longer
//! than a day.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use queue::{FailureCode, Task, TaskResult};

use super::case::{Case, Expect};
use super::world::World;

/// Files that are kept.
const MAX_FILES: usize = 100;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Longest part of a file's name that is the task's id, in characters.
const MAX_NAME: usize = 128;
const EXTENSION: &str = "json";

/// A folder with cases.
#[derive(Debug)]
pub(crate) struct Recordings {
    folder: PathBuf,
    /// One task at a time counts the files.
    writing: Mutex<()>,
}

impl Recordings {
    /// Keeps cases in `folder`, which is created for this user alone.
    ///
    /// # Errors
    ///
    /// When it cannot be created or read.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let recordings = Self { folder: folder.to_owned(), writing: Mutex::new(()) };
        recordings.remove_old()?;
        Ok(recordings)
    }

    /// Keeps the case of a task, if it failed and a plugin may be the cause. `data` has the digests of its data files. Trouble with the folder is logged and costs the case alone.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        world: &World,
        task: &Task,
        result: &TaskResult,
        data: BTreeMap<String, String>,
    ) {
        if !is_wanted(result) {
            return;
        }
        let task_id = task.task_id.as_str();
        let Some(mut case) = world.watched() else {
            tracing::info!(task_id, "failed task not recorded: what it was answered is too large");
            return;
        };
        case.expect = Some(Expect::of(result, None));
        case.data = data;
        let path = self.folder.join(file_name(task_id, case.task.attempt));
        let recordings = Arc::clone(self);
        let written = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || recordings.write(&path, &case)).await
        };
        match written.map_err(io::Error::other).flatten() {
            Ok(()) => tracing::info!(task_id, file = %path.display(), "failed task recorded"),
            Err(error) => {
                tracing::warn!(task_id, file = %path.display(), error = %error, "failed task not recorded");
            }
        }
    }

    fn write(&self, path: &Path, case: &Case) -> io::Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(case.text()?.as_bytes())?;
        self.remove_old()
    }

    /// Removes what is too old or too much, the oldest first.
    fn remove_old(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        files.sort_unstable();
        let too_many = files.len().saturating_sub(MAX_FILES);
        let now = SystemTime::now();
        let is_old = |at: &SystemTime| now.duration_since(*at).is_ok_and(|age| age > KEPT_FOR);
        for (index, (at, path)) in files.iter().enumerate() {
            if index < too_many || is_old(at) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Whether the plugin may be the cause of a failure: not what the person wrote, and nobody's wish.
fn is_wanted(result: &TaskResult) -> bool {
    let ordinary =
        [FailureCode::NotFound, FailureCode::InvalidParams, FailureCode::Cancelled].map(Some);
    !result.success && !ordinary.contains(&result.failure_code())
}

/// A file's name: of a task's id, which may have any sign that can be printed, only what is harmless.
fn file_name(task_id: &str, attempt: u32) -> String {
    let harmless = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
    let id = task_id.replace(|sign| !harmless(sign), "_");
    // The end tells ids apart.
    let id = id.get(id.len().saturating_sub(MAX_NAME)..).unwrap_or_default();
    format!("{}-{attempt}.{EXTENSION}", id.trim_start_matches('_'))
}

#[cfg(test)]
mod tests {
    use queue::TaskType;
    use serde_json::Map;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| name(entry).unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_newest_are_kept_and_what_is_not_ours_is_left() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("failed");
        let recordings = Recordings::open(&folder).unwrap();
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        let search: TaskType = "search".parse().unwrap();
        let case = World::watching(&Task::new(search, 7, Map::new())).watched().unwrap();
        let hour = Duration::from_secs(3600);
        for hours in 0..30 {
            let path = folder.join(format!("{hours:02}.json"));
            recordings.write(&path, &case).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - hour * (30 - hours)).unwrap();
        }
        recordings.write(&folder.join("now.json"), &case).unwrap();
        assert_eq!(names(&folder).first().unwrap(), "07.json", "older than a day");
        for number in 0..MAX_FILES {
            recordings.write(&folder.join(format!("new-{number}.json")), &case).unwrap();
        }
        let kept = names(&folder);
        assert_eq!(kept.len(), MAX_FILES + 1);
        assert!(kept.contains(&"notes.txt".to_owned()));
        assert_eq!(Case::read(&folder.join("new-0.json")).unwrap(), case);
    }

    #[test]
    fn an_id_never_leads_out_of_the_folder() {
        assert_eq!(file_name("{search}018f-a", 2), "search_018f-a-2.json");
        assert_eq!(file_name("../../etc/passwd", 1), "etc_passwd-1.json");
        assert!(file_name(&"x".repeat(500), 1).len() < 255);
    }

    #[test]
    fn what_a_person_caused_is_no_fault_of_a_plugin() {
        let wanted = |code| is_wanted(&TaskResult::failure(code, "no"));
        assert!(wanted(FailureCode::Trap) && wanted(FailureCode::RetriesExhausted));
        assert!(!wanted(FailureCode::NotFound) && !wanted(FailureCode::Cancelled));
        assert!(!is_wanted(&TaskResult::success(serde_json::Value::Null)));
    }
}
