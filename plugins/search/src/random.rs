//! Picks a random creator. Pure: the caller passes the random number.

use crate::index::Index;
use crate::params::RandomRequest;
use crate::roster::Creator;

/// How many random draws are tried before all creators are scanned. With half of them excluded, all draws fail once in
/// 10^19.
const DRAWS: u32 = 64;

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick<'a> {
    /// This creator.
    Picked(Creator<'a>),
    /// Nobody has enough items.
    NobodyHasEnough,
    /// Only the creator that was just shown has enough.
    NobodyElse(Creator<'a>),
}

/// One of the creators with enough items, all equally likely. Creators shown before are excluded while there are others,
/// then only the last one shown.
pub fn pick<'a>(index: &'a Index, request: &RandomRequest, seed: u64) -> Pick<'a> {
    let enough = index.with_items(request.min_items);
    let creator = |number: &u32| index.creators().get(*number);
    let last = request.exclude.len().saturating_sub(1);
    for shown in [&request.exclude, request.exclude.get(last..).unwrap_or_default()] {
        let fresh = |creator: &Creator<'_>| !shown.iter().any(|url| url == creator.url);
        // Few are shown and many are there: a draw or two find one, and the others are never touched.
        if shown.len() * 2 < enough.len() {
            let mut random = seed;
            for _ in 0..DRAWS {
                let drawn = at(enough, random).and_then(creator);
                if let Some(creator) = drawn.filter(fresh) {
                    return Pick::Picked(creator);
                }
                random = next(random);
            }
        }
        let left: Vec<u32> = enough
            .iter()
            .copied()
            .filter(|number| creator(number).is_some_and(|creator| fresh(&creator)))
            .collect();
        if let Some(creator) = at(&left, seed).and_then(creator) {
            return Pick::Picked(creator);
        }
    }
    enough.first().and_then(creator).map_or(Pick::NobodyHasEnough, Pick::NobodyElse)
}

/// The number at this share of the list: a seed from 0 to 2^64 - 1 stands for 0 to 1.
fn at(numbers: &[u32], seed: u64) -> Option<&u32> {
    let place = u128::from(seed) * u128::try_from(numbers.len()).ok()?;
    numbers.get(usize::try_from(place >> 64).ok()?)
}

/// Another random number (`SplitMix64`).
fn next(random: u64) -> u64 {
    let random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    random ^ (random >> 31)
}

/// What to say when nobody has enough items.
pub fn none_text(min_items: u64) -> String {
    format!("there is no creator with at least {min_items} items in the catalogue")
}

/// What to say when there is only the one that was just shown.
pub fn nobody_else_text(name: &str, min_items: u64) -> String {
    format!("{name}, whom you have just seen, is the only creator with at least {min_items} items")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalogue::Row;

    /// `c0` to `cN`; each has ten items more than the one before.
    fn index(creators: u64) -> Index {
        let rows: Vec<Row> = (0..creators)
            .map(|n| Row {
                name: format!("c{n}"),
                url: format!("https://c.example/{n}"),
                aliases: Vec::new(),
                item_count: (n != 1).then_some(n * 10),
            })
            .collect();
        Index::new(&rows)
    }

    fn request(min_items: u64, exclude: &[u64]) -> RandomRequest {
        let url = |n: &u64| format!("https://c.example/{n}");
        RandomRequest { min_items, exclude: exclude.iter().map(url).collect() }
    }

    fn picked(index: &Index, request: &RandomRequest, draws: u64) -> BTreeMap<String, u64> {
        let mut picked = BTreeMap::new();
        let mut seed = 1;
        for _ in 0..draws {
            seed = next(seed);
            let Pick::Picked(creator) = pick(index, request, seed) else { continue };
            *picked.entry(creator.name.to_owned()).or_default() += 1;
        }
        picked
    }

    #[test]
    fn every_creator_with_enough_items_comes_up_equally_often_and_no_other() {
        for (exclude, left) in [([].as_slice(), 8_u64), (&[2, 9], 6), (&[2, 3, 4, 5, 6], 3)] {
            let picked = picked(&index(10), &request(20, exclude), 12_000);
            assert_eq!(picked.len() as u64, left, "{picked:?}");
            assert!(!picked.contains_key("c0") && !picked.contains_key("c1"), "{picked:?}");
            let fair = 12_000 / left;
            for (name, count) in &picked {
                assert!(count.abs_diff(fair) < fair / 8, "{name}: {picked:?}");
            }
        }
    }

    #[test]
    fn a_creator_without_a_count_has_no_items() {
        assert_eq!(picked(&index(3), &request(0, &[]), 100).len(), 3);
        assert_eq!(picked(&index(3), &request(1, &[]), 100).len(), 1);
    }

    #[test]
    fn what_was_shown_comes_again_only_when_nothing_else_is_left_and_never_twice_in_a_row() {
        let index = index(5);
        let seen = picked(&index, &request(30, &[3]), 50);
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["c4"]);
        let all = picked(&index, &request(20, &[4, 2, 3]), 50);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["c2", "c4"], "3 was the last");
    }

    #[test]
    fn nobody_with_enough_items_is_nobody_and_one_alone_is_not_shown_twice() {
        let index = index(4);
        assert_eq!(pick(&index, &request(31, &[]), 7), Pick::NobodyHasEnough);
        let Pick::NobodyElse(only) = pick(&index, &request(30, &[3]), 7) else { panic!() };
        assert_eq!(only.name, "c3");
    }
}
