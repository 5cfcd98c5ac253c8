//! `worker plugins test`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use queue::TaskType;

use super::folders;
use crate::cli::flags::CacheFlag;
use crate::offline::{Inspection, OfflineHost};
use crate::replay::case::{Case, Expect};
use crate::replay::world::World;
use crate::version::PluginVersion;

/// The folder with the cases, in that of the plugin.
const CASES: &str = "tests";

/// Runs a plugin's cases: the tasks in `FOLDER/tests/*.json`, each with the answers of the world outside, through the code that a
/// worker uses, without network and Redis.
#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// The plugin's folder, with its component and settings.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Only cases whose file name has this in it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Writes what the plugin answers into the cases, as what is expected from now on.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Test {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let cases = cases(&self.folder, &self.only)?;
        let world = Arc::new(World::default());
        let host = folders::offline_host(&self.cache)?.with_world(Arc::clone(&world));
        let components = folders::components(&self.folder)?;
        anyhow::ensure!(
            !components.is_empty(),
            "there is no component in {}; build one first",
            self.folder.display()
        );
        let mut failed = 0;
        for path in &cases {
            let case = Case::read(path)?;
            let mut tested = Tested { host: &host, world: &world, path, case };
            let differences = tested.run(&components, self.update).await?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match differences.as_slice() {
                [] => writeln!(out, "ok      {name}")?,
                differences => {
                    failed += 1;
                    writeln!(out, "FAILED  {name}")?;
                    for line in differences.iter().flat_map(|one| one.lines()) {
                        writeln!(out, "    {line}")?;
                    }
                }
            }
        }
        writeln!(out, "{} passed, {failed} failed", cases.len() - failed)?;
        Ok(failed == 0)
    }
}

struct Tested<'a> {
    host: &'a OfflineHost,
    world: &'a World,
    path: &'a Path,
    case: Case,
}

impl Tested<'_> {
    /// Runs it. Returns what is not as expected.
    async fn run(&mut self, components: &[PathBuf], update: bool) -> anyhow::Result<Vec<String>> {
        let version = self.version(components).await?;
        self.world.replay(self.case.clone());
        let reports = self.host.run(&version, &self.case.task(), 1).await?;
        let report = reports.first().context("the task did not run")?;
        let seen = Expect::of(&report.result, report.log.as_deref());
        let unanswered = self.world.unanswered().into_iter().map(|request| {
            format!("http: the case has no answer to {request}; add it, or record the case anew")
        });
        let mut problems: Vec<String> = unanswered.collect();
        if update {
            // Lines of the log are compared only where somebody wants that.
            let log = self.case.expect.as_ref().and_then(|expect| expect.log.as_ref());
            let log = log.and(seen.log.clone());
            self.case.expect = Some(Expect { log, ..seen });
            self.case.write(self.path)?;
        } else {
            match &self.case.expect {
                Some(expected) => problems.extend(expected.differences(&seen)),
                None => problems.push(
                    "the case says nothing of what it expects; `--update` writes what the plugin answers now"
                        .to_owned(),
                ),
            }
        }
        Ok(problems)
    }

    /// The plugin that handles the case's task, with the case's settings.
    async fn version(&self, components: &[PathBuf]) -> anyhow::Result<Arc<PluginVersion>> {
        let wanted = &self.case.task.task_type;
        let mut handled = Vec::new();
        for component in components {
            let inspection = self.host.inspect_for_case(component, &self.case, &[]).await;
            let Inspection { loaded, .. } = inspection.map_err(anyhow::Error::msg)?;
            let version = loaded?;
            if version.task_types().any(|known| known == wanted) {
                return Ok(version);
            }
            handled.extend(version.task_types().map(TaskType::to_string));
        }
        anyhow::bail!(
            "{}: no plugin here handles `{wanted}`; there are {}",
            self.path.display(),
            handled.join(", ")
        )
    }
}

/// The files of the cases, sorted by name.
fn cases(folder: &Path, only: &str) -> anyhow::Result<Vec<PathBuf>> {
    let tests = folder.join(CASES);
    let found = fs::read_dir(&tests).with_context(|| {
        format!(
            "there are no cases in {}; make one with `worker plugins run FILE --params … --record {}/NAME.json`",
            tests.display(),
            tests.display()
        )
    })?;
    let mut cases = Vec::new();
    for entry in found {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|ending| ending == "json") && name.contains(only) {
            cases.push(path);
        }
    }
    cases.sort();
    anyhow::ensure!(!cases.is_empty(), "there is no case in {}", tests.display());
    Ok(cases)
}
