//! The figures of a bench, for a program that reads them.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// Names the file for [`write_figures`].
const FILE: &str = "BENCH_JSON";

static FIGURES: Mutex<String> = Mutex::new(String::new());

/// Keeps a figure for [`write_figures`].
pub fn record_figure(what: &str, value: f64, unit: &str) {
    let mut figures = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    // Rust quotes plain text as JSON does.
    writeln!(figures, "{{\"what\":{what:?},\"value\":{value},\"unit\":{unit:?}}}").unwrap();
}

/// Writes all figures into the file that `BENCH_JSON` names, one JSON object in each line; without that variable, nothing.
///
/// # Panics
///
/// When the file cannot be written.
pub fn write_figures() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let figures = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::write(file, &*figures).unwrap();
}
