//! What came of the files of each plugin, for those who put them in place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ops::chain::chain;

use super::files::{self, FileState, Fingerprint};
use crate::error::LoadError;

/// Longest reason: that of a schema may quote the schema.
const MAX_REASON_CHARS: usize = 500;

#[derive(Debug)]
struct Outcome {
    files: Vec<Option<FileState>>,
    refusal: Option<String>,
}

/// The last outcome of each component. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcomes(Arc<Mutex<BTreeMap<PathBuf, Outcome>>>);

impl Outcomes {
    pub(super) fn note(&self, path: &Path, files: &Fingerprint, error: Option<&LoadError>) {
        let refusal: Option<String> = error.map(|error| {
            let reason = chain(error).to_string();
            reason.chars().map(plain).take(MAX_REASON_CHARS).collect()
        });
        let state = |wanted: PathBuf| {
            let found = files.iter().find(|(file, _)| *file == wanted);
            found.and_then(|(_, state)| state.clone())
        };
        let files = placed(path).map(state).to_vec();
        self.change(|outcomes| {
            outcomes.insert(path.to_owned(), Outcome { files, refusal });
        });
    }

    pub(super) fn note_rolled_back(&self, path: &Path) {
        self.change(|outcomes| {
            if let Some(outcome) = outcomes.get_mut(path) {
                let reason = "it was rolled back: too many of its first tasks failed";
                outcome.refusal = Some(reason.to_owned());
            }
        });
    }

    /// Why the files that are at `path` now were refused; none when they were not, or not looked at yet.
    pub(crate) fn refusal(&self, path: &Path) -> Option<String> {
        let now = placed(path).map(|file| files::state(&file)).to_vec();
        self.change(|outcomes| {
            let outcome = outcomes.get(path).filter(|outcome| outcome.files == now)?;
            outcome.refusal.clone()
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut BTreeMap<PathBuf, Outcome>) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The files that the fleet puts in place: component and settings.
fn placed(path: &Path) -> [PathBuf; 2] {
    [path.to_owned(), path.with_extension("toml")]
}

/// A parser may quote several lines, and a guest may imitate ours.
fn plain(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}
