//! The producer's side of `cargo xtask bench` and `cargo xtask guard`: submits tasks, waits for results, or does both ends of
//! the queue in one process. It prints one line, `RESULT` and its figures as JSON.
//!
//! ```text
//! driver submit single|bulk N     submits N tasks, one call after the other, or 100 in each call
//! driver wait N                   submits a task and waits for its result, N times
//! driver end N                    claims and ends N waiting tasks, 100 in each call
//! driver floor work               pops tasks from a bare list and stores their results, for ever
//! driver floor submit single|bulk N
//! driver floor wait N
//! driver count submit|drain N     the same work on one thread, for counting instructions
//! ```
//!
//! Redis and the task types come from the environment: `BENCH_URL`, `BENCH_TYPES` (one or several with commas, in turn),
//! `BENCH_PARTITIONS` (of each type; 1) and `BENCH_USERS` (whose tasks they are, in turn; 50).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints figures and stops at the first surprise"
)]

mod count;
mod figures;
mod floor;
mod ours;

/// What a task of the peers carries too.
const PARAMS: &str = r#"{"query":"alice","limit":10,"opts":{"fuzzy":true,"fields":["name","aliases"]},"id":"0f9d2c1e-7b1a-4c55"}"#;
/// Tasks in one call.
const BATCH: usize = 1_000;
/// Requests that are not counted: the connections of both sides begin with them.
const WARM_UP: usize = 20;

fn main() {
    // Cargo adds its own flags.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => println!("started by `cargo xtask bench` and `cargo xtask guard`"),
        ["submit", mode, tasks] => ours::submit(is_bulk(mode), number(tasks)),
        ["wait", times] => ours::wait(number(times)),
        ["end", tasks] => ours::end(number(tasks)),
        ["floor", "work"] => floor::work(),
        ["floor", "submit", mode, tasks] => floor::submit(is_bulk(mode), number(tasks)),
        ["floor", "wait", times] => floor::wait(number(times)),
        ["count", "submit", tasks] => count::submit(number(tasks)),
        ["count", "drain", tasks] => count::drain(number(tasks)),
        other => panic!("{other:?} is not among the commands of this program"),
    }
}

fn is_bulk(mode: &str) -> bool {
    match mode {
        "bulk" => true,
        "single" => false,
        other => panic!("there is no mode `{other}`"),
    }
}

fn number(word: &str) -> usize {
    word.parse().unwrap()
}

/// A number from the environment.
fn setting_or(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| number(&value))
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("`{name}` is not set"))
}
