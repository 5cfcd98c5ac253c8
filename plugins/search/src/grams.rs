//! Finds candidates for a query: an index from small features to the names that have them. Pure.
//!
//! A feature is a trigram of the whole name (with marks for its ends), the first two letters of a word, or a short word
//! with one letter left out. The last kind is needed because one mistake in a word of five letters changes all its
//! trigrams, while both spellings still share a form with one letter left out.
//!
//! The index is three flat arrays, and a query reads one short range for each of its features. That is cheap in a fresh
//! instance, where the first access to each memory page costs a fault.

use crate::fold::letters;

/// Longest word of which all spellings with one letter less are kept, in letters.
const MAX_SPELLED: usize = 7;
/// Shortest such word: of two letters almost nothing would be left.
const MIN_SPELLED: usize = 3;
/// Letters of a query that are looked at. Longer than any name that people type.
const MAX_QUERY_LETTERS: usize = 64;
/// The end of a name or word among its letters; no folded name contains it.
const END: char = '\0';
/// Names that are counted at a time: as many as have their counts in four pages. The host lays a slot ready for its next
/// instance by copying back what was written, up to 16 pages; a call that writes more makes it map all anew.
const BLOCK: usize = 1 << 14;
/// Candidates that are gathered before all but the best are dropped.
const GATHERED: usize = 256;

/// What a feature is made of; the same letters mean different things in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Initial,
    Spelling,
}

/// The features of many names.
#[derive(Debug, Default)]
pub(crate) struct Grams {
    /// Shift that leaves a bucket of a hash.
    shift: u32,
    /// Where each bucket's names begin, and behind the last where they end.
    starts: Vec<u32>,
    /// Names by bucket, ascending.
    names: Vec<u32>,
    /// Letters of each name, at most 255.
    lengths: Vec<u8>,
}

impl Grams {
    /// Over names that are folded already; `names` gives the same ones each time it is called.
    pub(crate) fn new<'a, I: Iterator<Item = &'a str>>(names: impl Fn() -> I) -> Self {
        let lengths: Vec<u8> =
            names().map(|name| u8::try_from(letters(name).count()).unwrap_or(u8::MAX)).collect();
        let bits = lengths.len().max(1 << 10).next_power_of_two().trailing_zeros().min(18);
        let shift = u32::BITS - bits;
        let mut starts = vec![0_u32; (1 << bits) + 1];
        let mut of_name = Vec::new();
        for name in names() {
            hashes(name, &mut of_name, shift);
            for bucket in &of_name {
                if let Some(count) = starts.get_mut(*bucket as usize + 1) {
                    *count += 1;
                }
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut filled = vec![0_u32; sum as usize];
        let mut next = starts.clone();
        for (number, name) in (0_u32..).zip(names()) {
            hashes(name, &mut of_name, shift);
            for bucket in &of_name {
                let Some(place) = next.get_mut(*bucket as usize) else { continue };
                if let Some(slot) = filled.get_mut(*place as usize) {
                    *slot = number;
                }
                *place += 1;
            }
        }
        Self { shift, starts, names: filled, lengths }
    }

    /// The `most` names that share most with a folded query; of equals the shorter and earlier ones.
    pub(crate) fn nearest(&self, query: &str, most: usize) -> Vec<u32> {
        let mut lists = self.lists(query);
        let whole: u32 = lists.iter().map(|list| u32::from(list.weight)).sum();
        let mut gathered = Gathered::new(most, u8::try_from(whole / 8).unwrap_or(u8::MAX).max(1));
        let mut counts = vec![0_u8; BLOCK.min(self.lengths.len())];
        let mut reached = Vec::new();
        for first in (0..self.lengths.len()).step_by(BLOCK) {
            counts.fill(0);
            reached.clear();
            for list in &mut lists {
                list.count(first, &mut counts, gathered.least, &mut reached);
            }
            for place in &reached {
                let name = first + usize::from(*place);
                let count = counts.get(usize::from(*place)).copied().unwrap_or_default();
                gathered.add(name, count, self.lengths.get(name).copied().unwrap_or_default());
            }
        }
        gathered.best()
    }

    fn lists(&self, query: &str) -> Vec<List<'_>> {
        let cut = query.char_indices().nth(MAX_QUERY_LETTERS).map_or(query.len(), |(at, _)| at);
        let query = query.get(..cut).unwrap_or(query);
        let one_letter = query.chars().nth(1).is_none();
        let mut wanted = Vec::new();
        features(query, |kind, hash| {
            // Names that share an initial only are asked for when there is nothing else to go by.
            if kind != Kind::Initial || one_letter {
                wanted.push((hash >> self.shift, if kind == Kind::Spelling { 2 } else { 1 }));
            }
        });
        wanted.sort_unstable();
        wanted.dedup_by_key(|(bucket, _)| *bucket);
        let lists = wanted.into_iter().filter_map(|(bucket, weight)| {
            let from = *self.starts.get(bucket as usize)?;
            let to = *self.starts.get(bucket as usize + 1)?;
            Some(List { weight, names: self.names.get(from as usize..to as usize)? })
        });
        lists.collect()
    }
}

/// The names that have one of a query's features.
struct List<'a> {
    weight: u8,
    names: &'a [u32],
}

