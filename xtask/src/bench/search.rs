//! `cargo xtask bench search-quality`: how well and how fast the search plugin finds names, natively and in the sandbox.
//!
//! The bench in `plugins/search/benches` makes the catalogue and measures quality; the worker measures what a call
//! costs in a fresh instance. Both tables go into `docs/search.md`.

use std::path::Path;

use anyhow::Context;

use super::document;
use crate::build_plugins::BuildPlugins;
use crate::command::{capture, run};
use crate::paths::target_dir;
use crate::toolchain::clean_cargo;

/// The bench's file.
const NAME: &str = "search-quality";
const DOCUMENT: &str = "docs/search.md";
/// Calls of each query, each in a fresh instance.
const CALLS: &str = "5000";
/// The plugin's settings: nothing but the catalogue.
const SETTINGS: &str = "[grants]\nnet = []\ndata = { creators = \"creators.csv\" }\n";

/// Measures, prints and writes the tables.
pub(super) fn measure(root: &Path) -> anyhow::Result<()> {
    let folder = target_dir(root).join("search-bench");
    std::fs::create_dir_all(&folder).context("making a folder for the catalogue")?;
    let csv = folder.join("creators.csv");
    let quality = folder.join("quality.md");
    let queries = folder.join("queries.tsv");
    let mut cargo = clean_cargo(root);
    cargo.args(["bench", "--quiet", "--locked", "-p", "search", "--bench", NAME, "--"]);
    cargo.arg("--csv").arg(&csv).arg("--table").arg(&quality).arg("--queries").arg(&queries);
    run(&mut cargo)?;

    BuildPlugins::of("search", &folder).run(root)?;
    std::fs::write(folder.join("search.toml"), SETTINGS).context("writing the settings")?;
    super::programs::worker(root)?;
    let quality = std::fs::read_to_string(quality).context("reading the quality table")?;
    let queries = std::fs::read_to_string(queries).context("reading the queries")?;
    let mut text = format!("{quality}\n{}", heading(&csv)?);
    for line in queries.lines() {
        let (what, query) = line.split_once('\t').context("a line has a label and a query")?;
        let row = format!("| {what} | {} |\n", in_sandbox(root, &folder, query)?.join(" | "));
        print!("{row}");
        text.push_str(&row);
    }
    document::replace(&root.join(DOCUMENT), NAME, &text)?;
    println!("written into {DOCUMENT}");
    Ok(())
}

fn heading(csv: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::metadata(csv).context("looking at the catalogue")?.len();
    Ok(format!(
        "In the sandbox, a fresh instance for each of {CALLS} calls, the same catalogue ({:.1} MB):\n\n\
         | the query | loaded | first call | p50 | p99 | peak memory |\n|---|---|---|---|---|---|\n",
        f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6
    ))
}

/// Loading, first call, median, 99 % and memory, as the worker prints them.
fn in_sandbox(root: &Path, folder: &Path, query: &str) -> anyhow::Result<[String; 5]> {
    let mut worker = std::process::Command::new(target_dir(root).join("release/worker"));
    let params = serde_json::json!({ "query": query }).to_string();
    worker.args(["plugins", "run"]).arg(folder.join("search.wasm"));
    worker.args(["--task-type", "search_creator", "--params", &params, "--repeat", CALLS]);
    // `loaded` includes the compiler.
    let said = capture(worker.env("RUST_LOG", "off").env("PLUGIN_CACHE", "none"))?;
    let times = said.lines().last().and_then(read_times);
    times.with_context(|| format!("the worker's last line tells no times: {said}"))
}

/// `loaded in A; first run B; then median C, 99 % D, of N runs; at most E of memory`.
fn read_times(line: &str) -> Option<[String; 5]> {
    let mut rest = line;
    let mut between = |before: &str, after: &str| {
        let (found, left) = rest.split_once(before)?.1.split_once(after)?;
        rest = left;
        Some(found.to_owned())
    };
    Some([
        between("loaded in ", ";")?,
        between("first run ", ";")?,
        between("median ", ",")?,
        between("99 % ", ",")?,
        between("at most ", " of memory")?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_line_is_read() {
        let line = "loaded in 1.02s; first run 2.50ms; then median 310.12µs, 99 % 1.20ms, of 4999 runs; at most 41.2 MiB of memory";
        let times = read_times(line).unwrap();
        assert_eq!(times, ["1.02s", "2.50ms", "310.12µs", "1.20ms", "41.2 MiB"]);
        assert_eq!(read_times("error: no"), None);
    }
}
