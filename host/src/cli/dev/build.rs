//! Runs the plugin's own `build` script.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::swap::files;

/// The script's name.
const SCRIPT: &str = "build";

/// How a folder's plugin is built.
pub(super) struct Build {
    folder: PathBuf,
    script: Option<PathBuf>,
}

impl Build {
    pub(super) fn of(folder: &Path) -> Self {
        let script = Some(folder.join(SCRIPT)).filter(|script| script.is_file());
        Self { folder: folder.to_owned(), script }
    }

    /// Builds, with the script's output on the terminal. A build that fails is told, and what was built before stays.
    pub(super) async fn run(
        &mut self,
        out: &mut impl Write,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let Some(script) = &self.script else {
            if files::components(&self.folder).is_ok_and(|components| components.is_empty()) {
                writeln!(
                    out,
                    "there is no `{SCRIPT}` script and no component in {}; `worker plugins new NAME --lang rust` makes a folder with both",
                    self.folder.display()
                )?;
            }
            return Ok(());
        };
        writeln!(out, "building: {}", script.display())?;
        let started = Instant::now();
        let mut command = Command::new(script);
        command.current_dir(&self.folder).kill_on_drop(true);
        // For Rust: a backtrace with lines. A build by hand is as the plugin's own profile says.
        command.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
        command.env("CARGO_PROFILE_RELEASE_STRIP", "none");
        let mut building = command.spawn().with_context(|| {
            format!("cannot run {0}; make it executable: chmod +x {0}", script.display())
        })?;
        let status = tokio::select! {
            status = building.wait() => status.context("waiting for the build")?,
            () = stop.cancelled() => return Ok(()),
        };
        let seconds = started.elapsed().as_secs_f32();
        if status.success() {
            writeln!(out, "built in {seconds:.1} s")?;
        } else {
            writeln!(
                out,
                "the build failed ({status}); mend it and save: what was built before stays in force"
            )?;
        }
        Ok(())
    }
}
