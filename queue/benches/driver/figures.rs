//! The line that is printed.

use std::time::{Duration, Instant};

use serde_json::json;

/// Prints how many tasks were submitted per second.
pub(crate) fn print_rate(tasks: usize, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    println!("RESULT {}", json!({"per_s": tasks as f64 / seconds}));
}

/// Prints how long the requests took.
pub(crate) fn print_times(mut times: Vec<Duration>) {
    times.sort();
    let ms = |share: usize| {
        let time = times.get((times.len() - 1) * share / 100).copied();
        time.unwrap_or_default().as_secs_f64() * 1e3
    };
    println!("RESULT {}", json!({"p50_ms": ms(50), "p95_ms": ms(95), "p99_ms": ms(99)}));
}
