//! Metrics and their rows in docs/operations.md, declared once.
//!
//! [`metrics!`](crate::metrics!) makes a constant with the name, for the code that records it, and a row of `ALL`. The constant
//! is private, so the compiler warns of a metric that nothing records.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// A longer name from outside is no label.
const NAME_CHARS: usize = 64;

/// How a metric's value behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only rises, and begins at 0 with the process.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Numbers of observations by size.
    Histogram,
}

impl Kind {
    /// As Prometheus' text format writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric, as its row describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How its value behaves.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, as one or more sentences.
    pub meaning: &'static str,
}

impl Metric {
    /// A row in Markdown. `served_by` is the program that serves it.
    pub fn row(&self, served_by: &str) -> String {
        let labels: Vec<_> = self.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        let Self { name, kind, meaning, .. } = self;
        let kind = kind.as_str();
        let meaning = meaning.replace('|', "\\|");
        format!("| `{name}` | {kind} | {labels} | {served_by} | {meaning} |")
    }
}

/// Declares metrics: a private constant for each name, and `ALL` with the rows.
#[macro_export]
macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:ident),*] $meaning:literal;)*) => {
        $(const $constant: &str = $name;)*

        /// The rows of these metrics.
        pub const ALL: &[$crate::metric::Metric] = &[$($crate::metric::Metric {
            name: $name,
            kind: $crate::metric::Kind::$kind,
            labels: &[$(stringify!($label)),*],
            meaning: $meaning,
        }),*];
    };
}

/// Tells the collector what the metrics mean. Once per process.
pub fn describe(metrics: &[Metric]) {
    for Metric { name, kind, meaning, .. } in metrics {
        match kind {
            Kind::Counter => describe_counter!(*name, *meaning),
            Kind::Gauge => describe_gauge!(*name, *meaning),
            Kind::Histogram => describe_histogram!(*name, *meaning),
        }
    }
}

/// Names from outside that may be labels. Each new one costs memory, here and in Prometheus, for as long as the process runs.
#[derive(Debug)]
pub struct BoundedNames {
    at_most: usize,
    admitted: Mutex<BTreeSet<String>>,
}

impl BoundedNames {
    /// Admits the first `at_most` names.
    pub const fn new(at_most: usize) -> Self {
        Self { at_most, admitted: Mutex::new(BTreeSet::new()) }
    }

    /// Whether `name` may be a label.
    pub fn admits(&self, name: &str) -> bool {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.contains(name) {
            return true;
        }
        let is_short = name.chars().nth(NAME_CHARS).is_none();
        let is_new = is_short && admitted.len() < self.at_most;
        if is_new {
            admitted.insert(name.to_owned());
            if admitted.len() == self.at_most {
                let at_most = self.at_most;
                tracing::warn!(at_most, "no more names are taken as labels of metrics");
            }
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        unreachable_pub,
        reason = "what the macro makes is for the public modules of programs"
    )]
    mod declared {
        crate::metrics! {
            SEEN: Counter "freefans_seen_total" [by, what] "What was seen | not.";
        }

        #[test]
        fn a_row_has_all_that_was_declared() {
            assert_eq!(ALL[0].name, SEEN);
            let row = "| `freefans_seen_total` | counter | `by`, `what` | worker | What was seen \\| not. |";
            assert_eq!(ALL[0].row("worker"), row);
        }
    }

    #[test]
    fn only_so_many_names_become_labels() {
        let names = BoundedNames::new(2);
        assert!(names.admits("a") && names.admits("b"));
        assert!(!names.admits("c"), "the third is too many");
        assert!(names.admits("a"), "an admitted one stays");
        let names = BoundedNames::new(2);
        assert!(!names.admits(&"é".repeat(65)));
        assert!(names.admits(&"é".repeat(64)));
    }
}
