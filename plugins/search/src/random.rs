//! A creator by chance. Pure: the random number is handed in.

use crate::catalogue::Creator;
use crate::params::RandomRequest;

/// One of the creators with enough items, all equally likely. Creators that were shown are left out while others are
/// left.
pub fn pick<'a>(
    creators: &'a [Creator],
    request: &RandomRequest,
    seed: u64,
) -> Option<&'a Creator> {
    let enough: Vec<&Creator> = creators
        .iter()
        .filter(|creator| request.min_items <= creator.item_count.unwrap_or(0))
        .collect();
    let fresh: Vec<&Creator> =
        enough.iter().copied().filter(|creator| !request.exclude.contains(&creator.url)).collect();
    let pool = if fresh.is_empty() { enough } else { fresh };
    let count = u64::try_from(pool.len()).ok().filter(|count| 0 < *count)?;
    // The bias of the remainder is below one in 10^15 for any catalogue that fits in memory.
    pool.get(usize::try_from(seed % count).ok()?).copied()
}

/// What to say when there is none.
pub fn none_text(min_items: u64) -> String {
    format!("there is no creator with at least {min_items} items in the catalogue")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creators() -> Vec<Creator> {
        (0..4)
            .map(|n| Creator {
                name: format!("c{n}"),
                url: format!("https://c.example/{n}"),
                aliases: Vec::new(),
                item_count: Some(n * 10),
            })
            .collect()
    }

    fn request(min_items: u64, exclude: &[&str]) -> RandomRequest {
        RandomRequest { min_items, exclude: exclude.iter().map(|url| (*url).to_owned()).collect() }
    }

    #[test]
    fn every_creator_with_enough_items_comes_up_and_no_other() {
        let creators = creators();
        let picked: std::collections::BTreeSet<&str> = (0..100)
            .map(|seed| pick(&creators, &request(20, &[]), seed).unwrap().name.as_str())
            .collect();
        assert_eq!(picked.into_iter().collect::<Vec<_>>(), ["c2", "c3"]);
    }

    #[test]
    fn what_was_shown_comes_again_only_when_nothing_else_is_left() {
        let creators = creators();
        let seen = request(20, &["https://c.example/2"]);
        assert!((0..10).all(|seed| pick(&creators, &seen, seed).unwrap().name == "c3"));
        let all = request(20, &["https://c.example/2", "https://c.example/3"]);
        assert!(pick(&creators, &all, 1).is_some());
    }

    #[test]
    fn nobody_with_enough_items_is_nobody() {
        assert!(pick(&creators(), &request(31, &[]), 7).is_none());
    }
}
