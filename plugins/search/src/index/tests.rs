//! What a person finds with what they type.

use proptest::prelude::*;

use super::*;

fn row(name: &str, aliases: &[&str]) -> Row {
    Row {
        name: name.to_owned(),
        url: format!("https://c.example/{}", name.len()),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        item_count: None,
    }
}

fn index() -> Index {
    Index::new(&[
        row("Luna Marlowe", &["moonlit_luna"]),
        row("Luna Hartwell", &[]),
        row("Marlow Quist", &[]),
        row("José Álvarez", &["JoseInTheKitchen"]),
        row("Ida", &[]),
        row("李明", &["Ли Мин"]),
    ])
}

#[track_caller]
fn first(query: &str, expected: Option<&str>) {
    let index = index();
    let hits = index.search(query, 10);
    assert_eq!(hits.first().map(|hit| hit.creator.name), expected, "{query}: {hits:?}");
}

fn found<'a>(index: &'a Index, query: &str) -> Vec<&'a str> {
    index.search(query, 10).iter().map(|hit| hit.creator.name).collect()
}

#[test]
fn the_very_name_scores_one_however_it_is_written() {
    for query in ["Luna Marlowe", "luna_marlowe", "LunaMarlowe", "  LUNA-MARLOWE ", "moonlit luna"]
    {
        let index = index();
        let hits = index.search(query, 10);
        assert_eq!(hits[0].creator.name, "Luna Marlowe", "{query}");
        assert!((hits[0].score - 1.0).abs() < 1e-9, "{query}: {}", hits[0].score);
    }
    first("jose alvarez", Some("José Álvarez"));
    first("李明", Some("李明"));
    first("ли мин", Some("李明"));
}

#[test]
fn typing_mistakes_parts_and_word_order_find_the_right_one() {
    first("luna marlow", Some("Luna Marlowe"));
    first("lnua marlowe", Some("Luna Marlowe"));
    first("marlowe luna", Some("Luna Marlowe"));
    first("marlwoe lnua", Some("Luna Marlowe"));
    first("hartwel", Some("Luna Hartwell"));
    first("harwtell", Some("Luna Hartwell"));
    first("quist", Some("Marlow Quist"));
    first("qiust", Some("Marlow Quist"));
    first("josé in the", Some("José Álvarez"));
    first("lvarez", Some("José Álvarez"));
    first("idaa", Some("Ida"));
    first("i", Some("Ida"));
}

#[test]
fn nothing_like_it_finds_nothing() {
    first("zzzzqqqq", None);
    first("x", None);
    first("", None);
    first(&"qx jz ".repeat(30), None);
    assert!(Index::default().search("luna", 10).is_empty());
    assert!(Index::new(&[]).search("luna", 10).is_empty());
}

#[test]
fn a_creator_comes_once_however_many_of_its_names_fit() {
    let index = Index::new(&[row("Nova", &["Nova B", "Nova Birch"]), row("Novak", &[])]);
    assert_eq!(found(&index, "nova"), ["Nova", "Novak"]);
}

#[test]
fn equals_stand_in_the_order_of_their_names_and_shorter_names_first() {
    assert_eq!(found(&index(), "luna"), ["Luna Marlowe", "Luna Hartwell"]);
    let index = Index::new(&[row("Nova Birch", &[]), row("Nova Aspen", &[])]);
    assert_eq!(found(&index, "nova"), ["Nova Aspen", "Nova Birch"]);
}

#[test]
fn a_crowd_of_likely_names_does_not_hide_the_very_one() {
    let mut rows: Vec<Row> = (0..20_000).map(|n| row(&format!("Luna {n:05}"), &[])).collect();
    rows.insert(4_000, row("Luna", &[]));
    let index = Index::new(&rows);
    assert_eq!(found(&index, "luna")[0], "Luna");
    assert_eq!(found(&index, "lnua")[0], "Luna");
    assert_eq!(found(&index, "19876")[0], "Luna 19876", "far behind in the index");
    assert_eq!(index.search("luna", 50).len(), 50);
}

/// Two to three words of four to eight letters.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-z]{4,8}", 2..4).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn a_name_finds_itself_and_with_one_mistake_still(
        names in prop::collection::vec(name(), 1..60),
        wanted in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        mistake in 0..4,
        letter in prop::char::range('a', 'z'),
    ) {
        let rows: Vec<Row> = names.iter().map(|name| row(name, &[])).collect();
        let index = Index::new(&rows);
        let wanted = wanted.get(&names).as_str();
        let hits = index.search(wanted, 10);
        prop_assert_eq!(hits[0].score, 1.0);
        prop_assert!(hits.iter().any(|hit| hit.creator.name == wanted));
        let mut letters: Vec<char> = wanted.chars().collect();
        let place = place.index(letters.len() - 1);
        match mistake {
            0 => letters.swap(place, place + 1),
            1 => { letters.remove(place); }
            2 => letters.insert(place, letter),
            _ => letters[place] = letter,
        }
        let mistaken: String = letters.into_iter().collect();
        let hits = index.search(&mistaken, 10);
        prop_assert!(hits.iter().any(|hit| hit.creator.name == wanted), "{}: {:?}", mistaken, hits);
    }

    #[test]
    fn whatever_is_asked_scores_are_shares_in_falling_order_and_the_same_each_time(
        names in prop::collection::vec(".{0,30}", 0..20),
        query in ".{0,40}",
        limit in 1_usize..20,
    ) {
        let rows: Vec<Row> = names.iter().map(|name| row(name, &[])).collect();
        let index = Index::new(&rows);
        let hits = index.search(&query, limit);
        prop_assert!(hits.len() <= limit);
        prop_assert!(hits.iter().all(|hit| (0.0..=1.0).contains(&hit.score)));
        prop_assert!(hits.is_sorted_by(|a, b| b.score <= a.score));
        prop_assert_eq!(&hits, &index.search(&query, limit));
    }
}
