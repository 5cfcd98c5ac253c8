//! The cost of the host: a task in a fresh instance, a search, the epoch checks, loading, memory, and swaps under load;
//! each beside raw wasmtime or another setting in the same run. Run it with `cargo xtask bench host`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "a bench prints figures and stops at the first surprise"
)]

mod compute;
mod dispatch;
mod loading;
mod memory;
mod raw;
mod rig;
mod search;
mod swaps;

/// Each part by its name; `cargo bench -p host --bench host -- NAME…` runs only those.
const PARTS: &[(&str, fn())] = &[
    // First, while nothing else has made the process grow.
    ("memory", memory::measure),
    ("dispatch", dispatch::measure),
    ("settings", dispatch::settings),
    ("search", search::measure),
    ("compute", compute::measure),
    ("loading", loading::measure),
    ("swaps", swaps::measure),
];

fn main() {
    // Cargo adds its own flags.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure();
        }
    }
    test_kit::write_figures();
}
