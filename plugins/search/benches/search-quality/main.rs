//! How often the right creator comes first, and how fast, beside a plain fuzzy search over all rows. Names are made up
//! with a fixed seed. Run it with `cargo xtask bench search-quality`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::string_slice,
    reason = "a bench prints figures and stops at the first surprise"
)]

mod baseline;
mod mistakes;
mod names;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use search::catalogue::Row;
use search::index::Index;

use crate::baseline::Baseline;
use crate::mistakes::VARIANTS;
use crate::names::Dice;

const SEED: u64 = 20;
const CREATORS: usize = 100_000;
/// Names that are looked for in each row of the table.
const ASKED: usize = 500;
/// Places of an answer that are looked at.
const PLACES: usize = 10;

fn main() {
    let argument = |name: &str| {
        let mut rest = std::env::args().skip_while(|argument| argument != name).skip(1);
        rest.next()
    };
    let rows = names::catalogue(&mut Dice(SEED), CREATORS);
    if let Some(path) = argument("--csv") {
        std::fs::write(path, names::csv(&rows)).unwrap();
    }
    if let Some(path) = argument("--queries") {
        std::fs::write(path, queries(&rows)).unwrap();
    }
    let began = Instant::now();
    let index = Index::new(&rows);
    let built = began.elapsed();
    let baseline = (argument("--without-baseline").is_none()).then(|| Baseline::new(&rows));
    let mut text = format!(
        "{} creators with {} names, index built in {built:.0?}; {ASKED} queries a row; on this machine, outside the sandbox\n\n",
        rows.len(),
        index.names()
    );
    text += "| the name is typed | recall@1 | recall@5 | MRR | p50 | p99 | plain: recall@1 | recall@5 | MRR | p50 |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|\n";
    println!("{text}");
    for (number, (what, variant)) in (0_u64..).zip(VARIANTS) {
        let mut dice = Dice(SEED + 1 + number);
        let asked = asked(&mut dice, &rows, *variant);
        let ours = measure(
            &asked,
            |query| {
                let hits = index.search(query, PLACES);
                hits.iter().map(|hit| hit.creator.url.to_owned()).collect()
            },
            &rows,
        );
        let plain = baseline.as_ref().map(|baseline| {
            measure(
                &asked,
                |query| {
                    let found = baseline.search(query, PLACES);
                    found.into_iter().map(|number| rows[number].url.clone()).collect()
                },
                &rows,
            )
        });
        let mut line = format!("| {what} | {} |", ours.columns(true));
        if let Some(plain) = plain {
            write!(line, " {} |", plain.columns(false)).unwrap();
        }
        println!("{line}");
        text += &line;
        text.push('\n');
    }
    if let Some(path) = argument("--table") {
        std::fs::write(path, text).unwrap();
    }
}

/// One query of each kind, for the sandbox: what it is called and what is typed.
fn queries(rows: &[Row]) -> String {
    let mut text = String::new();
    for (number, (what, variant)) in (0_u64..).zip(VARIANTS) {
        let (_, query) = &asked(&mut Dice(SEED + 1 + number), rows, *variant)[0];
        writeln!(text, "{what}\t{query}").unwrap();
    }
    let (word, _) = rows.iter().find_map(|row| row.name.split_once(' ')).unwrap();
    writeln!(text, "a first name alone\t{word}").unwrap();
    writeln!(text, "its first two letters\t{}", &word[..2]).unwrap();
    writeln!(text, "one letter\t{}", &word[..1]).unwrap();
    writeln!(text, "nothing like a name\tqzxj wvkq").unwrap();
    let long: Vec<&str> = rows.iter().map(|row| row.name.as_str()).take(12).collect();
    writeln!(
        text,
        "200 letters of many names\t{}",
        long.join(" ").chars().take(200).collect::<String>()
    )
    .unwrap();
    text
}

fn asked(dice: &mut Dice, rows: &[Row], variant: mistakes::Variant) -> Vec<(usize, String)> {
    let mut asked = Vec::with_capacity(ASKED);
    while asked.len() < ASKED {
        let number = dice.below(rows.len());
        asked.extend(variant(dice, &rows[number]).map(|query| (number, query)));
    }
    asked
}

struct Measured {
    first: f64,
    five: f64,
    reciprocal: f64,
    times: Vec<Duration>,
}

impl Measured {
    fn columns(&self, slowest: bool) -> String {
        let at = |share: usize| self.times[(self.times.len() - 1) * share / 100];
        let slowest = if slowest { format!(" | {:.2?}", at(99)) } else { String::new() };
        format!(
            "{:.3} | {:.3} | {:.3} | {:.2?}{slowest}",
            self.first,
            self.five,
            self.reciprocal,
            at(50)
        )
    }
}

fn measure(
    asked: &[(usize, String)],
    search: impl Fn(&str) -> Vec<String>,
    rows: &[Row],
) -> Measured {
    let mut first = 0;
    let mut five = 0;
    let mut reciprocal = 0.0;
    let mut times = Vec::with_capacity(asked.len());
    for (wanted, query) in asked {
        let began = Instant::now();
        let found = search(query);
        times.push(began.elapsed());
        let Some(place) = found.iter().position(|url| *url == rows[*wanted].url) else {
            if std::env::var_os("SHOW_MISSED").is_some() {
                println!("    {query:?} for {:?}: {found:?}", rows[*wanted].name);
            }
            continue;
        };
        first += usize::from(place == 0);
        five += usize::from(place < 5);
        reciprocal += 1.0 / (place + 1) as f64;
    }
    times.sort_unstable();
    let share = |count: usize| count as f64 / asked.len() as f64;
    Measured {
        first: share(first),
        five: share(five),
        reciprocal: reciprocal / asked.len() as f64,
        times,
    }
}
