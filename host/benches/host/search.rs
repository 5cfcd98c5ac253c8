//! A search over a large catalogue: instances that start with the index, compared with reading the catalogue for each task.

use std::fmt::Write as _;
use std::time::Duration;

use queue::Task;
use serde_json::json;
use test_kit::record_figure;

use crate::rig::{self, Times};

const ROWS: usize = 100_000;
const SEARCHES: usize = 100;
/// Each takes as long as loading does.
const SEARCHES_WITHOUT: usize = 5;
/// First and last names together are [`ROWS`] different ones.
const FIRST_NAMES: usize = 400;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("search.wasm");
    std::fs::copy(rig::component("search"), &component).unwrap();
    std::fs::write(folder.path().join("creators.csv"), catalogue()).unwrap();
    let settings = "[grants]\nnet = []\ndata = { creators = \"creators.csv\" }\n";
    std::fs::write(component.with_extension("toml"), settings).unwrap();
    let runtime = rig::runtime(1);
    let run = |snapshots: bool, times: usize| {
        let loader = rig::loader(&rig::engine(1));
        let loader = if snapshots { loader } else { loader.without_snapshots() };
        let handler = runtime.block_on(rig::handler(loader, &component));
        let time = |number| runtime.block_on(rig::time(&handler, &search(number)));
        time(0);
        Times::of((0..times).map(time).collect::<Vec<Duration>>())
    };
    let with = run(true, SEARCHES);
    let without = run(false, SEARCHES_WITHOUT);
    let what = format!("a search with a typing mistake in {ROWS} rows: p50");
    record_figure(&what, with.p50() / 1e3, "ms");
    record_figure("p99", with.p99() / 1e3, "ms");
    record_figure("the catalogue read for each task, times that", without.p50() / with.p50(), "×");
    println!("a search with a typing mistake in {ROWS} rows, each in a fresh instance:");
    println!(
        "  index kept from `init`: p50 {:.2} ms, p99 {:.2} ms",
        with.p50() / 1e3,
        with.p99() / 1e3
    );
    println!(
        "  catalogue read for each task: p50 {:.0} ms, {:.0} ×",
        without.p50() / 1e3,
        without.p50() / with.p50()
    );
}

/// A name of the catalogue with two letters exchanged.
fn search(number: usize) -> Task {
    let mut letters: Vec<char> = name(number * 7_919 % ROWS).chars().collect();
    letters.swap(1, 2);
    rig::task("search_creator", &json!({"query": letters.into_iter().collect::<String>()}))
}

fn catalogue() -> String {
    let mut csv = "model_name,profile_link,aliases,item_count\n".to_owned();
    for row in 0..ROWS {
        let name = name(row);
        let _ = writeln!(csv, "{name},https://creators.example/{row},{name} {row},{}", row % 500);
    }
    csv
}

/// A fictional name, another for each row.
fn name(row: usize) -> String {
    format!("{} {}", word(row % FIRST_NAMES, 2), word(row / FIRST_NAMES, 3))
}

fn word(mut number: usize, syllables: usize) -> String {
    const SYLLABLES: [&str; 20] = [
        "lu", "ma", "ri", "ko", "ne", "sa", "to", "vi", "har", "bel", "dor", "fen", "gal", "jo",
        "ki", "mor", "pel", "qua", "ro", "zan",
    ];
    let mut word = String::new();
    for _ in 0..syllables {
        word.push_str(SYLLABLES[number % SYLLABLES.len()]);
        number /= SYLLABLES.len();
    }
    word[..1].to_uppercase() + &word[1..]
}
