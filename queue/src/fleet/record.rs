//! The records of the fleet's state.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json;
use crate::task::now_ms;

/// Largest settings text of one plugin, in bytes.
pub const MAX_SETTINGS_BYTES: usize = 64 << 10;
/// Largest component, in bytes: as large as a worker takes one.
pub(super) const MAX_COMPONENT_BYTES: u64 = 64 << 20;
/// Longest address of a component, in bytes.
const MAX_SOURCE_BYTES: usize = 512;
/// Most labels of one record or worker.
const MAX_LABELS: usize = 16;

/// Most folders of a canary.
const MAX_FOLDERS: usize = 256;
/// Most tasks that a canary may be asked for.
pub const MAX_CANARY_TASKS: u32 = 100_000;
/// Longest time that a canary may be asked for, in seconds.
pub const MAX_CANARY_SECONDS: u32 = 86_400;

/// A moment of the fleet's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// A random word; another one when Redis has lost the state meanwhile.
    pub era: String,
    /// Counts the changes.
    pub number: u64,
}

impl Revision {
    pub(super) fn new_era() -> String {
        uuid::Uuid::new_v4().simple().to_string()
    }

    /// Reads `era:number`, as it is displayed.
    pub fn parse(text: &str) -> Option<Self> {
        let (era, number) = text.split_once(':')?;
        let is_word = !era.is_empty() && era.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_word.then_some(())?;
        Some(Self { era: era.to_owned(), number: number.parse().ok()? })
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.era, self.number)
    }
}

/// What the fleet runs under one plugin name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The plugin was removed. The other fields say what it was.
    #[serde(default)]
    pub removed: bool,
    /// The plugin's own version number.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// Size of the component, in bytes.
    pub size: u64,
    /// The settings as TOML, without secrets.
    #[serde(default)]
    pub settings: String,
    /// Only workers with all of these labels run it.
    #[serde(default)]
    pub labels: Vec<String>,
    /// It stays as it is until it is unpinned.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub pinned: bool,
    /// The component's detached signature, as text that the queue does not read.
    #[serde(default)]
    pub signature: Option<String>,
    /// Where workers fetch the component when it is not in Redis: `oci://…@sha256:…` or `file:///folder`. The host reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When, in milliseconds since 1970 by the clock of whoever pushed it.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub pushed_at: u64,
    /// Who pushed it, as they call themselves.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub by: String,
    /// Why, when workers made the change by themselves. For a person.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub note: Option<String>,
    /// Another version that some workers try meanwhile.
    #[serde(
        default,
        deserialize_with = "json::readable_or_default",
        skip_serializing_if = "Option::is_none"
    )]
    pub canary: Option<Box<Canary>>,
}

impl Record {
    /// Whether a worker with these labels runs it.
    pub fn is_for(&self, labels: &[String]) -> bool {
        !self.removed && self.labels.iter().all(|label| labels.contains(label))
    }

    fn is_sound(&self) -> bool {
        is_digest(&self.digest)
            && self.size <= MAX_COMPONENT_BYTES
            && self.settings.len() <= MAX_SETTINGS_BYTES
            && self.labels.len() <= MAX_LABELS
            && self.labels.iter().all(|label| is_label(label))
            && self.source.as_ref().is_none_or(|source| is_source(source))
    }

    /// The record as it is now put in place by `by`, without a canary.
    #[must_use]
    pub fn put_by(self, by: &str) -> Self {
        Self { by: by.to_owned(), pushed_at: now_ms(), note: None, canary: None, ..self }
    }

    /// The record whose component is new with a change to this one.
    pub fn newest(&self) -> &Self {
        self.canary.as_deref().map_or(self, |canary| &canary.record)
    }
}

/// A version that some workers run while the others keep the record's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// What all workers get when it does well. Its own canary is none.
    pub record: Record,
    /// The canary workers are those with all of these labels. Empty when they are named by folder.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The canary workers are those that keep the fleet's plugins in one of these folders
    /// ([`super::WorkerReport::folder`]).
    #[serde(default)]
    pub folders: Vec<String>,
    /// The share of workers that `folders` was chosen for, in percent.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub percent: u8,
    /// It goes to all workers after this many tasks, unless too many of them failed.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub tasks: u32,
    /// And not before this many seconds.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub seconds: u32,
}

