//! Which programs a stranger has.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::paths::target_dir;
use crate::release::{PROGRAMS, unpack};

/// Which programs are tried.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ProgramsFlags {
    /// The archive of a release, which is unpacked outside the repository. Compilers and libraries are then fetched anew, and
    /// a path into the repository is an error.
    #[arg(long, value_name = "FILE", conflicts_with = "programs")]
    archive: Option<PathBuf>,
    /// A folder with programs. Default: those that `cargo build --workspace --bins` has built.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

impl ProgramsFlags {
    /// Whether they come from a release, and nothing of the repository may be used.
    pub(super) fn is_release(&self) -> bool {
        self.archive.is_some()
    }

    /// The folder with the programs. An archive is unpacked in `place`.
    pub(super) fn find(&self, root: &Path, place: &Path) -> anyhow::Result<PathBuf> {
        let folder = match (&self.archive, &self.programs) {
            (Some(archive), _) => unpacked(archive, place)?,
            (None, Some(folder)) => folder
                .canonicalize()
                .with_context(|| format!("there is no folder {}", folder.display()))?,
            (None, None) => target_dir(root).join("debug"),
        };
        for (program, _) in PROGRAMS {
            ensure!(
                folder.join(program).is_file(),
                "there is no {program} in {}; `cargo build --workspace --bins` builds it",
                folder.display()
            );
        }
        Ok(folder)
    }
}

/// Unpacks an archive, and returns the folder with its programs.
fn unpacked(archive: &Path, place: &Path) -> anyhow::Result<PathBuf> {
    let to = place.join("release");
    std::fs::create_dir(&to).context("making a folder for the archive")?;
    let archive = archive
        .canonicalize()
        .with_context(|| format!("there is no archive {}", archive.display()))?;
    unpack(&archive, &to)?;
    let mut entries = std::fs::read_dir(&to).context("listing what was in the archive")?;
    let folder = entries.next().context("the archive is empty")?.context("listing the archive")?;
    Ok(folder.path().join("bin"))
}
