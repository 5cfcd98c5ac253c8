//! A person who writes a plugin, outside the repository: an empty folder, the programs of a release, and an environment in
//! which nothing of the repository is left.

mod environment;
mod processes;
mod programs;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use self::processes::Marked;
use crate::languages;
use crate::toolchain::Toolchain;

pub(crate) use programs::ProgramsFlags;

/// How long what was started may take to be gone after Ctrl-C.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where a language's compiler and libraries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tools {
    /// With the repository's own builds, so that a second run is quick.
    Kept,
    /// In the plugin's folder, as everybody has them after the first build.
    Fetched,
}

/// The person. Their folder goes with the value.
#[derive(Debug)]
pub(crate) struct Stranger {
    place: TempDir,
    root: PathBuf,
    programs: PathBuf,
    tools: Tools,
    marked: Marked,
}

impl Stranger {
    /// A person with the programs that the flags name.
    pub(crate) fn arrives(root: &Path, flags: &ProgramsFlags) -> anyhow::Result<Self> {
        let place = tempfile::tempdir().context("making a folder outside the repository")?;
        ensure!(
            !place.path().starts_with(root),
            "the folder for temporary files is inside the repository; set TMPDIR to another one"
        );
        for folder in ["home", "logs", "temporary"] {
            fs::create_dir(place.path().join(folder)).context("making a folder")?;
        }
        let programs = flags.find(root, place.path())?;
        let tools = if flags.is_release() { Tools::Fetched } else { Tools::Kept };
        let real = place.path().canonicalize().context("asking for the folder's path")?;
        let marked = Marked::new(&real);
        Ok(Self { place, root: root.to_owned(), programs, tools, marked })
    }

    /// The folder that everything is done in. It is empty at first.
    pub(crate) fn home(&self) -> PathBuf {
        self.place.path().join("home")
    }

    /// Where the output of what runs beside is kept, so that the first folder has only what a person puts there.
    pub(crate) fn logs(&self) -> PathBuf {
        self.place.path().join("logs")
    }

    /// A program as this person starts it, in a folder, with what builds of a language need.
    pub(crate) fn command(
        &self,
        program: &str,
        folder: &Path,
        language: &str,
    ) -> anyhow::Result<Command> {
        let mut variables = environment::of_stranger(std::env::vars_os(), &self.root);
        variables.extend(self.tools(language)?);
        let path = variables.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let path = [self.programs.clone()].into_iter().chain(std::env::split_paths(&path));
        variables.insert("PATH".into(), std::env::join_paths(path).context("building PATH")?);
        variables.insert("TMPDIR".into(), self.temporary().into());
        let (name, value) = self.marked.variable();
        variables.insert(name.into(), value.into());
        if self.tools == Tools::Fetched {
            let seen = environment::with_path_into(&variables, &self.root);
            ensure!(seen.is_empty(), "the repository is reachable through {}", seen.join(", "));
        }
        // It is looked for in the PATH that it gets.
        let mut command = Command::new(program);
        command.env_clear().envs(variables).current_dir(folder);
        Ok(command)
    }

    /// What a build in a language needs beyond what everybody has.
    fn tools(&self, language: &str) -> anyhow::Result<Vec<(OsString, OsString)>> {
        let needed = match self.tools {
            Tools::Kept => languages::environment(&self.root, language)?,
            Tools::Fetched if language == "rust" => Toolchain::find(&self.root)?.environment()?,
            Tools::Fetched => Vec::new(),
        };
        Ok(needed.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// Makes sure that nothing that runs for this person is, or names, a file of the repository.
    pub(crate) fn uses_nothing_of_the_repository(&self) -> anyhow::Result<()> {
        if self.tools == Tools::Kept {
            return Ok(());
        }
        let seen = self.marked.that_name(&self.root)?;
        ensure!(seen.is_empty(), "these use the repository:\n  {}", seen.join("\n  "));
        Ok(())
    }

    /// Makes sure that no process, and no temporary file, of this person is left.
    pub(crate) fn has_left_nothing(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            let mut left = self.marked.all()?;
            left.extend(self.temporary_files()?);
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("this is left behind after {GONE_WITHIN:?}:\n  {}", left.join("\n  "));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn temporary(&self) -> PathBuf {
        self.place.path().join("temporary")
    }

    fn temporary_files(&self) -> anyhow::Result<Vec<String>> {
        let entries = fs::read_dir(self.temporary()).context("listing temporary files")?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path().display().to_string()));
        paths.collect::<Result<_, _>>().context("listing temporary files")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // What a failure left. Programs that `worker dev` has started do not end with it when it is killed.
        self.marked.kill_all();
    }
}
