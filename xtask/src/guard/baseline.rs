//! The counts in the repository, and how far today's may be from them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value};

use super::counts::{Count, Counts};

/// Where the baseline lies.
pub(super) const FILE: &str = "xtask/guard.json";

/// How much a count may exceed the baseline.
struct Margin {
    percent: f64,
    /// For counts near zero, where a percentage means nothing.
    least: f64,
    /// For large counts: one more for each task is always too much.
    most: f64,
}

impl Margin {
    fn of(&self, baseline: f64) -> f64 {
        (baseline * self.percent / 100.0).clamp(self.least, self.most)
    }
}

impl Count {
    /// How many tasks share a call depends on timing, and a call has a cost of its own. One more command for each task is more
    /// than this, and so is one more look at the params.
    fn margin(self) -> Margin {
        match self {
            Self::Commands => Margin { percent: 15.0, least: 0.05, most: 0.6 },
            Self::RoundTrips => Margin { percent: 100.0, least: 0.1, most: 0.9 },
            Self::Scripts => Margin { percent: 100.0, least: 0.1, most: 0.5 },
            Self::Instructions => Margin { percent: 5.0, least: 0.0, most: f64::INFINITY },
        }
    }
}

/// Counts to compare with.
pub(super) struct Baseline(Counts);

/// What a comparison says.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) table: String,
    /// What costs more than it may.
    pub(super) worse: Vec<String>,
    /// What costs so much less that the baseline should follow.
    pub(super) better: Vec<String>,
}

impl Baseline {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(root.join(FILE))
            .with_context(|| format!("reading {FILE}; `--write-baseline` makes it"))?;
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("parsing {FILE}"))?;
        let mut counts = Counts::new();
        for (scenario, figures) in value.as_object().into_iter().flatten() {
            let figures = figures.as_object().into_iter().flatten();
            let figures = figures.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
            counts.insert(scenario.clone(), figures.collect());
        }
        Ok(Self(counts))
    }

    pub(super) fn write(root: &Path, counts: &Counts) -> anyhow::Result<()> {
        let mut scenarios = Map::new();
        for (scenario, figures) in counts {
            let figures = figures.iter().map(|(name, count)| (name.clone(), short(*count)));
            scenarios.insert(scenario.clone(), Value::Object(figures.collect()));
        }
        let text = serde_json::to_string_pretty(&Value::Object(scenarios))? + "\n";
        std::fs::write(root.join(FILE), text).with_context(|| format!("writing {FILE}"))
    }

    pub(super) fn compare(&self, counts: &Counts) -> Verdict {
        let mut verdict = Verdict::default();
        for (scenario, figures) in counts {
            for (name, measured) in figures {
                let Some(count) = Count::named(name) else { continue };
                let known = self.0.get(scenario).and_then(|known| known.get(name)).copied();
                let Some(baseline) = known else {
                    verdict.worse.push(format!("`{scenario}` has no baseline for its {name}"));
                    continue;
                };
                let allowed = count.margin().of(baseline);
                let said = format!(
                    "`{scenario}` takes {} {name} per task; the baseline is {}, the margin {}",
                    short(*measured),
                    short(baseline),
                    short(allowed)
                );
                let mark = if *measured > baseline + allowed {
                    verdict.worse.push(said);
                    "more"
                } else if *measured < baseline - allowed {
                    verdict.better.push(format!(
                        "{said}: `cargo xtask guard --write-baseline` keeps what was won"
                    ));
                    "less"
                } else {
                    "ok"
                };
                // Writing to a String cannot fail.
                let _ = writeln!(
                    verdict.table,
                    "{scenario:<44} {name:<13} {:>10} {:>10}  {mark}",
                    short(*measured).to_string(),
                    short(baseline).to_string()
                );
            }
        }
        verdict
    }
}

/// As many digits as mean something: three decimals, or none for instructions.
fn short(count: f64) -> Value {
    let digits = if count >= 1_000.0 { 1.0 } else { 1_000.0 };
    Value::from((count * digits).round() / digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(commands: f64, instructions: f64) -> Counts {
        let figures = [("commands", commands), ("instructions", instructions)];
        let figures = figures.map(|(name, count)| (name.to_owned(), count));
        Counts::from([("submit".to_owned(), figures.into())])
    }

    #[track_caller]
    fn check(measured: &Counts, worse: &[&str], better: &[&str]) {
        let verdict = Baseline(counts(9.0, 10_000.0)).compare(measured);
        for (said, expected) in [(&verdict.worse, worse), (&verdict.better, better)] {
            assert_eq!(said.len(), expected.len(), "{said:?}");
            for (said, expected) in said.iter().zip(expected) {
                assert!(said.contains(expected), "{said}");
            }
        }
    }

    #[test]
    fn one_more_command_is_too_much() {
        check(&counts(9.0, 10_000.0), &[], &[]);
        check(&counts(9.3, 10_200.0), &[], &[]);
        let said = "takes 10.0 commands per task; the baseline is 9.0, the margin 0.6";
        check(&counts(10.0, 10_000.0), &[said], &[]);
        check(&counts(9.0, 10_600.0), &["takes 10600.0 instructions"], &[]);
    }

    #[test]
    fn what_was_won_is_said() {
        check(&counts(8.0, 10_000.0), &[], &["takes 8.0 commands"]);
    }

    #[test]
    fn a_new_scenario_needs_a_baseline() {
        let mut measured = counts(9.0, 10_000.0);
        measured.insert("wait".to_owned(), [("commands".to_owned(), 1.0)].into());
        check(&measured, &["`wait` has no baseline for its commands"], &[]);
    }

    #[test]
    fn a_baseline_is_written_and_read() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("xtask")).unwrap();
        Baseline::write(root.path(), &counts(9.123_456, 10_000.4)).unwrap();
        assert_eq!(Baseline::read(root.path()).unwrap().0, counts(9.123, 10_000.0));
    }
}
