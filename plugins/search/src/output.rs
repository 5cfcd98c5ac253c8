//! From hits to the published JSON.

use serde_json::{Map, Value, json};

use crate::catalogue::Noticed;
use crate::index::{Hit, Index};
use crate::roster::Creator;

/// Data and metadata of a search.
pub fn search(query: &str, hits: &[Hit<'_>]) -> (Value, Value) {
    let exact = hits.iter().filter(|hit| hit.score >= 1.0).count();
    let creators: Vec<Value> = hits
        .iter()
        .map(|hit| {
            let mut creator = creator(&hit.creator);
            creator.insert("source".to_owned(), "csv".into());
            creator.insert("score".to_owned(), round(hit.score).into());
            Value::Object(creator)
        })
        .collect();
    let data = json!({
        "query": query,
        "creators": creators,
        "exact_match": 0 < exact,
        "fuzzy_match": exact == 0 && !hits.is_empty(),
        "source": "csv",
    });
    // One exact name among others is still a choice for the person, unless it is the only one.
    (data, json!({"needs_selection": 1 < hits.len() && exact != 1}))
}

/// Data of a random pick.
pub fn random(creator: &Creator<'_>) -> Value {
    json!({
        "creator_name": shown_name(creator.name),
        "creator_url": creator.url,
        "item_count": creator.item_count.unwrap_or(0),
    })
}

/// What an operator reads after the catalogue was loaded.
pub fn loaded(index: &Index, noticed: &Noticed) -> String {
    let creators = index.creators().len();
    let names = index.names();
    let mut text = format!("catalogue: {creators} creators with {names} names");
    let told = [
        noticed.skipped.told("skipped"),
        noticed.uncounted.told("kept without their number of items"),
        noticed.ragged.told("with another number of cells than the header"),
    ];
    for told in told.into_iter().flatten() {
        text.push_str("; ");
        text.push_str(&told);
    }
    text
}

/// A marked build shows a star, so that a swap is seen in the chat.
fn shown_name(name: &str) -> String {
    if cfg!(feature = "marked") { format!("{name} ★") } else { name.to_owned() }
}

fn creator(creator: &Creator<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), shown_name(creator.name).into());
    fields.insert("url".to_owned(), creator.url.into());
    fields.insert("aliases".to_owned(), creator.aliases().collect::<Vec<_>>().into());
    if let Some(count) = creator.item_count {
        fields.insert("item_count".to_owned(), count.into());
    }
    fields
}

fn round(score: f64) -> f64 {
    (score * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    use kit::sheet::{NamedRow, Rows};

    use crate::catalogue::Row;

    fn index() -> Index {
        let row = |name: &str, alias: &str, item_count| Row {
            name: name.to_owned(),
            url: "https://c.example/l".to_owned(),
            aliases: vec![alias.to_owned()],
            item_count,
        };
        Index::new(&[
            row("Luna", "L", Some(3)),
            row("Lunara", "Otis", None),
            row("Otis", "O", None),
        ])
    }

    #[test]
    fn a_search_answers_in_the_published_form() {
        let index = index();
        let creator = index.creators().get(0).unwrap();
        let (data, metadata) = search("lun", &[Hit { creator, score: 0.912_34 }]);
        assert_eq!(
            data,
            json!({
                "query": "lun",
                "creators": [{"name": "Luna", "url": "https://c.example/l", "aliases": ["L"],
                              "item_count": 3, "source": "csv", "score": 0.912}],
                "exact_match": false,
                "fuzzy_match": true,
                "source": "csv",
            })
        );
        assert_eq!(metadata, json!({"needs_selection": false}));
    }

    #[test]
    fn what_was_noticed_is_counted_and_the_rest_of_the_named_is_told() {
        let rows = |count, named| Rows {
            named: vec![NamedRow { line: 2, reason: "no name".into() }; named],
            count,
        };
        let told = |skipped, uncounted| {
            loaded(&index(), &Noticed { skipped, uncounted, ..Noticed::default() })
        };
        let start = "catalogue: 3 creators with 6 names";
        assert_eq!(told(rows(0, 0), rows(0, 0)), start);
        assert_eq!(
            told(rows(3, 3), rows(30, 20)),
            format!(
                "{start}; 3 rows skipped; 30 rows kept without their number of items, of which the first 20 are named above"
            )
        );
    }

    #[test]
    fn a_person_chooses_unless_one_name_alone_is_the_very_one() {
        let index = index();
        for (query, exact, fuzzy, choose) in [
            ("luna", true, false, false),
            ("otis", true, false, true),
            ("lunaa", false, true, true),
            ("lunaro", false, true, true),
            ("zzz", false, false, false),
        ] {
            let (data, metadata) = search(query, &index.search(query, 10));
            let said = (&data["exact_match"], &data["fuzzy_match"], &metadata["needs_selection"]);
            assert_eq!(said, (&json!(exact), &json!(fuzzy), &json!(choose)), "{query}: {data}");
        }
    }
}
