//! `cargo xtask bench languages`: what the same plugin costs in each language, for docs/plugins/languages.md.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::{document, environment, programs};
use crate::command::capture;
use crate::languages::{self, Built};

/// Where the table stands.
const PAGE: &str = "docs/plugins/languages.md";
/// The words around the figures that `worker plugins run --repeat` prints, in their order.
const WORDS: [&str; 6] =
    ["loaded in ", "; first run ", "; then median ", ", 99 % ", ", of ", "; at most "];

/// Measures the plugin that `worker plugins new` makes in every language, and writes the table in docs/plugins/languages.md.
#[derive(Debug, clap::Args)]
pub(crate) struct Languages {
    /// Measure with this worker instead of building one.
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// Tasks of each language.
    #[arg(long, default_value_t = 1_000)]
    n: u16,
}

impl Languages {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let worker = self.worker.clone().map_or_else(|| programs::worker(root), Ok)?;
        // `plugins new` is the same in both, and another worker may be an older one.
        let maker = programs::development_worker(root)?;
        let folder = languages::folder(root);
        for language in languages::LANGUAGES {
            // A build that is taken over has no time.
            let _ = std::fs::remove_file(folder.join(language).join("digest"));
        }
        let mut table = String::from(
            "| language | component | build | load, new | load, known | memory | a task | 99 % |\n|---|---|---|---|---|---|---|---|\n",
        );
        for built in languages::build_all(root, &maker)? {
            let row = self.row(&worker, &built)?;
            println!("{row}");
            writeln!(table, "{row}")?;
        }
        let described = environment::of_machine(root);
        let text = format!("{table}\n{}.\n", environment::in_one_line(&described));
        document::replace(&root.join(PAGE), "languages", &text)
    }

    fn row(&self, worker: &Path, built: &Built) -> anyhow::Result<String> {
        let component = built.folder.join("tide.wasm");
        let bytes = std::fs::metadata(&component).context("reading a component")?.len();
        let cache = tempfile::tempdir().context("making a folder for the cache")?;
        let run = || -> anyhow::Result<Figures> {
            let mut run = Command::new(worker);
            run.args(["plugins", "run"]).arg(&component).args(["--task-type", "tide"]);
            run.args(["--params", "{\"text\":\"tea coffee\"}", "--repeat", &self.n.to_string()]);
            run.arg("--plugin-cache").arg(cache.path()).env("RUST_LOG", "off");
            Figures::read(&capture(&mut run)?)
        };
        let new = run()?;
        let known = run()?;
        let build = built.time.context("it was built before")?;
        Ok(format!(
            "| {} | {} KiB | {:.1} s | {} | {} | {} | {} | {} |",
            built.language,
            bytes.div_ceil(1 << 10),
            build.as_secs_f32(),
            new.load,
            known.load,
            known.memory,
            known.median,
            known.slow,
        ))
    }
}

/// What `worker plugins run --repeat` says, as it says it.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    load: String,
    median: String,
    slow: String,
    memory: String,
}

impl Figures {
    fn read(said: &str) -> anyhow::Result<Self> {
        let line = said.lines().find(|line| line.starts_with(WORDS[0]));
        let mut rest = line.context("the worker printed no times")?;
        let mut parts = Vec::new();
        for word in WORDS {
            let (before, behind) = rest
                .split_once(word)
                .with_context(|| format!("the worker's times have no `{word}`: {said}"))?;
            parts.push(before.to_owned());
            rest = behind;
        }
        let memory = rest.strip_suffix(" of memory").unwrap_or(rest).to_owned();
        let [_, load, _, median, slow, _] = parts.try_into().unwrap_or_default();
        Ok(Self { load, median, slow, memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_read_from_what_the_worker_prints() {
        let said = "{}\nloaded in 4.76s; first run 83.84ms; then median 84.90ms, 99 % 90.14ms, of 19 runs; at most 13.2 MiB of memory\n";
        let expected = Figures {
            load: "4.76s".to_owned(),
            median: "84.90ms".to_owned(),
            slow: "90.14ms".to_owned(),
            memory: "13.2 MiB".to_owned(),
        };
        assert_eq!(Figures::read(said).unwrap(), expected);
        assert!(Figures::read("{}").is_err());
    }
}
