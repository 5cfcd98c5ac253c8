//! Creators: a list to choose from, and one by chance.

use super::{Button, Screen, clean, counted, counted_as, link, shown};
use crate::callback::Token;
use crate::session::{Creator, ResultSet};
use crate::text;

const MAX_NAME_CHARS: usize = 80;
const MAX_ALIASES: usize = 3;

/// A result set with a button for each creator.
pub fn results(set: &ResultSet) -> Screen {
    let query = shown(&set.query, 60);
    let extended = set.extended_from.is_some();
    if set.creators.is_empty() {
        let mut screen = Screen::plain(format!(
            "🤷 Nothing found for <b>{query}</b>.\n\n{}",
            text::TRY_OTHERWISE
        ));
        add_way_on(&mut screen, set);
        return screen;
    }
    let head = match (extended, set.exact) {
        (true, _) => format!("🔎 The forum's results for <b>{query}</b>:"),
        (false, true) => format!("✅ Found <b>{query}</b>:"),
        (false, false) => format!("🔎 Closest to <b>{query}</b>:"),
    };
    let lines: Vec<String> =
        set.creators.iter().enumerate().map(|(n, creator)| line(n + 1, creator)).collect();
    let mut screen = Screen::plain(format!("{head}\n\n{}", lines.join("\n")));
    for (place, creator) in set.creators.iter().enumerate() {
        let button = match extended {
            true => Button::open(&creator.name, &creator.url),
            false => {
                let token = Token::Choose { view: set.view.clone(), place };
                Some(Button::press(&label(creator), token))
            }
        };
        screen.buttons.extend(button.map(|button| vec![button]));
    }
    add_way_on(&mut screen, set);
    screen
}

/// From the catalogue's results to the forum's, and back.
fn add_way_on(screen: &mut Screen, set: &ResultSet) {
    let button = match &set.extended_from {
        None => Button::press(text::BUTTON_EXTENDED, Token::Extended { view: set.view.clone() }),
        Some(from) => Button::press(text::BUTTON_RESULTS, Token::Results { view: from.clone() }),
    };
    screen.buttons.push(vec![button]);
}

fn label(creator: &Creator) -> String {
    let name = clean(&creator.name, 32);
    match creator.item_count {
        Some(count) => format!("{name} · {}", counted(count, "item")),
        None => name,
    }
}

fn line(number: usize, creator: &Creator) -> String {
    let mut line = format!("{number}. {}", link(&creator.name, &creator.url, MAX_NAME_CHARS));
    let aliases: Vec<String> =
        creator.aliases.iter().take(MAX_ALIASES).map(|alias| shown(alias, 40)).collect();
    if !aliases.is_empty() {
        line.push_str(&format!(" <i>({})</i>", aliases.join(", ")));
    }
    if let Some(replies) = creator.replies {
        line.push_str(&format!(" · {}", counted_as(replies, "reply", "replies")));
    }
    if let Some(snippet) = &creator.snippet {
        line.push_str(&format!("\n    <i>{}</i>", shown(snippet, 120)));
    }
    line
}

/// A creator by chance; `set` holds just them.
pub fn random(set: &ResultSet) -> Screen {
    let Some(creator) = set.creators.first() else { return Screen::plain(text::TRY_OTHERWISE) };
    let count = creator.item_count.map(|count| format!("\n{}", counted(count, "item")));
    let count = count.unwrap_or_default();
    let name = link(&creator.name, &creator.url, MAX_NAME_CHARS);
    let mut screen = Screen::plain(format!("🎲 How about <b>{name}</b>?{count}"));
    let choose = Token::Choose { view: set.view.clone(), place: 0 };
    let mut row = vec![Button::press(text::BUTTON_ITEMS, choose)];
    row.extend(Button::open(text::BUTTON_OPEN, &creator.url));
    screen.buttons.push(row);
    screen.buttons.push(vec![Button::press(text::BUTTON_ANOTHER, Token::Random)]);
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creator(name: &str) -> Creator {
        Creator {
            name: name.to_owned(),
            url: "https://c.example/x".to_owned(),
            ..Creator::default()
        }
    }

    fn set(creators: Vec<Creator>) -> ResultSet {
        ResultSet { view: "ab".to_owned(), query: "q".to_owned(), creators, ..ResultSet::default() }
    }

    #[test]
    fn ten_creators_with_endless_names_stay_within_telegrams_limit() {
        let mut long = creator(&"<x>".repeat(500));
        long.aliases = vec!["&".repeat(500); 9];
        long.snippet = Some("\u{202e}<".repeat(500));
        long.url = format!("https://c.example/{}", "x".repeat(900));
        let screen = results(&set(vec![long; 10]));
        // The limit counts the text without tags and references.
        let text = crate::render::content::visible_units(&screen.html);
        assert!(text <= 4_096, "{text}");
        assert_eq!(screen.buttons.len(), 11);
    }

    #[test]
    fn no_result_leaves_a_way_on() {
        let screen = results(&set(Vec::new()));
        assert!(screen.html.contains("Nothing found"));
        assert_eq!(screen.buttons.len(), 1);
    }
}
