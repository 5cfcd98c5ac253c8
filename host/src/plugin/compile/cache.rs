//! Prepared components on disk, so that a restarted worker neither compiles nor runs `init`.
//!
//! The files hold machine code that runs without another check. So the folder must belong to this user alone (0700),
//! each file begins with the digest of its contents, and its name covers the engine's version and settings. A file that
//! does not match is removed, and the plugin is compiled again.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::{hex, sha256_hex};

/// Files in the folder, two for each plugin version. The least recently used one is removed first.
const MAX_FILES: usize = 64;
/// Sum of the files, in bytes. A plugin with an interpreter of 18 MB in it takes about 70 MB for each version.
const MAX_BYTES: u64 = 4 << 30;
/// The files that stay, however large they are: those of the newest version.
const MIN_FILES: usize = 2;
/// To be changed with the format of the files.
const FORMAT: &str = "1";
const DIGEST_BYTES: usize = 64;

/// A folder of prepared components.
#[derive(Debug, Clone)]
pub struct PreparedCache {
    folder: PathBuf,
}

/// The name of a prepared component, made of everything that `init` can see.
pub(crate) struct CacheKey(Sha256);

impl CacheKey {
    pub(crate) fn new(engine: &Engine) -> Self {
        let mut compatible = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compatible);
        let mut key = Self(Sha256::new());
        key.add(FORMAT.as_bytes());
        key.add(env!("CARGO_PKG_VERSION").as_bytes());
        key.add(&compatible.finish().to_le_bytes());
        key
    }

    /// Adds a part and its length, so that `ab`, `c` and `a`, `bc` differ.
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl PreparedCache {
    /// Opens the cache in `folder`, and creates the folder if needed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be created, or others may read or write it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let found = fs::symlink_metadata(folder)?;
        // The owner of a new file is the user that we run as.
        let (probe, file) = tempfile_in(folder)?;
        let me = file.metadata()?.uid();
        fs::remove_file(probe)?;
        if !found.is_dir() || found.uid() != me || found.mode() & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "other users may read or write it; make it private (chmod 700), or name another with --plugin-cache",
            ));
        }
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(key).with_extension("prepared")
    }

    /// Reads the component stored under a key; none when there is none or it does not match.
    pub(crate) fn get(&self, engine: &Engine, key: &str) -> Option<Component> {
        let path = self.file(key);
        let bytes = fs::read(&path).ok()?;
        match restore(engine, &bytes) {
            Ok(component) => {
                // Marks it as used. This fails when another worker has just removed it, which is harmless.
                let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                Some(component)
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), error = %error, "prepared plugin not usable; compiling it again");
                let _ = fs::remove_file(&path); // Otherwise the next `put` replaces it.
                None
            }
        }
    }

    /// Stores machine code under a key. Readers never see a partly written file.
    pub(crate) fn put(&self, key: &str, code: &[u8]) -> io::Result<()> {
        let (path, mut file) = tempfile_in(&self.folder)?;
        let written = file
            .write_all(sha256_hex(code).as_bytes())
            .and_then(|()| file.write_all(code))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&path, self.file(key)));
        if written.is_err() {
            let _ = fs::remove_file(&path); // The write error is the one to report.
        }
        written?;
        self.prune()
    }

    fn prune(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            // The version archive is in a subfolder.
            if found.is_file() {
                files.push((found.modified()?, entry.path(), found.len()));
            }
        }
        files.sort();
        files.reverse();
        let sizes: Vec<u64> = files.iter().map(|(.., bytes)| *bytes).collect();
        for (_, path, _) in files.into_iter().skip(kept(&sizes)) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// How many of the files with these sizes are kept, the newest first.
fn kept(sizes: &[u64]) -> usize {
    let mut sum = 0;
    let fitting = sizes.iter().take(MAX_FILES).take_while(|bytes| {
        sum += **bytes;
        sum <= MAX_BYTES
    });
    fitting.count().max(MIN_FILES)
}

/// Creates a temporary file in `folder` that only this user can read.
fn tempfile_in(folder: &Path) -> io::Result<(PathBuf, File)> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(format!("{}.part", uuid::Uuid::now_v7().simple()));
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((path, file))
}

/// Turns the bytes of a cache file into a component.
fn restore(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    let (digest, code) = bytes
        .split_at_checked(DIGEST_BYTES)
        .ok_or_else(|| wasmtime::Error::msg("the file is too short"))?;
    if sha256_hex(code).as_bytes() != digest {
        wasmtime::bail!("its digest does not match");
    }
    load(engine, code)
}

/// Makes a component of machine code, with the memory images that its instances map. `code` comes from the compiler
/// ([`super::Compiler`]), or from a file of a private folder whose digest matches.
#[expect(
    unsafe_code,
    reason = "the engine cannot check machine code; the folder is private, and the digest is compared"
)]
pub(super) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is what `Engine::precompile_component` returned, in this process or in one that this process
    // started; or it was written by `put` then. `open` has checked that only this user can write to the folder, and the
    // digest shows that the file is complete.
    let component = unsafe { Component::deserialize(engine, code)? };
    component.initialize_copy_on_write_image()?;
    Ok(component)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn code(engine: &Engine) -> Vec<u8> {
        engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap()
    }

    #[test]
    fn what_was_stored_comes_back_and_what_was_changed_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = PreparedCache::open(&folder.path().join("cache")).unwrap();
        let engine = Engine::default();
        cache.put("k", &code(&engine)).unwrap();
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
        for number in 0..MAX_FILES + 5 {
            cache.put(&number.to_string(), &code(&engine)).unwrap();
        }
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), MAX_FILES);
    }

    #[test]
    fn large_files_are_kept_as_long_as_they_fit_and_the_newest_two_always() {
        assert_eq!(kept(&[]), MIN_FILES);
        assert_eq!(kept(&[1; MAX_FILES + 1]), MAX_FILES);
        assert_eq!(kept(&[MAX_BYTES / 4; 10]), 4);
        assert_eq!(kept(&[MAX_BYTES, MAX_BYTES, 1]), MIN_FILES);
    }

    #[test]
    fn two_parts_never_read_as_one() {
        let engine = Engine::default();
        let key = |parts: &[&str]| {
            let mut key = CacheKey::new(&engine);
            parts.iter().for_each(|part| key.add(part.as_bytes()));
            key.finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
    }
}
