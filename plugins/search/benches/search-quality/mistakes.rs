//! What people make of a name when they type it.

use search::catalogue::Row;
use search::fold::fold;

use crate::names::Dice;

/// One way to write a name; nothing when this name cannot be written so.
pub(crate) type Variant = fn(&mut Dice, &Row) -> Option<String>;

/// All of them, with what the table calls them.
pub(crate) const VARIANTS: &[(&str, Variant)] = &[
    ("as it stands", |_, row| Some(row.name.clone())),
    ("other case and separators", |dice, row| respelled(dice, &row.name)),
    ("without its accents", |_, row| (!row.name.is_ascii()).then(|| fold(&row.name))),
    ("one wrong letter", |dice, row| Some(wrong(dice, &row.name))),
    ("two neighbours swapped", |dice, row| swapped(dice, &row.name)),
    ("one letter missing", |dice, row| Some(missing(dice, &row.name))),
    ("one letter too many", |dice, row| Some(doubled(dice, &row.name))),
    ("two wrong letters", |dice, row| {
        let once = wrong(dice, &row.name);
        Some(wrong(dice, &once))
    }),
    ("words in another order", |_, row| turned(&row.name)),
    ("another order, one wrong letter", |dice, row| Some(wrong(dice, &turned(&row.name)?))),
    ("last three letters not typed yet", |_, row| cut(&row.name)),
    ("another name of theirs", |dice, row| respelled(dice, row.aliases.first()?)),
    ("another name, one wrong letter", |dice, row| Some(wrong(dice, row.aliases.first()?))),
];

fn respelled(dice: &mut Dice, name: &str) -> Option<String> {
    let words: Vec<String> = fold(name).split(' ').map(str::to_owned).collect();
    Some(match dice.below(4) {
        0 => words.join("_"),
        1 => words.join("."),
        2 => words.concat(),
        _ => words.join("-").to_uppercase(),
    })
}

/// Where letters stand; separators are not mistyped.
fn places(letters: &[char]) -> Vec<usize> {
    (0..letters.len()).filter(|place| letters[*place].is_alphanumeric()).collect()
}

fn change(
    dice: &mut Dice,
    name: &str,
    change: impl Fn(&mut Dice, &mut Vec<char>, usize),
) -> String {
    let mut letters: Vec<char> = name.to_lowercase().chars().collect();
    let places = places(&letters);
    let place = places[dice.below(places.len())];
    change(dice, &mut letters, place);
    letters.into_iter().collect()
}

fn wrong(dice: &mut Dice, name: &str) -> String {
    change(dice, name, |dice, letters, place| {
        let other = |letter: char| if letter == 'z' { 'a' } else { char::from(letter as u8 + 1) };
        let typed = char::from(b'a' + dice.below(26) as u8);
        letters[place] = if typed == letters[place] { other(typed) } else { typed };
    })
}

fn missing(dice: &mut Dice, name: &str) -> String {
    change(dice, name, |_, letters, place| {
        letters.remove(place);
    })
}

fn doubled(dice: &mut Dice, name: &str) -> String {
    change(dice, name, |dice, letters, place| {
        let typed =
            if dice.percent(50) { letters[place] } else { char::from(b'a' + dice.below(26) as u8) };
        letters.insert(place, typed);
    })
}

fn swapped(dice: &mut Dice, name: &str) -> Option<String> {
    let mut letters: Vec<char> = name.to_lowercase().chars().collect();
    let pairs: Vec<usize> = (1..letters.len())
        .filter(|place| {
            let before = letters[place - 1];
            let after = letters[*place];
            before != after && before.is_alphanumeric() && after.is_alphanumeric()
        })
        .collect();
    let place = *pairs.get(dice.below(pairs.len().max(1)))?;
    letters.swap(place - 1, place);
    Some(letters.into_iter().collect())
}

fn turned(name: &str) -> Option<String> {
    let mut words: Vec<&str> = name.split(' ').collect();
    words.rotate_right(1);
    (words.len() > 1).then(|| words.join(" "))
}

fn cut(name: &str) -> Option<String> {
    let letters: Vec<char> = name.chars().collect();
    (letters.len() >= 10).then(|| letters[..letters.len() - 3].iter().collect())
}
