//! Shows creators: a list to choose from, or a random one.

use crate::chat::callback::ButtonAction;
use crate::chat::results::{Creator, PAGE_CREATORS, ResultSet};
use crate::chat::sanitize::{clean, link, safe_html};
use crate::chat::screen::{Button, Screen};
use crate::chat::text::{Arg, Lang};

const MAX_NAME_CHARS: usize = 80;
const MAX_ALIASES: usize = 3;

/// A result set as a message.
pub fn page(lang: Lang, set: &ResultSet) -> Screen {
    if set.random { random(lang, set) } else { results(lang, set) }
}

/// One page of a result set, with a button for each creator.
pub fn results(lang: Lang, set: &ResultSet) -> Screen {
    let query = safe_html(&set.query, 60);
    let query = [("query", Arg::Text(&query))];
    let forum = set.extended_from.is_some();
    if set.creators.is_empty() {
        let html = if set.has_more {
            lang.format("nothing-on-page", &query)
        } else {
            let nothing = lang.format("nothing-found", &query);
            format!("{nothing}\n\n{}", lang.text("try-otherwise"))
        };
        let mut screen = Screen::plain(html);
        screen.buttons.extend(turn(lang, set, 0));
        screen.buttons.push(way_on(lang, set));
        return screen;
    }
    let mut head = match (forum, set.exact) {
        (true, _) => lang.format("forum-results", &query),
        (false, true) => lang.format("found", &query),
        (false, false) => lang.format("closest", &query),
    };
    let page = set.page.min(set.last_page());
    if let Some(where_) = whereabouts(lang, set, page) {
        head.push('\n');
        head.push_str(&where_);
    }
    let numbered: Vec<(usize, &Creator)> =
        set.creators.iter().enumerate().skip(page * PAGE_CREATORS).take(PAGE_CREATORS).collect();
    let lines: Vec<String> =
        numbered.iter().map(|(index, creator)| line(lang, index + 1, creator)).collect();
    let mut screen = Screen::plain(format!("{head}\n\n{}", lines.join("\n")));
    for (index, creator) in numbered {
        let button = if forum {
            Button::open(&creator.name, &creator.url)
        } else {
            let action = ButtonAction::OpenCreator { view: set.view.clone(), index };
            Some(Button::press(&label(lang, creator), action))
        };
        screen.buttons.extend(button.map(|button| vec![button]));
    }
    screen.buttons.extend(turn(lang, set, page));
    screen.buttons.push(way_on(lang, set));
    screen
}

/// The page number, when there are several.
fn whereabouts(lang: Lang, set: &ResultSet, page: usize) -> Option<String> {
    let number = ("page", Arg::Number(page as u64 + 1));
    if set.last_page() > 0 {
        let pages = ("pages", Arg::Number(set.last_page() as u64 + 1));
        return Some(lang.format("page-of", &[number, pages]));
    }
    let several = set.forum_page > 1 || set.has_more;
    several.then(|| lang.format("page", &[("page", Arg::Number(set.forum_page))]))
}

/// Buttons to the previous and next page, of the session's results or else of the forum.
fn turn(lang: Lang, set: &ResultSet, page: usize) -> Option<Vec<Button>> {
    let last = set.last_page();
    let view = || set.view.clone();
    let here = |page| ButtonAction::ResultsPage { view: view(), page };
    let forum = |page: u64| {
        let page = usize::try_from(page).unwrap_or(usize::MAX);
        ButtonAction::ForumPage { view: view(), page }
    };
    let before = match page.checked_sub(1) {
        Some(before) => Some(here(before)),
        None => (set.forum_page > 1).then(|| forum(set.forum_page - 1)),
    };
    let after = if page < last {
        Some(here(page + 1))
    } else {
        set.has_more.then(|| forum(set.forum_page + 1))
    };
    let before = before.map(|action| Button::named(lang, "button-previous", action));
    let after = after.map(|action| Button::named(lang, "button-next", action));
    let row: Vec<Button> = before.into_iter().chain(after).collect();
    (!row.is_empty()).then_some(row)
}

