//! One pushed plugin: its versions, and what the fleet may have of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::system::WORKERS;

/// As many characters of a digest as logs and commands show.
const SHOWN: usize = 12;

/// What the fleet has of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The version with this digest, as it is shown.
    Version(String),
    Removed,
    /// A version that was pushed. A command that was killed did not say which.
    Earlier,
}

pub(super) struct Pushed {
    pub(super) name: &'static str,
    /// Whether it is removed at times. One that never is must run on every worker at the end.
    pub(super) is_removable: bool,
    component: Vec<u8>,
    count: u32,
    /// The versions that may have been pushed.
    good: BTreeSet<String>,
    broken: BTreeSet<String>,
    /// What the fleet may have: what the last command that went well has left, and what later ones would leave that failed. These
    /// may have been too late with their answer only.
    possible: Vec<Wanted>,
}

impl Pushed {
    pub(super) fn new(name: &'static str, file: &Path, is_removable: bool) -> anyhow::Result<Self> {
        let component = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let good = BTreeSet::new();
        let broken = BTreeSet::new();
        Ok(Self { name, is_removable, component, count: 0, good, broken, possible: Vec::new() })
    }

    /// Saves the next version in `folder`, or half of it.
    pub(super) fn save(
        &mut self,
        folder: &Path,
        broken: bool,
    ) -> anyhow::Result<(PathBuf, Wanted)> {
        self.count += 1;
        let whole = self.component.len();
        let length = if broken { whole / 2 } else { whole };
        let mut bytes = self.component.get(..length).unwrap_or_default().to_vec();
        // A custom section, which any component may have.
        bytes.extend([0, 8, 3, b'n', b't', b'h']);
        bytes.extend(self.count.to_be_bytes());
        let file = folder.join(format!("{}-{}.wasm", self.name, self.count));
        fs::write(&file, &bytes).context("saving a version")?;
        let version = shown(&digest(&bytes));
        let versions = if broken { &mut self.broken } else { &mut self.good };
        versions.insert(version.clone());
        Ok((file, Wanted::Version(version)))
    }

    /// A command begins that would leave this.
    pub(super) fn begin(&mut self, wanted: Wanted) {
        self.possible.push(wanted);
    }

    /// A command has left this.
    pub(super) fn done(&mut self, wanted: Wanted) {
        self.possible = vec![wanted];
    }

    fn is_known(&self, version: &str) -> bool {
        self.good.contains(version) || self.broken.contains(version)
    }

    /// Why the fleet is not as the commands have left it; none when it is. `may_be_older`: Redis may have lost a change that it
    /// has acknowledged.
    pub(super) fn unsettled(
        &self,
        status: &Value,
        caches: &[PathBuf],
        may_be_older: bool,
    ) -> Option<String> {
        let name = self.name;
        let plugins = status.get("plugins").and_then(Value::as_array);
        let entry = plugins.into_iter().flatten().find(|entry| text(entry, "/name") == name);
        let Some(entry) = entry else {
            if !may_be_older && !self.possible.contains(&Wanted::Removed) {
                return Some(format!(
                    "{name} was removed by nobody; possible: {:?}",
                    self.possible
                ));
            }
            return self.unremoved(status, caches);
        };
        let version = shown(text(entry, "/record/digest"));
        let is_possible = self.possible.iter().any(|wanted| match wanted {
            Wanted::Version(possible) => *possible == version,
            Wanted::Removed => false,
            Wanted::Earlier => true,
        });
        if !self.is_known(&version) || !(is_possible || may_be_older) {
            return Some(format!(
                "the fleet has {name} {version}, which no command can have left; possible: {:?}",
                self.possible
            ));
        }
        let workers: Vec<&Value> =
            entry.get("workers").and_then(Value::as_array).into_iter().flatten().collect();
        let is_good = self.good.contains(&version);
        let is_right = |worker: &&&Value| {
            if is_good {
                return worker.get("runs_it").and_then(Value::as_bool) == Some(true);
            }
            // A version that no worker can run takes none away.
            let runs = shown(text(worker, "/report/runs"));
            text(worker, "/report/step") == "refused"
                && (self.good.contains(&runs) || self.is_removable)
        };
        let right = workers.iter().filter(is_right).count();
        // The report of a worker that was killed stays for some seconds.
        (right < WORKERS || right < workers.len()).then(|| {
            let kind = if is_good { "good" } else { "broken" };
            format!(
                "{right} of {} workers are right with {name} {version} ({kind}): {entry}",
                workers.len()
            )
        })
    }

    /// Why a plugin that was removed is not gone; none when it is.
    pub(super) fn unremoved(&self, status: &Value, caches: &[PathBuf]) -> Option<String> {
        let has_read = status.get("revision").is_some_and(|revision| !revision.is_null());
        let placed = self.placed(caches);
        (!has_read || !placed.is_empty())
            .then(|| format!("{} was removed and is still in {placed:?}", self.name))
    }

    /// What was published or put in place and was never pushed.
    pub(super) fn foreign(&self, logs: &str, caches: &[PathBuf]) -> Vec<String> {
        let name = self.name;
        let mark = format!("plugin published plugin=\"{name}\"");
        let published: BTreeSet<String> = logs
            .lines()
            .filter(|line| line.contains(&mark))
            .filter_map(|line| Some(shown(line.split_once("digest=\"")?.1)))
            .collect();
        let mut broken = Vec::new();
        if published.is_empty() {
            broken.push(format!("pushes: no worker published {name}"));
        }
        broken.extend(published.difference(&self.good).map(|version| {
            format!("pushes: a worker published {name} {version}, which is no whole version of it")
        }));
        for path in self.placed(caches) {
            let version = fs::read(&path).map(|bytes| shown(&digest(&bytes)));
            if version.is_ok_and(|version| !self.is_known(&version)) {
                broken.push(format!("pushes: {} was never pushed", path.display()));
            }
        }
        broken
    }

    /// Its files in the folders of the workers.
    fn placed(&self, caches: &[PathBuf]) -> Vec<PathBuf> {
        let folders = caches.iter().filter_map(|cache| fs::read_dir(cache.join("fleet")).ok());
        let files = folders
            .flatten()
            .flatten()
            .map(|folder| folder.path().join("plugins").join(self.name).with_extension("wasm"));
        files.filter(|file| file.exists()).collect()
    }
}

/// Each stored component must be what its name says.
pub(super) fn damaged(caches: &[PathBuf]) -> Vec<String> {
    let mut broken = Vec::new();
    for cache in caches {
        let entries = fs::read_dir(cache.join("fleet/artefacts")).into_iter().flatten();
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A temporary file of a worker that was killed.
            if name.starts_with('.') {
                continue;
            }
            if fs::read(&path).is_ok_and(|bytes| digest(&bytes) != name) {
                broken.push(format!("pushes: {} has another digest", path.display()));
            }
        }
    }
    broken
}

/// The version that a command says it has left.
pub(super) fn told(output: &str) -> Option<Wanted> {
    let (_, rest) = output.split_once("(sha256 ")?;
    Some(Wanted::Version(shown(rest)))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(digest: &str) -> String {
    digest.chars().take(SHOWN).collect()
}
