//! Prepared components on disk, so that a worker that starts again neither compiles nor runs `init`.
//!
//! What is kept is machine code that will be run without another check. So the folder belongs to us alone (0700, and it
//! is refused otherwise), each file carries the digest of what it holds, and the engine's own check for another version
//! or other settings is in the name. A file that does not fit is removed, and the plugin compiled as if it were not
//! there.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::plugin::load::hex;

/// Files kept, two for each plugin version; the one that was used longest ago goes first.
const KEEP_FILES: usize = 64;
/// Changes with what a file holds.
const FORMAT: &str = "1";
const DIGEST_BYTES: usize = 64;

/// A folder of prepared components.
#[derive(Debug, Clone)]
pub struct PreparedCache {
    folder: PathBuf,
}

/// What makes a prepared component: everything that `init` can see.
pub(crate) struct Key(Sha256);

impl Key {
    pub(crate) fn new(engine: &Engine) -> Self {
        let mut compatible = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compatible);
        let mut key = Self(Sha256::new());
        key.add(FORMAT.as_bytes());
        key.add(env!("CARGO_PKG_VERSION").as_bytes());
        key.add(&compatible.finish().to_le_bytes());
        key
    }

    /// Adds a part; its length too, so that two parts never read as one.
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl PreparedCache {
    /// The cache in a folder, which is made when it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made or is not ours alone.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let found = fs::symlink_metadata(folder)?;
        // Who we are is seen from a file that we make.
        let mine = tempfile_in(folder)?;
        let me = mine.1.metadata()?.uid();
        fs::remove_file(mine.0)?;
        if !found.is_dir() || found.uid() != me || found.mode() & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others may write or read it; give it to this user alone (chmod 700), or name another with --plugin-cache",
            ));
        }
        Ok(Self { folder: folder.to_owned() })
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(key).with_extension("prepared")
    }

    /// What was stored under a key; nothing when it is not there or does not fit.
    pub(crate) fn get(&self, engine: &Engine, key: &str) -> Option<Component> {
        let path = self.file(key);
        let bytes = fs::read(&path).ok()?;
        match restore(engine, &bytes) {
            Ok(component) => {
                // Used now; fails only when somebody took it away, which does no harm.
                let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                Some(component)
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), error = %error, "a prepared plugin does not fit and is made anew");
                let _ = fs::remove_file(&path); // It is replaced by the next store.
                None
            }
        }
    }

    /// Stores a component under a key; what is half written is never seen.
    pub(crate) fn put(&self, key: &str, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        let (path, mut file) = tempfile_in(&self.folder)?;
        let written = file
            .write_all(hex(&Sha256::digest(&code)).as_bytes())
            .and_then(|()| file.write_all(&code))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&path, self.file(key)));
        if written.is_err() {
            let _ = fs::remove_file(&path); // What matters is the error before.
        }
        written?;
        self.prune()
    }

    fn prune(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            // Beside them lie the kept versions, in a folder of their own.
            if found.is_file() {
                files.push((found.modified()?, entry.path()));
            }
        }
        files.sort();
        let over = files.len().saturating_sub(KEEP_FILES);
        for (_, path) in files.into_iter().take(over) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// A new file beside the others, readable for us alone.
fn tempfile_in(folder: &Path) -> io::Result<(PathBuf, File)> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(format!("{}.part", uuid::Uuid::now_v7().simple()));
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((path, file))
}

/// From a file's bytes to a component.
#[expect(
    unsafe_code,
    reason = "the engine cannot check machine code; it comes from a folder of ours alone, under its digest"
)]
fn restore(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    let (digest, code) = bytes
        .split_at_checked(DIGEST_BYTES)
        .ok_or_else(|| wasmtime::Error::msg("the file is too short"))?;
    if hex(&Sha256::digest(code)).as_bytes() != digest {
        wasmtime::bail!("its digest is another one");
    }
    // SAFETY: `code` is what `Component::serialize` gave `put`: the folder is writable for this user alone, which
    // `open` has checked, and the digest says that nothing was lost on the way.
    let component = unsafe { Component::deserialize(engine, code)? };
    component.initialize_copy_on_write_image()?;
    Ok(component)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn component(engine: &Engine) -> Component {
        Component::from_binary(engine, b"\0asm\x0d\0\x01\0").unwrap()
    }

    #[test]
    fn what_was_stored_comes_back_and_what_was_changed_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = PreparedCache::open(&folder.path().join("cache")).unwrap();
        let engine = Engine::default();
        cache.put("k", &component(&engine)).unwrap();
        assert!(cache.get(&engine, "k").is_some());
        assert!(cache.get(&engine, "other").is_none());
        let path = cache.file("k");
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(cache.get(&engine, "k").is_none());
        assert!(!path.exists(), "it is gone, and made anew by the next");
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = PreparedCache::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }

    #[test]
    fn only_the_last_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = PreparedCache::open(&folder.path().join("cache")).unwrap();
        let engine = Engine::default();
        for number in 0..KEEP_FILES + 5 {
            cache.put(&number.to_string(), &component(&engine)).unwrap();
        }
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), KEEP_FILES);
    }

    #[test]
    fn two_parts_never_read_as_one() {
        let engine = Engine::default();
        let key = |parts: &[&str]| {
            let mut key = Key::new(&engine);
            parts.iter().for_each(|part| key.add(part.as_bytes()));
            key.finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
    }
}
