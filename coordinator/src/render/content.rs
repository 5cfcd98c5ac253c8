//! A creator's items, a page at a time.

use super::{Button, Screen, counted, link, shown};
use crate::callback::Token;
use crate::session::{ContentView, PAGE_ITEMS};
use crate::text;

/// One page of what is loaded.
pub fn page(view: &ContentView) -> Screen {
    let name = shown(&view.creator.name, 80);
    if view.items.is_empty() {
        let mut screen = Screen::plain(format!("📂 <b>{name}</b> has no items to show."));
        screen.buttons.extend(back(view));
        return screen;
    }
    let page = view.page.min(view.last_page());
    let pages = view.total_items.div_ceil(PAGE_ITEMS).max(view.last_page() + 1);
    let first = page * PAGE_ITEMS;
    let lines: Vec<String> = view
        .items
        .iter()
        .enumerate()
        .skip(first)
        .take(PAGE_ITEMS)
        .map(|(n, item)| {
            let mark = if item.video { "🎬" } else { "🖼" };
            let title = link(&item.title, &item.url, 70);
            format!("{}. {mark} {title} <i>{}</i>", n + 1, shown(&item.date, 10))
        })
        .collect();
    let mut screen = Screen::plain(format!(
        "📂 <b>{name}</b> · {}\nPage {} of {pages}\n\n{}",
        counted(view.total_items as u64, "item"),
        page + 1,
        lines.join("\n")
    ));
    let mut turn = Vec::new();
    let to = |page| Token::Page { view: view.view.clone(), page };
    if 0 < page {
        turn.push(Button::press(text::BUTTON_PREVIOUS, to(page - 1)));
    }
    if page < view.last_page() {
        turn.push(Button::press(text::BUTTON_NEXT, to(page + 1)));
    } else if view.cursor.is_some() {
        turn.push(Button::press(text::BUTTON_MORE, Token::More { view: view.view.clone() }));
    }
    if !turn.is_empty() {
        screen.buttons.push(turn);
    }
    screen.buttons.extend(back(view));
    screen
}

fn back(view: &ContentView) -> Option<Vec<Button>> {
    let results = view.results.clone()?;
    Some(vec![Button::press(text::BUTTON_RESULTS, Token::Results { view: results })])
}

/// UTF-16 units of a message without its tags and references, as Telegram counts them.
#[cfg(test)]
pub(crate) fn visible_units(html: &str) -> usize {
    let mut units = 0;
    let mut letters = html.chars();
    while let Some(letter) = letters.next() {
        let end = match letter {
            '<' => '>',
            '&' => ';',
            _ => {
                units += letter.len_utf16();
                continue;
            }
        };
        letters.find(|letter| *letter == end);
        units += usize::from(end == ';');
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Creator, Item};

    fn view(items: usize, page: usize, cursor: bool) -> ContentView {
        let item = |n: usize| Item {
            id: n.to_string(),
            title: format!("Item {n} {}", "<&>".repeat(100)),
            url: format!("https://m.example/{n}"),
            date: "2026-01-01".to_owned(),
            video: n.is_multiple_of(2),
        };
        ContentView {
            view: "ab".to_owned(),
            creator: Creator { name: "Luna".to_owned(), ..Creator::default() },
            items: (0..items).map(item).collect(),
            cursor: cursor.then(|| "cursor".to_owned()),
            total_items: 57,
            page,
            results: Some("cd".to_owned()),
        }
    }

    #[track_caller]
    fn buttons(view: &ContentView, expected: &[&str]) {
        let screen = page(view);
        let texts: Vec<&str> =
            screen.buttons.iter().flatten().map(|button| button.text.as_str()).collect();
        assert_eq!(texts, expected);
        assert!(visible_units(&screen.html) <= 4_096);
    }

    #[test]
    fn buttons_lead_to_what_there_is() {
        buttons(&view(10, 0, true), &[text::BUTTON_MORE, text::BUTTON_RESULTS]);
        buttons(
            &view(30, 1, true),
            &[text::BUTTON_PREVIOUS, text::BUTTON_NEXT, text::BUTTON_RESULTS],
        );
        buttons(
            &view(30, 2, true),
            &[text::BUTTON_PREVIOUS, text::BUTTON_MORE, text::BUTTON_RESULTS],
        );
        buttons(&view(30, 99, false), &[text::BUTTON_PREVIOUS, text::BUTTON_RESULTS]);
        buttons(&view(0, 0, false), &[text::BUTTON_RESULTS]);
    }

    #[test]
    fn the_page_and_the_numbers_of_its_items_are_shown() {
        let screen = page(&view(30, 2, true));
        assert!(screen.html.contains("Page 3 of 6"), "{}", screen.html);
        assert!(screen.html.contains("\n21. "), "{}", screen.html);
        assert!(screen.html.contains("\n30. "), "{}", screen.html);
    }
}
