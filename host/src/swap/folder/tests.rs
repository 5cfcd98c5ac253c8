//! When files in a folder are looked at, compared and tried.

use super::*;
use crate::engine;

/// A folder with one file that is no component, and what was found there.
struct Place {
    temporary: tempfile::TempDir,
    folder: PluginFolder,
    path: PathBuf,
    files: Fingerprint,
}

impl Place {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let (ceilings, catalog) = (Ceilings::default(), Arc::new(PluginCatalog::default()));
        let loader = Loader::new(engine::build(1, &ceilings).unwrap(), ceilings, None).unwrap();
        let at = temporary.path().to_owned();
        let folder = PluginFolder::new(at, ceilings, Arc::new(loader), catalog);
        let mut place = Self { temporary, folder, path, files: Vec::new() };
        place.files = place.found();
        place
    }

    fn found(&self) -> Fingerprint {
        let found = files::find(self.temporary.path(), &Ceilings::default(), None).unwrap();
        found.plugins[0].1.clone()
    }

    /// They were accepted as they are, and compared long ago.
    fn tried(&mut self) -> &mut Tried {
        let accepted = Tried {
            fingerprint: self.files.clone(),
            contents: files::contents(&self.files),
            compare_at: Instant::now(),
            again_at: None,
            refused: None,
        };
        self.folder.tried.entry(self.path.clone()).or_insert(accepted)
    }

    async fn settled(&mut self, files: &Fingerprint) -> bool {
        self.folder.settled(&self.path, files).await
    }
}

fn ago(by: Duration) -> Instant {
    Instant::now().checked_sub(by).unwrap()
}

#[tokio::test]
async fn contents_are_compared_from_time_to_time_though_nothing_else_changed() {
    let mut place = Place::new();
    let files = place.files.clone();
    assert!(!place.settled(&files).await, "never tried");
    place.tried();
    assert!(place.settled(&files).await);
    assert!(Instant::now() < place.tried().compare_at, "not each time");
    // A file system that says nothing of it.
    std::fs::write(&place.path, "two").unwrap();
    place.tried().compare_at = Instant::now();
    assert!(!place.settled(&files).await);
}

#[tokio::test]
async fn files_are_compared_soon_after_they_were_read() {
    let mut place = Place::new();
    assert_eq!(place.folder.scan().await.unwrap().refused, 1);
    let compare_at = place.folder.tried[&place.path].compare_at;
    assert!(compare_at <= Instant::now() + COMPARE_FIRST);
}

#[tokio::test]
async fn what_was_touched_and_says_the_same_is_no_change_unless_it_was_refused() {
    let mut place = Place::new();
    place.tried();
    std::fs::write(&place.path, "one").unwrap();
    let touched = place.found();
    assert_ne!(touched, place.files);
    assert!(!place.settled(&touched).await, "it may be written still");
    assert!(!place.folder.ripe(&place.path, Some(&touched), STILL_FOR));
    assert!(place.settled(&touched).await, "it says the same");
    let refused = Refused { code: "plugin-invalid", by_another: false };
    place.tried().refused = Some(refused);
    place.tried().fingerprint = place.files.clone();
    assert!(!place.settled(&touched).await, "whoever touched it wants it tried again");
}

#[tokio::test]
async fn what_was_refused_for_something_outside_it_is_looked_at_again() {
    let mut place = Place::new();
    let files = place.files.clone();
    place.tried().again_at = Some(Instant::now() + LOOK_AGAIN);
    assert!(place.settled(&files).await);
    place.tried().again_at = Some(Instant::now());
    assert!(!place.settled(&files).await);
    assert!(place.folder.ripe(&place.path, Some(&files), STILL_FOR), "nothing is being written");
}

#[tokio::test]
async fn files_are_ripe_when_they_are_still_or_were_waited_for_long_enough() {
    let mut place = Place::new();
    let (path, files) = (place.path.clone(), place.files.clone());
    assert!(!place.folder.ripe(&path, Some(&files), STILL_FOR), "just seen");
    let seen = |place: &mut Place, since: Instant, changed: Instant| {
        let changing = place.folder.changing.get_mut(&path).unwrap();
        (changing.since, changing.changed) = (since, changed);
    };
    let (long_ago, now) = (ago(PluginFolder::PATIENCE), Instant::now());
    seen(&mut place, now, ago(STILL_FOR));
    assert!(place.folder.ripe(&path, Some(&files), STILL_FOR), "still for a while");
    std::fs::write(&path, "two, and not yet all of it").unwrap();
    let written = place.found();
    seen(&mut place, now, long_ago);
    assert!(!place.folder.ripe(&path, Some(&written), STILL_FOR), "written a moment ago");
    seen(&mut place, long_ago, now);
    assert!(place.folder.ripe(&path, Some(&written), PluginFolder::PATIENCE * 2), "never still");
    // That it is gone is another change, with a time of its own.
    assert!(!place.folder.ripe(&path, None, STILL_FOR));
}
