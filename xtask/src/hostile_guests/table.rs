//! The results of the guests, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use test_kit::Ending;

/// Leases are renewed every 2 s. After two intervals one renewal was missed.
const HEARTBEATS_AT_MOST_APART: Duration = Duration::from_secs(4);
/// How much more the worker may take after a guest than before it.
const GROWTH_AT_MOST_MIB: f64 = 32.0;
const DOCUMENT: &str = "docs/security.md";
const BEGIN: &str = "<!-- begin: cargo xtask hostile-guests -->\n";
const END: &str = "<!-- end: cargo xtask hostile-guests -->\n";

/// The measurements of one guest.
#[derive(Debug)]
pub(super) struct Row {
    name: String,
    what: String,
    /// None when it may end in any way.
    must_end: Option<String>,
    endings: BTreeMap<String, u32>,
    /// Whether every task of the other plugin was answered.
    pub(super) next_well: bool,
    /// The longest time between two heartbeats.
    pub(super) apart: Option<Duration>,
    before_mib: f64,
    pub(super) most_mib: f64,
    pub(super) after_mib: f64,
}

impl Row {
    pub(super) fn new(name: String, what: String, ending: Option<Ending>, before_mib: f64) -> Self {
        let must_end = ending.map(|ending| match ending {
            Ending::Refused(code) => format!("refused: {code}"),
            Ending::Fails(code) => format!("fails: {code}"),
            Ending::Answers(limit) => format!("answers: {limit}"),
        });
        let endings = BTreeMap::new();
        Self {
            name,
            what,
            must_end,
            endings,
            next_well: true,
            apart: None,
            before_mib,
            most_mib: before_mib,
            after_mib: before_mib,
        }
    }

    pub(super) fn ended(&mut self, ending: String) {
        *self.endings.entry(ending).or_default() += 1;
    }

    fn endings(&self) -> String {
        let counted = self.endings.iter().map(|(ending, times)| format!("{ending} × {times}"));
        counted.collect::<Vec<_>>().join(", ")
    }

    fn apart(&self) -> String {
        self.apart
            .map_or_else(|| "none seen".to_owned(), |apart| format!("{:.1} s", apart.as_secs_f64()))
    }

    fn rss(&self) -> String {
        format!("{:.0}, {:.0}, {:.0}", self.before_mib, self.most_mib, self.after_mib)
    }

    fn next(&self) -> &'static str {
        if self.next_well { "answered" } else { "not answered" }
    }

    /// A line for the terminal.
    pub(super) fn in_brief(&self) -> String {
        let name = &self.name;
        let endings = self.endings();
        let next = self.next();
        format!(
            "  {name}: {endings}; next task {next}; heartbeats at most {} apart; RSS {} MiB",
            self.apart(),
            self.rss()
        )
    }

    /// The broken promises.
    pub(super) fn broken(&self) -> Vec<String> {
        let name = &self.name;
        let mut broken = Vec::new();
        if let Some(must) = &self.must_end {
            for ending in self.endings.keys().filter(|ending| *ending != must) {
                broken.push(format!("{name} ended with `{ending}` instead of `{must}`"));
            }
        }
        if !self.next_well {
            broken.push(format!("{name}: a task of another plugin was not answered"));
        }
        if self.apart.is_none_or(|apart| apart > HEARTBEATS_AT_MOST_APART) {
            broken.push(format!("{name}: heartbeats were {} apart", self.apart()));
        }
        if self.before_mib + GROWTH_AT_MOST_MIB < self.after_mib {
            broken.push(format!("{name}: RSS {} MiB", self.rss()));
        }
        broken
    }
}

/// Puts the table into the document, between its marks.
pub(super) fn write(root: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let path = root.join(DOCUMENT);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {DOCUMENT}"))?;
    let replaced = replace(&text, &table(rows))
        .with_context(|| format!("{DOCUMENT} has no place for the table: `{}`", BEGIN.trim()))?;
    std::fs::write(&path, replaced).with_context(|| format!("writing {DOCUMENT}"))
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| guest | ended, and how often | next task of another plugin | heartbeats at most apart | RSS before, most, after (MiB) |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let what = row.what.trim_end_matches('.');
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {what} | {} | {} | {} | {} |",
            row.endings(),
            row.next(),
            row.apart(),
            row.rss()
        );
    }
    table
}

fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let ending = Some(Ending::Fails("trap".to_owned()));
        let mut row = Row::new("trap".to_owned(), "Traps.".to_owned(), ending, 50.0);
        row.apart = Some(Duration::from_secs(2));
        row.ended("fails: trap".to_owned());
        row
    }

    #[test]
    fn every_broken_promise_is_told() {
        assert_eq!(row().broken(), Vec::<String>::new());
        let mut bad = row();
        bad.ended("fails: host-error".to_owned());
        (bad.next_well, bad.apart, bad.after_mib) = (false, None, 90.0);
        assert_eq!(bad.broken().len(), 4, "{:?}", bad.broken());
        let mut late = row();
        late.apart = Some(Duration::from_secs(5));
        assert_eq!(late.broken(), ["trap: heartbeats were 5.0 s apart"]);
    }

    #[test]
    fn the_table_takes_the_place_of_the_one_before() {
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replace(&text, &table(&[row()])).unwrap();
        assert!(
            new.contains("| Traps | fails: trap × 1 | answered | 2.0 s | 50, 50, 50 |\n"),
            "{new}"
        );
        assert!(new.starts_with("before\n") && new.ends_with("after\n") && !new.contains("old"));
        assert_eq!(replace("no marks", ""), None);
    }
}
