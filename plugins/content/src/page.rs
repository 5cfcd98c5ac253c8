//! Divides a creator's items into pages. Pure.

use kit::settings::whole_or_default;
use serde_json::{Value, json};

use crate::cursor::Cursor;
use crate::item::Item;
use crate::params::Wanted;
use crate::table::Table;

const DEFAULT_PAGE_SIZE: u32 = 10;
const MAX_PAGE_SIZE: u32 = 50;

/// Pages of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The items of the pages.
    pub items: Vec<Item>,
    /// Number of the last page, from 1.
    pub page: usize,
    /// Number of all pages.
    pub total_pages: usize,
    /// Number of all items.
    pub total_items: usize,
    /// Where the next page starts; none at the end.
    pub next: Option<Cursor>,
}

/// How far a source was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Items of this read, including those that cannot be shown.
    pub items: usize,
    /// Number of all items.
    pub total: usize,
    /// Time and id of the last one; none when there are no more.
    pub last: Option<(String, String)>,
}

/// A source's answer to one request. It does not depend on how much a chat has seen already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The items that can be shown.
    pub items: Vec<Item>,
    /// How many there were, including those that cannot be shown.
    pub read: usize,
    /// How many there are from the first of these to the end.
    pub left: usize,
    /// Time and id of the last one; none when there are no more.
    pub last: Option<(String, String)>,
}

impl Part {
    /// As the pages after those that a chat has seen already.
    pub fn pages(self, wanted: &Wanted, size: usize) -> Loaded {
        let before = wanted.after.as_ref().map_or(0, |after| after.shown);
        let read = Read { items: self.read, total: before + self.left, last: self.last };
        Loaded::new(wanted, size, self.items, read)
    }
}

