//! Creators as they are shown, in one flat text.

use crate::catalogue::Row;

/// Between the texts of a creator: no cleaned text contains it.
const BETWEEN: char = '\n';
/// The number of items is not known.
const UNKNOWN: u32 = u32::MAX;

/// All creators, in the order of the catalogue.
#[derive(Debug, Default)]
pub struct Roster {
    /// Name, address and other names of one after the other.
    text: String,
    ends: Vec<u32>,
    items: Vec<u32>,
}

/// One creator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Creator<'a> {
    /// The name to show.
    pub name: &'a str,
    /// The creator's page.
    pub url: &'a str,
    /// How many items there are, when the catalogue says so.
    pub item_count: Option<u32>,
    /// Each with a [`BETWEEN`] before it.
    aliases: &'a str,
}

impl<'a> Creator<'a> {
    /// Other names.
    pub fn aliases(&self) -> impl Iterator<Item = &'a str> {
        self.aliases.split(BETWEEN).skip(1)
    }
}

impl Roster {
    /// Adds one; false when there is no room for it.
    pub(crate) fn push(&mut self, row: &Row) -> bool {
        let length = self.text.len();
        self.text.push_str(&row.name);
        for text in std::iter::once(&row.url).chain(&row.aliases) {
            self.text.push(BETWEEN);
            self.text.push_str(text);
        }
        let Ok(end) = u32::try_from(self.text.len()) else {
            self.text.truncate(length);
            return false;
        };
        self.ends.push(end);
        self.items.push(
            row.item_count.map_or(UNKNOWN, |count| u32::try_from(count).unwrap_or(UNKNOWN - 1)),
        );
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The one with this number.
    pub fn get(&self, number: u32) -> Option<Creator<'_>> {
        let number = number as usize;
        let start = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let text = self.text.get(start as usize..*self.ends.get(number)? as usize)?;
        let (name, rest) = text.split_once(BETWEEN)?;
        let (url, aliases) = rest.split_at(rest.find(BETWEEN).unwrap_or(rest.len()));
        let item_count = self.items.get(number).copied().filter(|count| *count != UNKNOWN);
        Some(Creator { name, url, item_count, aliases })
    }

    /// The numbers of all, most items first; where the catalogue says nothing there are none.
    pub(crate) fn by_items(&self) -> Vec<u32> {
        let mut counted: Vec<(u32, u32)> = self.items.iter().copied().zip(0..).collect();
        counted.iter_mut().filter(|(items, _)| *items == UNKNOWN).for_each(|(items, _)| *items = 0);
        counted.sort_by_key(|(items, _)| std::cmp::Reverse(*items));
        counted.into_iter().map(|(_, number)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_and_a_count_beyond_all_bounds_is_still_one() {
        let mut roster = Roster::default();
        let row = |item_count| Row {
            name: "Luna".to_owned(),
            url: "https://c.example/l".to_owned(),
            aliases: vec!["L".to_owned(), "Moon".to_owned()],
            item_count,
        };
        for count in [None, Some(0), Some(7), Some(u64::MAX)] {
            assert!(roster.push(&row(count)));
        }
        let luna = roster.get(1).unwrap();
        assert_eq!((luna.name, luna.url), ("Luna", "https://c.example/l"));
        assert_eq!(luna.aliases().collect::<Vec<_>>(), ["L", "Moon"]);
        let counts: Vec<_> =
            (0..5).map(|number| roster.get(number).map(|luna| luna.item_count)).collect();
        let most = Some(u32::MAX - 1);
        assert_eq!(counts, [Some(None), Some(Some(0)), Some(Some(7)), Some(most), None]);
        assert_eq!(roster.by_items(), [3, 2, 0, 1]);
    }
}
