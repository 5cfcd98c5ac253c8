//! A plugin as `worker plugins new` makes it, in a folder that ends with the value.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, anyhow};
use tempfile::TempDir;

use crate::command::{capture, last_lines};

/// What the plugin is called, in each language.
const NAME: &str = "tide";
/// How a build script ends when the machine lacks something: `EX_UNAVAILABLE` of sysexits.h.
const MISSING: i32 = 69;

/// Why there is no component.
pub(super) enum BuildError {
    /// The tools cannot be had. The script's own words.
    Missing(String),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for BuildError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// A new plugin.
pub(super) struct NewPlugin {
    // Outside the repository, where a plugin in Rust would become a member of the workspace.
    folder: TempDir,
}

impl NewPlugin {
    pub(super) fn make(worker: &Path, language: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        let mut new = Command::new(worker);
        new.args(["plugins", "new", NAME, "--lang", language]).current_dir(folder.path());
        capture(&mut new)?;
        Ok(Self { folder })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// Names and bytes of all files.
    pub(super) fn contents(&self) -> anyhow::Result<Vec<u8>> {
        let mut contents = Vec::new();
        let mut open = vec![self.path()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path).context("listing a new plugin")?;
                let mut inside: Vec<PathBuf> = entries
                    .map(|entry| entry.map(|entry| entry.path()))
                    .collect::<Result<_, _>>()?;
                inside.sort();
                open.extend(inside);
            } else {
                let name = path.strip_prefix(self.folder.path())?;
                contents.extend(name.to_string_lossy().as_bytes());
                contents.extend(fs::read(&path).context("reading a new plugin")?);
            }
        }
        Ok(contents)
    }

    /// Runs `./build`.
    pub(super) fn run_script(
        &self,
        arguments: &[&str],
        environment: &[(&'static str, OsString)],
    ) -> Result<(), BuildError> {
        let mut script = Command::new("./build");
        script.args(arguments).current_dir(self.path());
        script.envs(environment.iter().map(|(name, value)| (*name, value)));
        let output = script.output().context("starting ./build")?;
        if output.status.success() {
            return Ok(());
        }
        let said = [&*output.stdout, &*output.stderr].concat();
        let said = last_lines(&String::from_utf8_lossy(&said), 6);
        Err(match output.status.code() {
            Some(MISSING) => BuildError::Missing(said),
            _ => BuildError::Failed(anyhow!("./build {}: {said}", arguments.join(" "))),
        })
    }

    /// Makes the plugin's own source look changed.
    pub(super) fn touch_sources(&self) -> anyhow::Result<()> {
        for source in ["src/lib.rs", "plugin.py", "plugin.js", "plugin.c"] {
            let path = self.path().join(source);
            if path.is_file() {
                let file = fs::File::options().append(true).open(&path)?;
                file.set_modified(SystemTime::now()).context("touching a source")?;
            }
        }
        Ok(())
    }

    /// Copies the component and its settings.
    pub(super) fn copy_result(&self, to: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
        for ending in ["wasm", "toml"] {
            let file = format!("{NAME}.{ending}");
            fs::copy(self.path().join(&file), to.join(&file))
                .with_context(|| format!("copying {file}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, is_right: impl Fn(&Result<(), BuildError>) -> bool) {
        let folder = tempfile::tempdir().unwrap();
        let plugin = NewPlugin { folder };
        fs::create_dir(plugin.path()).unwrap();
        let build = plugin.path().join("build");
        fs::write(&build, format!("#!/bin/sh\n{script}\n")).unwrap();
        let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&build, runnable).unwrap();
        assert!(is_right(&plugin.run_script(&[], &[])), "{script}");
    }

    #[test]
    fn only_a_missing_tool_is_passed_over() {
        check("exit 0", Result::is_ok);
        check(
            "echo 'no node' >&2; exit 69",
            |ended| matches!(ended, Err(BuildError::Missing(said)) if said == "no node"),
        );
        check("exit 1", |ended| matches!(ended, Err(BuildError::Failed(_))));
    }
}