impl Canary {
    /// Redis is not trusted: what does not hold together is no canary.
    fn is_sound(&self) -> bool {
        let is_folder = |folder: &String| {
            folder.len() <= 64 && folder.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        self.record.is_sound()
            && self.record.canary.is_none()
            && !self.record.removed
            && self.labels.is_empty() != self.folders.is_empty()
            && self.labels.len() <= MAX_LABELS
            && self.labels.iter().all(|label| is_label(label))
            && self.folders.len() <= MAX_FOLDERS
            && self.folders.iter().all(is_folder)
            && self.tasks <= MAX_CANARY_TASKS
            && self.seconds <= MAX_CANARY_SECONDS
    }
}

/// Whether `text` may name a place. It is shown, and becomes part of requests.
fn is_source(text: &str) -> bool {
    text.len() <= MAX_SOURCE_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` may be a label, for instance `gpu` or `zone=eu`.
pub fn is_label(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=/".contains(&byte);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(is_plain)
}

/// A record and the change that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The plugin's name: its file name without `.wasm`.
    pub name: String,
    /// The change.
    pub at: Revision,
    /// The record.
    pub record: Record,
}

impl Entry {
    /// Reads `era|number|digest|JSON`. Redis is not trusted: what does not hold together is no entry.
    pub(super) fn parse(name: &str, text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '|');
        let era = parts.next()?;
        let number = parts.next()?;
        let at = Revision::parse(&format!("{era}:{number}"))?;
        let digest = parts.next()?;
        let mut record: Record = serde_json::from_str(parts.next()?).ok()?;
        record.canary.take_if(|canary| !canary.is_sound());
        let is_name = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let is_sound = is_name && record.digest == digest && record.is_sound();
        is_sound.then(|| Self { name: name.to_owned(), at, record })
    }

    /// As it is stored.
    pub(super) fn to_text(&self) -> String {
        let json = serde_json::to_string(&self.record).unwrap_or_default();
        format!("{}|{}|{json}", self.head(), self.record.digest)
    }

    pub(super) fn head(&self) -> String {
        format!("{}|{}", self.at.era, self.at.number)
    }
}

/// Whether `text` is a SHA-256 in hex. It becomes part of file names.
fn is_digest(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase();
    text.len() == 64 && text.bytes().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let record = Record { digest: "ab".repeat(32), size: 3, ..Record::default() };
        Entry { name: "a".to_owned(), at: Revision { era: "e".to_owned(), number: 7 }, record }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let mut entry = entry();
        entry.record.settings = "[config]\na = \"x|y\"\n".to_owned();
        assert_eq!(Entry::parse("a", &entry.to_text()), Some(entry));
    }

    #[test]
    fn a_record_that_does_not_hold_together_is_none() {
        let text = entry().to_text();
        assert!(Entry::parse("a", &text).is_some());
        for name in ["", "a.b", "../a", "a/b"] {
            assert_eq!(Entry::parse(name, &text), None, "{name}");
        }
        let digest = "ab".repeat(32);
        for bad in [
            text.replacen(&digest, &"cd".repeat(32), 1),
            text.replace(&digest, "../../etc/passwd"),
            text.replace("e|7", "e|x"),
            text.replace("e|7", "|7"),
            text.replace("\"size\":3", "\"size\":99999999999"),
            text.replace("\"labels\":[]", "\"labels\":[\"a b\"]"),
            text.replace('{', ""),
            String::new(),
        ] {
            assert_eq!(Entry::parse("a", &bad), None, "{bad}");
        }
    }

    #[test]
    fn all_labels_of_a_record_must_be_the_workers() {
        let has = ["zone=eu".to_owned(), "gpu".to_owned()];
        let for_labels = |labels: &[&str]| Record {
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            ..Record::default()
        };
        assert!(for_labels(&[]).is_for(&has));
        assert!(for_labels(&["gpu"]).is_for(&has));
        assert!(!for_labels(&["gpu", "zone=us"]).is_for(&has));
        assert!(!Record { removed: true, ..for_labels(&[]) }.is_for(&has));
    }
}
