//! What the search is compared with: the token-set ratio of the query with every name, as fuzzy-matching libraries
//! offer it. No index, and of equals the one that stands first in the catalogue.

use rapidfuzz::fuzz::{self, RatioBatchComparator};
use search::catalogue::Row;

/// All names of all creators, as such a library prepares them: small letters, words sorted.
pub(crate) struct Baseline {
    names: Vec<(usize, String)>,
}

impl Baseline {
    pub(crate) fn new(rows: &[Row]) -> Self {
        let names = rows.iter().enumerate().flat_map(|(number, row)| {
            let names = std::iter::once(&row.name).chain(&row.aliases);
            names.map(move |name| (number, tokens(name).join(" ")))
        });
        Self { names: names.collect() }
    }

    /// The numbers of the `most` rows that fit best, best first.
    pub(crate) fn search(&self, query: &str, most: usize) -> Vec<usize> {
        let query = tokens(query);
        let whole = RatioBatchComparator::new(query.join(" ").chars().collect::<Vec<_>>());
        let mut best: Vec<(f64, usize)> = Vec::new();
        for (number, name) in &self.names {
            let least =
                if best.len() < most { 0.0 } else { best.last().map_or(0.0, |(score, _)| *score) };
            let score = token_set_ratio(&query, &whole, name, least);
            if score <= least {
                continue;
            }
            match best.iter().position(|(_, known)| known == number) {
                Some(known) if score <= best[known].0 => continue,
                Some(known) => drop(best.remove(known)),
                None => {}
            }
            best.insert(best.partition_point(|(known, _)| score <= *known), (score, *number));
            best.truncate(most);
        }
        best.into_iter().map(|(_, number)| number).collect()
    }
}

fn tokens(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let words = name.split(|letter: char| !letter.is_alphanumeric());
    let mut words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort();
    words.dedup();
    words
}

fn token_set_ratio(
    query: &[String],
    whole: &RatioBatchComparator<char>,
    name: &str,
    least: f64,
) -> f64 {
    let words = || name.split(' ');
    if !words().any(|word| query.iter().any(|known| known == word)) {
        let args = fuzz::Args::default().score_cutoff(least);
        return whole.similarity_with_args(name.chars(), &args).unwrap_or(0.0);
    }
    let both: Vec<&str> = words().filter(|word| query.iter().any(|known| known == word)).collect();
    let here: Vec<&str> =
        query.iter().map(String::as_str).filter(|word| !both.contains(word)).collect();
    let there: Vec<&str> = words().filter(|word| !both.contains(word)).collect();
    if here.is_empty() || there.is_empty() {
        return 1.0;
    }
    let text = |rest: &[&str]| [both.as_slice(), rest].concat().join(" ");
    let both = text(&[]);
    let here = text(&here);
    let there = text(&there);
    let ratio = |a: &str, b: &str| fuzz::ratio(a.chars(), b.chars());
    ratio(&here, &there).max(ratio(&both, &here)).max(ratio(&both, &there))
}
