//! `cargo xtask languages`: the plugin that `worker plugins new` makes, built in every language.
//!
//! A component and its settings are put into `target/languages/LANGUAGE`, where `host/tests/it/languages.rs` finds them, and
//! prepared in a cache beside. They are built again only when the files of the new plugin are others. The tools come from `PyPI`
//! and npm, into `target/languages/tools`.

mod new_plugin;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::command::{capture, elapsed, run};
use crate::digest;
use crate::paths::target_dir;
use crate::toolchain::{Toolchain, clean_cargo};
use new_plugin::{BuildError, NewPlugin};

/// As `--lang` names them.
pub(crate) const LANGUAGES: [&str; 4] = ["rust", "python", "js", "c"];

/// Builds the plugin that `worker plugins new` makes in every language, and prepares it for the tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Languages;

impl Languages {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        run(clean_cargo(root).args(["build", "--locked", "--workspace", "--bins"]))?;
        let worker = target_dir(root).join("debug").join("worker");
        test_libraries(root)?;
        for built in build_all(root, &worker)? {
            let mut prepare = Command::new(&worker);
            prepare.args(["plugins", "precompile"]).arg(&built.folder);
            capture(prepare.arg("--plugin-cache").arg(folder(root).join("cache")))
                .with_context(|| format!("preparing the plugin in {}", built.language))?;
        }
        Ok(())
    }
}

/// A plugin that was built, now or before.
pub(crate) struct Built {
    pub(crate) language: &'static str,
    /// Where `NAME.wasm` and its settings are.
    pub(crate) folder: PathBuf,
    /// How long it took, with all tools in place; none if it was built before.
    pub(crate) time: Option<Duration>,
}

/// Builds in all languages whose tools are to be had, and names the others.
pub(crate) fn build_all(root: &Path, worker: &Path) -> anyhow::Result<Vec<Built>> {
    let mut all = Vec::new();
    for language in LANGUAGES {
        match build(root, worker, language) {
            Ok(built) => {
                let time = built.time.map_or("unchanged".to_owned(), elapsed);
                println!("  {language}: {time}");
                all.push(built);
            }
            Err(BuildError::Missing(what)) => println!("  {language}: SKIPPED: {what}"),
            Err(BuildError::Failed(error)) => {
                return Err(error.context(format!("building the new plugin in {language}")));
            }
        }
    }
    Ok(all)
}

/// Where everything of this command lies.
pub(crate) fn folder(root: &Path) -> PathBuf {
    target_dir(root).join("languages")
}

fn build(root: &Path, worker: &Path, language: &'static str) -> Result<Built, BuildError> {
    let built = folder(root).join(language);
    let made = NewPlugin::make(worker, language)?;
    let stamp = built.join("digest");
    let digest = digest::hex(&made.contents()?);
    if fs::read_to_string(&stamp).is_ok_and(|built| built == digest) {
        return Ok(Built { language, folder: built, time: None });
    }
    // What is there may be of other sources, and would be tested if this failed.
    if built.is_dir() {
        fs::remove_dir_all(&built).context("removing an old build")?;
    }
    let environment = environment(root, language)?;
    if language != "rust" {
        made.run_script(&["test"], &environment)?;
    }
    // The first build fetches the tools. What is measured is the next one, after a change.
    made.run_script(&[], &environment)?;
    made.touch_sources()?;
    let started = Instant::now();
    made.run_script(&[], &environment)?;
    let time = started.elapsed();
    made.copy_result(&built)?;
    fs::write(&stamp, digest).context("noting what was built")?;
    Ok(Built { language, folder: built, time: Some(time) })
}

/// What a build needs in its environment, with tools and crates that are kept from one build to the next.
pub(crate) fn environment(
    root: &Path,
    language: &str,
) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let tools = folder(root).join("tools").join(language);
    if language != "rust" {
        return Ok(vec![("PLUGIN_TOOLS", tools.into())]);
    }
    let mut environment = Toolchain::find(root)?.environment()?;
    environment.push(("CARGO_TARGET_DIR", tools.into()));
    Ok(environment)
}

/// The tests of the libraries that are not in Rust, which run without a worker.
fn test_libraries(root: &Path) -> anyhow::Result<()> {
    let sdk = root.join("plugins").join("sdk");
    let mut python = Command::new("python3");
    python.args(["-B", "-m", "unittest", "discover", "-q", "-s", "tests", "-p", "*_test.py"]);
    let mut node = Command::new("node");
    node.args(["--test", "tests/view.test.js"]);
    let program = tempfile::tempdir().context("making a folder")?;
    let program = program.path().join("view_test");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-overlength-strings", "-Ic"]);
    cc.args(["tests/view_test.c", "c/freefans_json.c", "c/freefans_view.c", "c/freefans_plugin.c"]);
    cc.args(["-lm", "-o"]).arg(&program);
    for command in [&mut python, &mut node, &mut cc] {
        capture(command.current_dir(&sdk))?;
    }
    capture(&mut Command::new(program)).map(drop)
}