/// The operator's page size, or 10. A wrong value gives 10 and a remark.
pub fn page_size(setting: Option<&str>, remarks: &mut Vec<String>) -> usize {
    let place = ("content.toml", "page_size");
    let size = whole_or_default(place, setting, DEFAULT_PAGE_SIZE, 1..=MAX_PAGE_SIZE, remarks);
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Pages of `size` from the table; none when the creator has no items at all.
pub fn load(table: &Table, wanted: &Wanted, size: usize) -> Option<Loaded> {
    let all: Vec<&Item> = table.of(wanted.creator_url.as_deref(), &wanted.creator_name).collect();
    if all.is_empty() {
        return None;
    }
    let fitting: Vec<&Item> = all.into_iter().filter(|item| wanted.filter.wants(item)).collect();
    let from = match &wanted.after {
        None => 0,
        Some(after) => {
            let after = (after.at.as_str(), after.id.as_str());
            // Newest first: what comes after has the smaller key.
            fitting.iter().position(|item| item.key() < after).unwrap_or(fitting.len())
        }
    };
    let items: Vec<Item> =
        fitting.iter().skip(from).take(size * wanted.pages).map(|item| (*item).clone()).collect();
    let more = from + items.len() < fitting.len();
    let last = items.last().filter(|_| more).map(|last| (last.date.clone(), last.id.clone()));
    let read = items.len();
    Some(Loaded::new(wanted, size, items, Read { items: read, total: fitting.len(), last }))
}

impl Loaded {
    /// Counts pages and sets the cursor.
    pub fn new(wanted: &Wanted, size: usize, items: Vec<Item>, read: Read) -> Self {
        let shown = wanted.after.as_ref().map_or(0, |after| after.shown) + read.items;
        let next = read.last.map(|(at, id)| Cursor { at, id, shown });
        Self {
            items,
            page: shown.div_ceil(size).max(1),
            total_pages: read.total.div_ceil(size).max(1),
            total_items: read.total,
            next,
        }
    }

    /// In the published form, without the fields around it.
    pub fn to_json(&self) -> Value {
        json!({
            "items": self.items.iter().map(Item::to_json).collect::<Vec<_>>(),
            "page": self.page,
            "total_pages": self.total_pages,
            "total_items": self.total_items,
            "cursor": self.next.as_ref().and_then(Cursor::encode),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::item::Kind;

    fn table(items: usize, extra: &str) -> Table {
        let mut csv = "creator_url,creator_name,title,url,type,posted_at\n".to_owned();
        for n in 0..items {
            let line = format!(
                "https://c.example/a,A,Item {n},https://m.example/{n:03},picture,2026-01-{:02}\n",
                1 + n % 28
            );
            csv.push_str(&line);
        }
        csv.push_str(extra);
        Table::read(csv.as_bytes()).unwrap().0
    }

    fn wanted(after: Option<Cursor>, pages: usize) -> Wanted {
        Wanted {
            creator_name: "A".to_owned(),
            creator_url: Some("https://c.example/a".to_owned()),
            filter: Filter::default(),
            after,
            pages,
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let table = table(25, "");
        let first = load(&table, &wanted(None, 1), 10).unwrap();
        assert_eq!(
            (first.items.len(), first.page, first.total_pages, first.total_items),
            (10, 1, 3, 25)
        );
        let rest = load(&table, &wanted(first.next.clone(), 3), 10).unwrap();
        assert_eq!((rest.items.len(), rest.page, rest.next.clone()), (15, 3, None));
        let mut ids: Vec<String> =
            first.items.into_iter().chain(rest.items).map(|item| item.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 25);
    }

    #[test]
    fn an_item_added_in_front_neither_hides_nor_repeats_another() {
        let first = load(&table(25, ""), &wanted(None, 1), 10).unwrap();
        let newer = "https://c.example/a,A,Newest,https://m.example/new,picture,2026-02-01\n";
        let second = load(&table(25, newer), &wanted(first.next.clone(), 1), 10).unwrap();
        let expected = load(&table(25, ""), &wanted(first.next, 1), 10).unwrap();
        assert_eq!(second.items, expected.items);
    }

    #[test]
    fn an_item_that_is_gone_neither_hides_nor_repeats_another() {
        let first = load(&table(25, ""), &wanted(None, 1), 10).unwrap();
        let (last, rest) = first.items.split_last().unwrap();
        let gone = |id: &str| {
            let mut table = table(25, "");
            table.remove(id);
            load(&table, &wanted(first.next.clone(), 2), 10).unwrap().items
        };
        let expected = load(&table(25, ""), &wanted(first.next.clone(), 2), 10).unwrap().items;
        assert_eq!(gone(&last.id), expected);
        assert_eq!(gone(&rest[0].id), expected);
    }

    #[test]
    fn an_unknown_creator_has_nothing_and_a_filter_may_leave_nothing() {
        let mut unknown = wanted(None, 1);
        unknown.creator_url = Some("https://c.example/b".to_owned());
        assert_eq!(load(&table(3, ""), &unknown, 10), None);
        let mut filtered = wanted(None, 1);
        filtered.filter.kind = Some(Kind::Video);
        let loaded = load(&table(3, ""), &filtered, 10).unwrap();
        assert_eq!((loaded.items.len(), loaded.total_items, loaded.next), (0, 0, None));
    }

    #[test]
    fn one_part_has_the_page_number_of_whoever_asks_for_it() {
        let last = Some(("2026-01-02".to_owned(), "7".to_owned()));
        let part = Part { items: Vec::new(), read: 10, left: 37, last };
        for (shown, page, total) in [(20, 3, 57), (30, 4, 67)] {
            let after = Cursor { at: "2026-01-03".to_owned(), id: "9".to_owned(), shown };
            let loaded = part.clone().pages(&wanted(Some(after), 1), 10);
            assert_eq!((loaded.page, loaded.total_items), (page, total));
            assert_eq!(loaded.next.unwrap().shown, shown + 10);
        }
    }

    #[test]
    fn a_page_size_that_does_not_fit_is_told_and_costs_only_itself() {
        let mut remarks = Vec::new();
        let sizes = [None, Some("50"), Some("0"), Some("51"), Some("ten")]
            .map(|setting| page_size(setting, &mut remarks));
        assert_eq!(sizes, [10, 50, 10, 10, 10]);
        let remark = "`page_size` in content.toml is a whole number from 1 to 50; 10 is used";
        assert_eq!(remarks, [remark; 3]);
    }
}
