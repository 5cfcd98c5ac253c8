//! The files of a plugin folder, and whether they have changed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::archive::VersionArchive;
use crate::config::Ceilings;
use crate::plugin::read::open_regular;
use crate::plugin_config::PluginConfig;
use crate::plugin_config::base::PathBase;
use crate::trust::{self, Policy};
use crate::version::name::{is_plugin_name, stem};

/// Links that are followed on one path, as many as Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// The state of a file. A copy that keeps size and time has another id or another time of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    bytes: u64,
    modified: Option<SystemTime>,
    changed: (i64, i64),
    id: FileId,
}

/// Device and inode: identifies a file or folder under any name.
pub(crate) type FileId = (u64, u64);

/// Every file of a plugin: component, settings, data, and its signature when signatures are checked. None for a missing file.
pub(crate) type Fingerprint = Vec<(PathBuf, Option<FileState>)>;

/// The plugins of a folder.
#[derive(Debug)]
pub(crate) struct FolderContents {
    /// The folder itself.
    pub(crate) id: Option<FileId>,
    /// Its components, each with all files of the plugin.
    pub(crate) plugins: Vec<(PathBuf, Fingerprint)>,
    /// The folders to watch.
    pub(crate) folders: BTreeSet<PathBuf>,
}

/// Reads a folder.
pub(crate) fn read_folder(
    folder: &Path,
    ceilings: &Ceilings,
    archive: Option<&VersionArchive>,
    (policy, base): (&Policy, &PathBase),
) -> io::Result<FolderContents> {
    let paths = components(folder)?;
    let plugins: Vec<(PathBuf, Fingerprint)> = paths
        .into_iter()
        .map(|path| {
            let name = stem(&path);
            let archive = archive.filter(|_| is_plugin_name(&name));
            let acceptance = archive.map(|archive| archive.acceptance_file(&name));
            let signature = policy.is_active().then(|| trust::signature_path(&path));
            let others = acceptance.into_iter().chain(signature);
            let files = fingerprint(&path, base, ceilings, others);
            (path, files)
        })
        .collect();
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for (file, _) in plugins.iter().flat_map(|(_, files)| files) {
        folders.extend(file.parent().map(Path::to_owned));
        // The target of a link may change too.
        let target = fs::canonicalize(file).ok();
        folders.extend(target.as_deref().and_then(Path::parent).map(Path::to_owned));
        folders.extend(folders_of_links(file));
    }
    Ok(FolderContents { id: file_id(folder), plugins, folders })
}

/// As [`read_folder`], with a second folder. Of two plugins with the same name the one in the first folder counts.
pub(crate) fn read_folders(
    folder: &Path,
    second: Option<&Path>,
    ceilings: &Ceilings,
    archive: Option<&VersionArchive>,
    rules: (&Policy, &PathBase),
) -> io::Result<FolderContents> {
    let mut found = read_folder(folder, ceilings, archive, rules)?;
    if let Some(second) = second {
        let also = read_folder(second, ceilings, archive, rules)?;
        let names: BTreeSet<String> = found.plugins.iter().map(|(path, _)| stem(path)).collect();
        let others = also.plugins.into_iter().filter(|(path, _)| !names.contains(&stem(path)));
        found.plugins.extend(others);
        found.folders.extend(also.folders);
    }
    Ok(found)
}

/// The folders that hold a link on `path`. Replacing one of the links changes the target of `path`.
fn folders_of_links(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut whole = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some((folder, target, rest)) = first_link(&whole) else { break };
        whole = folder.join(target).join(rest);
        folders.insert(folder);
    }
    folders
}

/// The first link on `path`: its folder, its target, and the rest of the path.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf, PathBuf)> {
    let mut so_far = PathBuf::new();
    let mut parts = path.components();
    while let Some(part) = parts.next() {
        let folder =
            if so_far.as_os_str().is_empty() { Path::new(".").into() } else { so_far.clone() };
        so_far.push(part);
        if let Ok(target) = fs::read_link(&so_far) {
            return Some((folder, target, parts.as_path().to_owned()));
        }
    }
    None
}

