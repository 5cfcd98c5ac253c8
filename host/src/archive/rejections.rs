//! Which versions of a plugin were rolled back. Each is its own file, so that several workers can share the folder
//! and a rejection outlives the archived version.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::files;
use crate::version::id::VersionId;

/// Rejections of one plugin. The oldest is removed first.
const MAX_REJECTIONS: usize = 64;

/// Why a version was rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// How many of its first tasks failed.
    pub failed: u32,
    /// How many of its first tasks ended.
    pub ended: u32,
}

/// The folder with the rejections of one plugin.
pub(super) struct Rejections {
    pub(super) folder: PathBuf,
}

impl Rejections {
    /// The rejection of a version. One that cannot be read counts all the same.
    pub(super) fn get(&self, id: &VersionId) -> Option<Rejection> {
        let unknown = Rejection { at: 0, failed: 0, ended: 0 };
        match fs::read(self.folder.join(id.as_str())) {
            Ok(text) => Some(serde_json::from_slice(&text).unwrap_or(unknown)),
            Err(error) => (error.kind() != io::ErrorKind::NotFound).then_some(unknown),
        }
    }

    pub(super) fn add(&self, id: &VersionId, rejection: Rejection) -> io::Result<()> {
        files::create_folder(&self.folder)?;
        files::replace(&self.folder.join(id.as_str()), &serde_json::to_vec(&rejection)?)?;
        let mut rejections = files::entries(&self.folder)?;
        rejections.sort();
        let excess = rejections.len().saturating_sub(MAX_REJECTIONS);
        for (_, path) in rejections.iter().take(excess) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Removes all, and returns how many there were.
    pub(super) fn clear(&self) -> io::Result<usize> {
        let rejections = files::entries(&self.folder)?;
        for (_, path) in &rejections {
            fs::remove_file(path)?;
        }
        Ok(rejections.len())
    }
}
