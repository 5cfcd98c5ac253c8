//! When files in a folder are scanned, compared and tried.

use super::*;
use crate::config::Ceilings;
use crate::plugin_config::base::PathBase;
use crate::trust::Policy;

/// A folder with one file that is no component, and its tracker.
struct Place {
    temporary: tempfile::TempDir,
    tracker: FileTracker,
    path: PathBuf,
    files: Fingerprint,
}

impl Place {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let tracker = FileTracker::new(MAX_WAIT);
        let mut place = Self { temporary, tracker, path, files: Vec::new() };
        place.files = place.found();
        place
    }

    fn found(&self) -> Fingerprint {
        let found = files::read_folder(
            self.temporary.path(),
            &Ceilings::default(),
            None,
            (&Policy::default(), &PathBase::default()),
        )
        .unwrap();
        found.plugins[0].1.clone()
    }

    /// They were accepted as they are, and compared long ago.
    fn attempt(&mut self) -> &mut Attempt {
        let accepted = Attempt {
            fingerprint: self.files.clone(),
            contents: files::contents(&self.files),
            compare_at: Instant::now(),
            retry_at: None,
            refusal: None,
        };
        self.tracker.attempts.entry(self.path.clone()).or_insert(accepted)
    }

    async fn is_unchanged(&mut self, files: &Fingerprint) -> bool {
        self.tracker.is_unchanged(&self.path, files).await
    }
}

const MAX_WAIT: Duration = Duration::from_secs(10);

fn ago(by: Duration) -> Instant {
    Instant::now().checked_sub(by).unwrap()
}

#[tokio::test]
async fn contents_are_compared_from_time_to_time_though_nothing_else_changed() {
    let mut place = Place::new();
    let files = place.files.clone();
    assert!(!place.is_unchanged(&files).await, "never tried");
    place.attempt();
    assert!(place.is_unchanged(&files).await);
    assert!(place.attempt().compare_at > Instant::now(), "not each time");
    // A file system that says nothing of it.
    std::fs::write(&place.path, "two").unwrap();
    place.attempt().compare_at = Instant::now();
    assert!(!place.is_unchanged(&files).await);
}

#[tokio::test]
async fn files_are_compared_soon_after_they_were_read() {
    let mut place = Place::new();
    place.tracker.record(place.path.clone(), place.files.clone(), None, None, false);
    let compare_at = place.tracker.attempts[&place.path].compare_at;
    assert!(compare_at <= Instant::now() + FIRST_COMPARISON);
}

#[tokio::test]
async fn what_was_touched_and_says_the_same_is_no_change_unless_it_was_refused() {
    let mut place = Place::new();
    place.attempt();
    std::fs::write(&place.path, "one").unwrap();
    let touched = place.found();
    assert_ne!(touched, place.files);
    assert!(!place.is_unchanged(&touched).await, "it may be written still");
    assert!(!place.tracker.is_quiet(&place.path, Some(&touched), QUIET_PERIOD));
    assert!(place.is_unchanged(&touched).await, "it says the same");
    let refusal = Refusal { code: "plugin-invalid", by_other_plugin: false };
    place.attempt().refusal = Some(refusal);
    place.attempt().fingerprint = place.files.clone();
    assert!(!place.is_unchanged(&touched).await, "whoever touched it wants it tried again");
}

#[tokio::test]
async fn what_was_refused_for_something_outside_it_is_looked_at_again() {
    let mut place = Place::new();
    let files = place.files.clone();
    place.attempt().retry_at = Some(Instant::now() + RETRY_AFTER);
    assert!(place.is_unchanged(&files).await);
    place.attempt().retry_at = Some(Instant::now());
    assert!(!place.is_unchanged(&files).await);
    assert!(
        place.tracker.is_quiet(&place.path, Some(&files), QUIET_PERIOD),
        "nothing is being written"
    );
}

#[tokio::test]
async fn files_are_ripe_when_they_are_still_or_were_waited_for_long_enough() {
    let mut place = Place::new();
    let path = place.path.clone();
    let files = place.files.clone();
    assert!(!place.tracker.is_quiet(&path, Some(&files), QUIET_PERIOD), "just seen");
    let seen = |place: &mut Place, since: Instant, changed: Instant| {
        let change = place.tracker.pending.get_mut(&path).unwrap();
        change.first_seen = since;
        change.last_change = changed;
    };
    let long_ago = ago(MAX_WAIT);
    let now = Instant::now();
    seen(&mut place, now, ago(QUIET_PERIOD));
    assert!(place.tracker.is_quiet(&path, Some(&files), QUIET_PERIOD), "still for a while");
    std::fs::write(&path, "two, and not yet all of it").unwrap();
    let written = place.found();
    seen(&mut place, now, long_ago);
    assert!(!place.tracker.is_quiet(&path, Some(&written), QUIET_PERIOD), "written a moment ago");
    seen(&mut place, long_ago, now);
    assert!(place.tracker.is_quiet(&path, Some(&written), MAX_WAIT * 2), "never still");
    // Its removal is another change, with its own time.
    assert!(!place.tracker.is_quiet(&path, None, QUIET_PERIOD));
}