/// The button from the catalogue's results to the forum's, and back.
fn way_on(lang: Lang, set: &ResultSet) -> Vec<Button> {
    let button = match &set.extended_from {
        None => Button::named(
            lang,
            "button-extended",
            ButtonAction::SearchForum { view: set.view.clone() },
        ),
        Some(from) => {
            Button::named(lang, "button-results", ButtonAction::Results { view: from.clone() })
        }
    };
    vec![button]
}

fn label(lang: Lang, creator: &Creator) -> String {
    let name = clean(&creator.name, 32);
    match creator.item_count {
        Some(count) => format!("{name} · {}", lang.counted("items", count)),
        None => name,
    }
}

fn line(lang: Lang, number: usize, creator: &Creator) -> String {
    let mut line = format!("{number}. {}", link(&creator.name, &creator.url, MAX_NAME_CHARS));
    let aliases: Vec<String> =
        creator.aliases.iter().take(MAX_ALIASES).map(|alias| safe_html(alias, 40)).collect();
    if !aliases.is_empty() {
        line.push_str(&format!(" <i>({})</i>", aliases.join(", ")));
    }
    if let Some(replies) = creator.replies {
        line.push_str(&format!(" · {}", lang.counted("replies", replies)));
    }
    if let Some(snippet) = &creator.snippet {
        line.push_str(&format!("\n    <i>{}</i>", safe_html(snippet, 120)));
    }
    line
}

/// A random creator; `set` holds just that one.
pub fn random(lang: Lang, set: &ResultSet) -> Screen {
    let Some(creator) = set.creators.first() else {
        return Screen::plain(lang.text("try-otherwise"));
    };
    let name = link(&creator.name, &creator.url, MAX_NAME_CHARS);
    let mut html = lang.format("how-about", &[("name", Arg::Text(&name))]);
    if let Some(count) = creator.item_count {
        html.push('\n');
        html.push_str(&lang.counted("items", count));
    }
    let mut screen = Screen::plain(html);
    let choose = ButtonAction::OpenCreator { view: set.view.clone(), index: 0 };
    let mut row = vec![Button::named(lang, "button-items", choose)];
    row.extend(Button::open(&lang.text("button-open"), &creator.url));
    screen.buttons.push(row);
    screen.buttons.push(vec![Button::named(lang, "button-another", ButtonAction::Random)]);
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
        let screen = results(Lang::En, &set(vec![long; 10]));
        // The limit counts the text without tags and references.
        let text = crate::chat::render::content::visible_units(&screen.html);
        assert!(text <= 4_096, "{text}");
        assert_eq!(screen.buttons.len(), 11);
    }

    #[track_caller]
    fn turns(set: &ResultSet, expected: &[&str]) {
        let screen = results(Lang::En, set);
        let row = screen.buttons.iter().rev().nth(1).into_iter().flatten();
        let labels: Vec<&str> = row.map(|button| button.text.as_str()).collect();
        assert_eq!(labels, expected);
    }

    #[test]
    fn many_results_are_on_pages_and_the_forum_has_its_own() {
        let many = |page| ResultSet { page, ..set(vec![creator("x"); 25]) };
        turns(&many(0), &["Next ▶"]);
        turns(&many(1), &["◀ Previous", "Next ▶"]);
        turns(&many(2), &["◀ Previous"]);
        let forum = |forum_page, has_more| ResultSet {
            extended_from: Some("cd".to_owned()),
            forum_page,
            has_more,
            ..set(Vec::new())
        };
        turns(&forum(1, true), &["Next ▶"]);
        turns(&forum(2, true), &["◀ Previous", "Next ▶"]);
        turns(&forum(2, false), &["◀ Previous"]);
    }

    #[test]
    fn no_result_leaves_a_way_on() {
        let screen = results(Lang::En, &set(Vec::new()));
        assert!(screen.html.contains("Nothing found"));
        assert_eq!(screen.buttons.len(), 1);
    }
}
