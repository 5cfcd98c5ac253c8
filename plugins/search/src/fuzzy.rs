//! How well a name fits a query. Pure.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A name as it is compared: lower case, without accents, separators as single spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Words joined by one space.
    text: String,
    /// The same without spaces, so that `JaneDoe` equals `jane doe`.
    joined: String,
}

/// Folds case, accents and separators; a capital after a small letter begins a new word.
pub fn fold(name: &str) -> Folded {
    let mut text = String::new();
    let mut after_small = false;
    for letter in name.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        if !letter.is_alphanumeric() {
            after_small = false;
            if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
            continue;
        }
        if letter.is_uppercase() && after_small {
            text.push(' ');
        }
        after_small = letter.is_lowercase() || letter.is_numeric();
        text.extend(letter.to_lowercase());
    }
    let text = text.trim_end().to_owned();
    let joined = text.replace(' ', "");
    Folded { text, joined }
}

/// 1 for the same name, 0 for nothing in common.
///
/// The best of: a prefix, every word found, and few typing mistakes in the whole. The numbers order the cases: a full
/// word weighs more than a prefix of one, and that more than a mistake.
pub fn score(query: &Folded, name: &Folded) -> f64 {
    if query.joined.is_empty() || name.joined.is_empty() {
        return 0.0;
    }
    if query.joined == name.joined {
        return 1.0;
    }
    let mut best = whole(query, name).max(words(query, name));
    if name.joined.starts_with(&query.joined) {
        best = best.max(0.80 + 0.15 * share(query.joined.len(), name.joined.len()));
    } else if 3 <= query.joined.len() && name.joined.contains(&query.joined) {
        best = best.max(0.60 + 0.15 * share(query.joined.len(), name.joined.len()));
    }
    best.min(0.99)
}

/// Likeness of the whole names, mistakes and transpositions counted.
fn whole(query: &Folded, name: &Folded) -> f64 {
    likeness(&query.joined, &name.joined) * 0.97
}

/// Every word of the query looked up among the words of the name, in any order.
fn words(query: &Folded, name: &Folded) -> f64 {
    let (mut found, mut letters) = (0.0, 0.0);
    for word in query.text.split(' ') {
        let best = name.text.split(' ').map(|known| word_likeness(word, known)).fold(0.0, f64::max);
        let weight = as_f64(word.chars().count());
        found += best * weight;
        letters += weight;
    }
    if letters == 0.0 {
        return 0.0;
    }
    let covered = share(query.joined.len(), name.joined.len());
    (found / letters) * (0.75 + 0.20 * covered)
}

fn word_likeness(word: &str, known: &str) -> f64 {
    if word == known {
        return 1.0;
    }
    if 2 <= word.len() && known.starts_with(word) {
        return 0.90;
    }
    let likeness = likeness(word, known);
    // A short word with a mistake is another word.
    if word.chars().count() <= 3 || likeness < 0.6 { 0.0 } else { likeness * 0.95 }
}

fn likeness(a: &str, b: &str) -> f64 {
    // Far apart in length means far apart; the distance need not be counted.
    let (short, long) = (a.len().min(b.len()), a.len().max(b.len()));
    if short * 2 < long {
        return 0.0;
    }
    strsim::normalized_damerau_levenshtein(a, b)
}

fn share(part: usize, whole: usize) -> f64 {
    (as_f64(part) / as_f64(whole.max(1))).min(1.0)
}

fn as_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
