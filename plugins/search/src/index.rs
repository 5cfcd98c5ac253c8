//! What a search looks through, built once in `init`.

use crate::catalogue::Creator;
use crate::fuzzy::{self, Folded};

/// Below this a name is not worth showing.
const GOOD_ENOUGH: f64 = 0.55;

/// Creators with the folded form of each of their names.
#[derive(Debug)]
pub struct Index {
    creators: Vec<Creator>,
    names: Vec<Vec<Folded>>,
}

/// A creator that fits a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit<'a> {
    /// Who.
    pub creator: &'a Creator,
    /// How well, 0 to 1; 1 is the very name.
    pub score: f64,
}

impl Index {
    /// Folds all names.
    pub fn new(creators: Vec<Creator>) -> Self {
        let names = creators
            .iter()
            .map(|creator| {
                std::iter::once(&creator.name)
                    .chain(&creator.aliases)
                    .map(|name| fuzzy::fold(name))
                    .collect()
            })
            .collect();
        Self { creators, names }
    }

    /// All creators, in the order of the catalogue.
    pub fn creators(&self) -> &[Creator] {
        &self.creators
    }

    /// The creators that fit best, best first; equals in the order of their names.
    pub fn search(&self, query: &str, limit: usize) -> Vec<Hit<'_>> {
        let query = fuzzy::fold(query);
        let mut hits: Vec<Hit<'_>> = self
            .creators
            .iter()
            .zip(&self.names)
            .filter_map(|(creator, names)| {
                let score = names.iter().map(|name| fuzzy::score(&query, name)).fold(0.0, f64::max);
                (GOOD_ENOUGH <= score).then_some(Hit { creator, score })
            })
            .collect();
        hits.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| a.creator.name.cmp(&b.creator.name))
        });
        hits.truncate(limit);
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let creator = |name: &str, aliases: &[&str]| Creator {
            name: name.to_owned(),
            url: format!("https://c.example/{}", name.len()),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            item_count: None,
        };
        Index::new(vec![
            creator("Luna Marlowe", &["moonlit_luna"]),
            creator("Luna Hartwell", &[]),
            creator("Marlow Quist", &[]),
            creator("José Álvarez", &["JoseInTheKitchen"]),
        ])
    }

    #[track_caller]
    fn first(query: &str, expected: Option<&str>) {
        let index = index();
        let hits = index.search(query, 10);
        assert_eq!(
            hits.first().map(|hit| hit.creator.name.as_str()),
            expected,
            "{query}: {hits:?}"
        );
    }

    #[test]
    fn the_very_name_scores_one_however_it_is_written() {
        for query in
            ["Luna Marlowe", "luna_marlowe", "LunaMarlowe", "  LUNA-MARLOWE ", "moonlit luna"]
        {
            let index = index();
            let hits = index.search(query, 10);
            assert_eq!(hits[0].creator.name, "Luna Marlowe", "{query}");
            assert!((hits[0].score - 1.0).abs() < 1e-9, "{query}: {}", hits[0].score);
        }
        first("jose alvarez", Some("José Álvarez"));
    }

    #[test]
    fn typing_mistakes_parts_and_word_order_find_the_right_one() {
        first("luna marlow", Some("Luna Marlowe"));
        first("lnua marlowe", Some("Luna Marlowe"));
        first("marlowe luna", Some("Luna Marlowe"));
        first("hartwel", Some("Luna Hartwell"));
        first("quist", Some("Marlow Quist"));
        first("josé in the", Some("José Álvarez"));
    }

    #[test]
    fn nothing_like_it_finds_nothing() {
        first("zzzzqqqq", None);
    }

    #[test]
    fn equals_stand_in_the_order_of_their_names_and_shorter_names_first() {
        let index = index();
        let names: Vec<&str> =
            index.search("luna", 10).iter().map(|hit| hit.creator.name.as_str()).collect();
        assert_eq!(names, ["Luna Marlowe", "Luna Hartwell"]);
        let twin = |name: &str| Creator {
            name: name.to_owned(),
            url: "https://c.example/t".to_owned(),
            aliases: Vec::new(),
            item_count: None,
        };
        let index = Index::new(vec![twin("Nova Birch"), twin("Nova Aspen")]);
        let names: Vec<&str> =
            index.search("nova", 10).iter().map(|hit| hit.creator.name.as_str()).collect();
        assert_eq!(names, ["Nova Aspen", "Nova Birch"]);
    }
}