/// The components in a folder, sorted by name. Names that begin with a dot are left out: other systems and editors
/// create such files.
pub(crate) fn components(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if !hidden && path.extension().is_some_and(|ending| ending == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The id of the folder or file at `path`.
pub(crate) fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The state of the files of the plugin at `path`, and of `others`.
fn fingerprint(
    path: &Path,
    base: &PathBase,
    ceilings: &Ceilings,
    others: impl IntoIterator<Item = PathBuf>,
) -> Fingerprint {
    let mut files = vec![path.to_owned(), path.with_extension("toml")];
    if let Ok(config) = PluginConfig::for_component_in(path, base.of(path), ceilings) {
        files.extend(config.data.into_values());
    }
    files.extend(others);
    files
        .into_iter()
        .map(|file| {
            let state = state(&file);
            (file, state)
        })
        .collect()
}

/// The state of a file; none when there is none.
pub(crate) fn state(file: &Path) -> Option<FileState> {
    let found = fs::metadata(file).ok()?;
    Some(FileState {
        bytes: found.len(),
        modified: found.modified().ok(),
        changed: (found.ctime(), found.ctime_nsec()),
        id: (found.dev(), found.ino()),
    })
}

/// The digest of the contents of all these files. It changes when one of them cannot be read.
pub(crate) fn contents(files: &Fingerprint) -> [u8; 32] {
    let mut all = Sha256::new();
    for (file, state) in files {
        all.update(file.as_os_str().as_encoded_bytes());
        let digest = state.as_ref().and_then(|_| digest(file).ok());
        all.update([u8::from(state.is_some()), u8::from(digest.is_some())]);
        all.update(digest.unwrap_or_default());
    }
    all.finalize().into()
}

/// The digest of one file, read in parts.
pub(crate) fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = open_regular(path)?;
    let mut digest = Sha256::new();
    io::copy(&mut file, &mut digest)?;
    Ok(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_link_on_the_way_is_in_a_folder_to_watch() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(at("releases/1/data")).unwrap();
        fs::create_dir(at("shared")).unwrap();
        fs::write(at("releases/1/data/a.csv"), "").unwrap();
        symlink("releases/1", at("current")).unwrap();
        symlink(at("current/data"), at("shared/data")).unwrap();
        let way = folders_of_links(&at("shared/data/a.csv"));
        assert_eq!(way, BTreeSet::from([at("shared"), at("")]));
        assert_eq!(folders_of_links(&at("releases/1/data/a.csv")), BTreeSet::new());
    }

    #[test]
    fn a_folder_is_watched_wherever_a_change_matters() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().canonicalize().unwrap().join(name);
        for folder in ["plugins", "builds", "releases/1", "catalogue"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("builds/a.wasm"), "").unwrap();
        symlink("1", at("releases/current")).unwrap();
        symlink(at("builds/a.wasm"), at("plugins/a.wasm")).unwrap();
        symlink(at("releases/current/a.toml"), at("plugins/a.toml")).unwrap();
        let settings =
            format!("[grants]\nnet = []\ndata = {{ words = {:?} }}\n", at("catalogue/x"));
        fs::write(at("releases/1/a.toml"), settings).unwrap();
        let found = read_folder(
            &at("plugins"),
            &Ceilings::default(),
            None,
            (&Policy::default(), &PathBase::default()),
        )
        .unwrap();
        let expected = ["plugins", "builds", "releases", "releases/1", "catalogue"].map(at);
        assert_eq!(found.folders, BTreeSet::from(expected));
        let files: Vec<&PathBuf> = found.plugins[0].1.iter().map(|(file, _)| file).collect();
        let expected = ["plugins/a.wasm", "plugins/a.toml", "catalogue/x"].map(at);
        assert_eq!(files, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_file_is_another_when_it_was_renamed_into_place_or_written_at_another_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.wasm");
        let times = fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
        let written = |path: &Path| {
            fs::write(path, "same").unwrap();
            fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        };
        let state = || {
            fingerprint(&path, &PathBase::default(), &Ceilings::default(), None)[0]
                .1
                .clone()
                .unwrap()
        };
        written(&path);
        let first = state();
        assert_eq!(state(), first);
        let beside = place.path().join("beside");
        written(&beside);
        fs::rename(&beside, &path).unwrap();
        let renamed = state();
        assert_ne!(renamed.id, first.id);
        assert_eq!((renamed.bytes, renamed.modified), (first.bytes, first.modified));
        assert_ne!(FileState { changed: first.changed, ..renamed.clone() }, first);
        assert_ne!(FileState { id: first.id, changed: (0, 0), ..renamed }, first);
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("link");
        symlink("link", &link).unwrap();
        assert!(folders_of_links(&link.join("a.wasm")).contains(place.path()));
    }
}
