//! What a search looks through: built once in `init`, laid out flat, read only afterwards.

use crate::catalogue::Row;
use crate::fold::fold;
use crate::fuzzy::Query;
use crate::grams::Grams;
use crate::roster::{Creator, Roster};

/// Below this a name is not worth showing.
const GOOD_ENOUGH: f64 = 0.55;
/// Names that are compared letter by letter, at least. More find nothing that these do not (docs/search.md).
const COMPARED: usize = 64;

/// Creators, and all their names in a form that a query finds its way through.
#[derive(Debug, Default)]
pub struct Index {
    roster: Roster,
    /// All names of all creators, folded, one after the other.
    names: String,
    /// Where each name ends, and whose it is.
    ends: Vec<u32>,
    owners: Vec<u32>,
    grams: Grams,
    /// Creators, most items first.
    by_items: Vec<u32>,
}

/// A creator that fits a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit<'a> {
    /// Who.
    pub creator: Creator<'a>,
    /// How well, 0 to 1; 1 is the very name.
    pub score: f64,
}

/// Gathers rows until the index can be made.
#[derive(Debug, Default)]
pub struct Builder {
    index: Index,
}

impl Builder {
    /// Adds a creator; false when there is no room for it.
    pub fn add(&mut self, row: &Row) -> bool {
        let index = &mut self.index;
        let Ok(owner) = u32::try_from(index.roster.len()) else { return false };
        if !index.roster.push(row) {
            return false;
        }
        for name in std::iter::once(&row.name).chain(&row.aliases) {
            let folded = fold(name);
            let Ok(end) = u32::try_from(index.names.len() + folded.len()) else { break };
            if folded.is_empty() {
                continue;
            }
            index.names.push_str(&folded);
            index.ends.push(end);
            index.owners.push(owner);
        }
        true
    }

    /// The index over all that was added.
    pub fn finish(self) -> Index {
        let mut index = self.index;
        index.sort_names();
        index.grams = Grams::new(|| names(&index.names, &index.ends));
        index.by_items = index.roster.by_items();
        index
    }
}

impl Index {
    /// An index over these rows.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut builder = Builder::default();
        for row in rows {
            builder.add(row);
        }
        builder.finish()
    }

    /// The creators, in the order of the catalogue.
    pub fn creators(&self) -> &Roster {
        &self.roster
    }

    /// How many names there are, other names included.
    pub fn names(&self) -> usize {
        self.ends.len()
    }

    /// The numbers of the creators with at least so many items.
    pub fn with_items(&self, least: u64) -> &[u32] {
        let enough = self.by_items.partition_point(|number| {
            let items = self.roster.get(*number).and_then(|creator| creator.item_count);
            least <= items.map_or(0, u64::from)
        });
        self.by_items.get(..enough).unwrap_or_default()
    }

    /// The creators that fit best, best first; equals in the order of their names, then of the catalogue.
    pub fn search(&self, query: &str, limit: usize) -> Vec<Hit<'_>> {
        let folded = fold(query);
        let query = Query::new(&folded);
        let mut best: Vec<(u32, f64)> = Vec::new();
        for number in self.grams.nearest(&folded, COMPARED.max(limit * 2)) {
            let Some((name, owner)) = self.name(number) else { continue };
            let score = query.score(name);
            if score < GOOD_ENOUGH {
                continue;
            }
            match best.iter_mut().find(|(known, _)| *known == owner) {
                Some((_, known)) => *known = known.max(score),
                None => best.push((owner, score)),
            }
        }
        let found = best.into_iter().filter_map(|(number, score)| {
            Some((number, Hit { creator: self.roster.get(number)?, score }))
        });
        let mut hits: Vec<(u32, Hit<'_>)> = found.collect();
        hits.sort_by(|(a_number, a), (b_number, b)| {
            let by_name = || a.creator.name.cmp(b.creator.name);
            b.score.total_cmp(&a.score).then_with(by_name).then(a_number.cmp(b_number))
        });
        hits.into_iter().take(limit).map(|(_, hit)| hit).collect()
    }

    /// Lays like names beside each other: what a query touches is then in few pages.
    fn sort_names(&mut self) {
        let text = self.names.as_str();
        let ends = self.ends.as_slice();
        let mut sorted: Vec<(&str, u32)> =
            names(text, ends).zip(self.owners.iter().copied()).collect();
        sorted.sort(); // Equals stand in the order of the catalogue.
        let mut names = String::with_capacity(text.len());
        let mut ends = Vec::with_capacity(ends.len());
        let owners = sorted.iter().map(|(_, owner)| *owner).collect();
        for (name, _) in sorted {
            names.push_str(name);
            ends.extend(u32::try_from(names.len())); // As long as before, and that fitted.
        }
        (self.names, self.ends, self.owners) = (names, ends, owners);
    }

    fn name(&self, number: u32) -> Option<(&str, u32)> {
        let number = number as usize;
        let start = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let name = self.names.get(start as usize..*self.ends.get(number)? as usize)?;
        Some((name, *self.owners.get(number)?))
    }
}

fn names<'a>(text: &'a str, ends: &'a [u32]) -> impl Iterator<Item = &'a str> {
    let starts = std::iter::once(&0).chain(ends);
    starts
        .zip(ends)
        .map(|(start, end)| text.get(*start as usize..*end as usize).unwrap_or_default())
}

#[cfg(test)]
mod tests;
