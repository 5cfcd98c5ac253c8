//! A version that some workers try before all get it.

use super::record::{Canary, Entry, Record, Revision};
use super::report::{Step, WorkerReport};

/// How the tasks of several workers ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks that ended.
    pub ended: u64,
    /// Those of them that failed by the plugin's fault.
    pub failed: u64,
}

impl Canary {
    /// Whether a worker with these labels, which keeps its plugins in `folder`, runs it.
    pub fn is_for(&self, labels: &[String], folder: &str) -> bool {
        let is_chosen = if self.labels.is_empty() {
            self.folders.iter().any(|chosen| chosen == folder)
        } else {
            self.labels.iter().all(|label| labels.contains(label))
        };
        is_chosen && self.record.is_for(labels)
    }
}

impl Entry {
    /// What a worker with these labels, which keeps its plugins in `folder`, runs under this name; none for nothing.
    pub fn record_for(&self, labels: &[String], folder: &str) -> Option<&Record> {
        let canary = self.record.canary.as_deref();
        canary
            .filter(|canary| canary.is_for(labels, folder))
            .map(|canary| &canary.record)
            .or_else(|| Some(&self.record).filter(|record| record.is_for(labels)))
    }

    /// The records whose components workers need.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        let canary = self.record.canary.as_deref().map(|canary| &canary.record);
        Some(&self.record).filter(|record| !record.removed).into_iter().chain(canary)
    }
}

impl WorkerReport {
    /// Whether this worker has read the change `at`, so that its report may be about it.
    pub fn has_read(&self, at: &Revision) -> bool {
        let read = self.revision.as_ref();
        read.is_some_and(|read| read.era != at.era || read.number >= at.number)
    }

    /// Whether this worker runs the canary of `entry`, and not the version of all.
    pub fn is_canary_of(&self, entry: &Entry) -> bool {
        let canary = entry.record.canary.as_deref();
        canary.is_some_and(|canary| canary.is_for(&self.labels, &self.folder))
    }
}

impl Tally {
    /// How the tasks of `digest` ended on these workers.
    pub fn of<'a>(
        workers: impl IntoIterator<Item = &'a WorkerReport>,
        plugin: &str,
        digest: &str,
    ) -> Self {
        let mut tally = Self::default();
        for report in workers.into_iter().flat_map(|worker| &worker.plugins) {
            // What runs while a worker is on its way is another version, perhaps of the same component.
            let runs_it = report.step == Step::Running && report.digest == digest;
            if report.name == plugin && runs_it {
                tally.ended += u64::from(report.ended);
                tally.failed += u64::from(report.failed);
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(digest: &str) -> Record {
        Record { digest: digest.repeat(64), size: 3, ..Record::default() }
    }

    fn canary(labels: &[&str], folders: &[&str]) -> Canary {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Canary {
            record: record("b"),
            labels: owned(labels),
            folders: owned(folders),
            percent: 10,
            tasks: 20,
            seconds: 30,
        }
    }

    fn entry(canary: Canary) -> Entry {
        let at = Revision { era: "e".to_owned(), number: 7 };
        let record = Record { canary: Some(Box::new(canary)), ..record("a") };
        Entry { name: "a".to_owned(), at, record }
    }

    #[test]
    fn a_canary_is_for_the_workers_that_were_chosen_and_the_rest_keep_what_they_had() {
        let digest = |entry: &Entry, labels: &[&str], folder| {
            let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
            entry
                .record_for(&labels, folder)
                .map(|record| record.digest.get(..1).unwrap().to_owned())
        };
        let by_folder = entry(canary(&[], &["one"]));
        assert_eq!(digest(&by_folder, &[], "one").as_deref(), Some("b"));
        assert_eq!(digest(&by_folder, &["eu"], "two").as_deref(), Some("a"));
        let by_label = entry(canary(&["eu"], &[]));
        assert_eq!(digest(&by_label, &["eu", "gpu"], "one").as_deref(), Some("b"));
        assert_eq!(digest(&by_label, &[], "one").as_deref(), Some("a"));
        let mut elsewhere = canary(&[], &["one"]);
        elsewhere.record.labels = vec!["gpu".to_owned()];
        assert_eq!(digest(&entry(elsewhere), &[], "one").as_deref(), Some("a"), "not meant for it");
    }

    #[test]
    fn a_canary_that_does_not_hold_together_costs_only_itself() {
        let sound = entry(canary(&[], &["one"]));
        assert_eq!(Entry::parse("a", &sound.to_text()), Some(sound));
        let nested = Canary { record: entry(canary(&[], &["one"])).record, ..canary(&["eu"], &[]) };
        let foreign = Canary { record: record("../../x"), ..canary(&["eu"], &[]) };
        for broken in [canary(&[], &[]), canary(&["eu"], &["one"]), nested, foreign] {
            let read = Entry::parse("a", &entry(broken.clone()).to_text()).unwrap();
            assert_eq!(read.record, record("a"), "{broken:?}");
        }
    }
}