impl List<'_> {
    /// Counts those of the block that begins with `first`, tells which of them have reached `least`, and moves on behind
    /// the block.
    fn count(&mut self, first: usize, counts: &mut [u8], least: u8, reached: &mut Vec<u16>) {
        let mut of_block = 0;
        for name in self.names {
            let place = (*name as usize).wrapping_sub(first);
            let Some(count) = counts.get_mut(place) else { break };
            let before = *count;
            *count = before.saturating_add(self.weight);
            if before < least && least <= *count {
                reached.extend(u16::try_from(place));
            }
            of_block += 1;
        }
        self.names = self.names.get(of_block..).unwrap_or_default();
    }
}

/// The best so far, and the count below which a name can no longer be among them.
struct Gathered {
    most: usize,
    least: u8,
    /// Best first when sorted: missing count, length, name.
    found: Vec<u64>,
}

impl Gathered {
    fn new(most: usize, least: u8) -> Self {
        Self { most, least, found: Vec::with_capacity(GATHERED) }
    }

    fn add(&mut self, name: usize, count: u8, length: u8) {
        if count < self.least {
            return;
        }
        let missing = u64::from(u8::MAX - count);
        self.found.push(missing << 40 | u64::from(length) << 32 | name as u64);
        if self.found.len() == GATHERED.max(self.most * 2) {
            self.drop_worse();
        }
    }

    fn drop_worse(&mut self) {
        let Some(last) = self.most.checked_sub(1).filter(|last| *last < self.found.len()) else {
            return;
        };
        let (_, worst, _) = self.found.select_nth_unstable(last);
        self.least = u8::MAX - u8::try_from(*worst >> 40).unwrap_or(u8::MAX);
        self.found.truncate(self.most);
    }

    fn best(mut self) -> Vec<u32> {
        self.drop_worse();
        self.found.sort_unstable();
        self.found.iter().filter_map(|key| u32::try_from(*key & 0xffff_ffff).ok()).collect()
    }
}

/// The buckets of a name's features, each once.
fn hashes(name: &str, buckets: &mut Vec<u32>, shift: u32) {
    buckets.clear();
    features(name, |_, hash| buckets.push(hash >> shift));
    buckets.sort_unstable();
    buckets.dedup();
}

/// Tells the features of a folded name.
fn features(name: &str, mut tell: impl FnMut(Kind, u32)) {
    let mut before = (END, END);
    for (place, letter) in letters(name).chain([END]).enumerate() {
        if place > 0 {
            tell(Kind::Run, hash(Kind::Run, [before.0, before.1, letter]));
        }
        before = (before.1, letter);
    }
    let mut word = ['\0'; MAX_SPELLED + 1];
    for (number, text) in name.split(' ').enumerate() {
        let mut first = text.chars();
        let initial = first.next().unwrap_or(END);
        let second = first.next().unwrap_or(END);
        tell(Kind::Initial, hash(Kind::Initial, [initial]));
        if number > 0 {
            tell(Kind::Run, hash(Kind::Run, [END, initial, second]));
        }
        let mut length = 0;
        for (slot, letter) in word.iter_mut().zip(text.chars()) {
            *slot = letter;
            length += 1;
        }
        let whole = word.get(..length).unwrap_or_default();
        // A word one letter longer has spellings too: it may be one of these with a letter too much.
        if length < MIN_SPELLED || length > MAX_SPELLED && text.chars().nth(length).is_some() {
            continue;
        }
        if length <= MAX_SPELLED {
            tell(Kind::Spelling, hash(Kind::Spelling, whole.iter().copied()));
        }
        for left_out in 0..length {
            let rest = whole.iter().enumerate().filter(|(place, _)| *place != left_out);
            tell(Kind::Spelling, hash(Kind::Spelling, rest.map(|(_, letter)| *letter)));
        }
    }
}

fn hash(kind: Kind, letters: impl IntoIterator<Item = char>) -> u32 {
    let mut hash = kind as u64;
    for letter in letters {
        hash = (hash.rotate_left(5) ^ u64::from(u32::from(letter)))
            .wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (hash >> 32) as u32
}
