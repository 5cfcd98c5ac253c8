//! How well a name fits a query. Pure; both are folded ([`crate::fold`]).

use rapidfuzz::distance::osa;

use crate::fold::letters;

/// Below this similarity two words are different, not a typing mistake.
const ALIKE: f64 = 0.6;
/// The highest score of a name that is not equal to the query.
const NEAREST: f64 = 0.99;

/// A query, prepared for being compared with many names.
pub struct Query {
    whole: Pattern,
    words: Vec<Pattern>,
}

/// A text and what its distance to another is counted with.
struct Pattern {
    text: String,
    length: usize,
    distance: osa::BatchComparator<char>,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").finish_non_exhaustive()
    }
}

impl Query {
    /// Prepares a folded query.
    pub fn new(folded: &str) -> Self {
        let words = folded.split(' ').filter(|word| !word.is_empty());
        Self {
            whole: Pattern::new(letters(folded)),
            words: words.map(|word| Pattern::new(word.chars())).collect(),
        }
    }

    /// 1 for the same name, 0 for nothing in common.
    ///
    /// The best of: the beginning of the name, a part of it, every word found in whatever order, and few typing
    /// mistakes in the whole. The numbers order the cases: a full word weighs more than a beginning, and that more than
    /// a mistake.
    pub fn score(&self, name: &str) -> f64 {
        let joined: String = letters(name).collect();
        let length = joined.chars().count();
        if self.whole.length == 0 || length == 0 {
            return 0.0;
        }
        if self.whole.text == joined {
            return 1.0;
        }
        let share = share(self.whole.length, length);
        let mut best = (0.97 * self.whole.likeness(&joined, length)).max(self.words(name, share));
        if joined.starts_with(&self.whole.text) {
            best = best.max(0.80 + 0.15 * share);
        } else if self.whole.length >= 3 && joined.contains(&self.whole.text) {
            best = best.max(0.60 + 0.15 * share);
        }
        best.min(NEAREST)
    }

    /// Every word of the query looked up among the words of the name, in any order.
    fn words(&self, name: &str, share: f64) -> f64 {
        let mut found = 0.0;
        for word in &self.words {
            let best = name.split(' ').map(|known| word.as_word(known)).fold(0.0, f64::max);
            found += best * as_f64(word.length);
        }
        found / as_f64(self.whole.length) * (0.75 + 0.20 * share)
    }
}

impl Pattern {
    fn new(letters: impl DoubleEndedIterator<Item = char> + Clone) -> Self {
        Self {
            text: letters.clone().collect(),
            length: letters.clone().count(),
            distance: osa::BatchComparator::new(letters),
        }
    }

    /// Similarity of two words; 0 when they are different words.
    fn as_word(&self, known: &str) -> f64 {
        if self.text == known {
            return 1.0;
        }
        if self.length >= 2 && known.starts_with(&self.text) {
            return 0.90;
        }
        let likeness = self.likeness(known, known.chars().count());
        // A short word with a mistake counts as another word.
        if self.length <= 3 || likeness < ALIKE { 0.0 } else { likeness * 0.95 }
    }

    /// The share of letters that need no change; swapping two neighbours is one change.
    fn likeness(&self, other: &str, length: usize) -> f64 {
        // Far apart in length means far apart; the distance need not be counted.
        let short = self.length.min(length);
        let long = self.length.max(length);
        if short * 2 < long {
            return 0.0;
        }
        1.0 - as_f64(self.distance.distance(other.chars())) / as_f64(long)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    (as_f64(part) / as_f64(whole.max(1))).min(1.0)
}

fn as_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
