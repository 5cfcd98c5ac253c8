//! Shows a creator's items, a page at a time.

use chat_commands::media::Media;

use crate::chat::callback::ButtonAction;
use crate::chat::contents::{ContentView, Item, PAGE_ITEMS};
use crate::chat::filter::Filter;
use crate::chat::sanitize::{link, safe_html};
use crate::chat::screen::{Button, Screen};
use crate::chat::text::{Arg, Lang};

/// One page of the loaded items.
pub fn page(lang: Lang, view: &ContentView) -> Screen {
    let name = safe_html(&view.creator.name, 80);
    let name = ("name", Arg::Text(&name));
    if view.items.is_empty() {
        let id = match view.filter {
            Filter::All => "content-empty",
            Filter::Pictures | Filter::Videos => "content-empty-filter",
        };
        let mut screen = Screen::plain(lang.format(id, &[name]));
        // The next page may have items that can be shown.
        screen.buttons.extend(more(lang, view).map(|more| vec![more]));
        if view.filter != Filter::All {
            screen.buttons.push(filters(lang, view));
        }
        screen.buttons.extend(back(lang, view).map(|back| vec![back]));
        return screen;
    }
    let page = view.page.min(view.last_page());
    let pages = view.total_items.div_ceil(PAGE_ITEMS).max(view.last_page() + 1);
    let lines: Vec<String> =
        of_page(view, page).map(|(number, item)| line(lang, number, item)).collect();
    let items = lang.counted("items", view.total_items as u64);
    let title = lang.format("content-title", &[name, ("items", Arg::Text(&items))]);
    let shown = page as u64 + 1;
    let of = pages as u64;
    let where_ =
        lang.format("page-of", &[("page", Arg::Number(shown)), ("pages", Arg::Number(of))]);
    let mut screen = Screen::plain(format!("{title}\n{where_}\n\n{}", lines.join("\n")));
    if page == view.last_page() && view.full && view.items.len() < view.total_items {
        let there = link(&view.creator.name, &view.creator.url, 80);
        let there = lang.format("content-full", &[("name", Arg::Text(&there))]);
        screen.html = format!("{}\n\n{there}", screen.html);
    }
    let to = |page| ButtonAction::ContentPage { view: view.view.clone(), page };
    let mut turn = Vec::new();
    if page > 0 {
        turn.push(Button::named(lang, "button-previous", to(page - 1)));
    }
    if page < view.last_page() {
        turn.push(Button::named(lang, "button-next", to(page + 1)));
    } else {
        turn.extend(more(lang, view));
    }
    if !turn.is_empty() {
        screen.buttons.push(turn);
    }
    screen.buttons.push(filters(lang, view));
    let album = ButtonAction::Album { view: view.view.clone(), page };
    let mut last = vec![Button::named(lang, "button-album", album)];
    last.extend(back(lang, view));
    screen.buttons.push(last);
    screen
}

/// The pictures and videos of one page.
pub fn album(view: &ContentView, page: usize) -> Vec<Media> {
    of_page(view, page)
        .map(|(_, item)| Media {
            kind: item.kind,
            url: item.url.clone(),
            caption: Some(item.title.clone()).filter(|title| !title.is_empty()),
        })
        .collect()
}

fn of_page(view: &ContentView, page: usize) -> impl Iterator<Item = (usize, &Item)> {
    let numbered = view.items.iter().enumerate().map(|(index, item)| (index + 1, item));
    numbered.skip(page.saturating_mul(PAGE_ITEMS)).take(PAGE_ITEMS)
}

fn line(lang: Lang, number: usize, item: &Item) -> String {
    let sign = item.kind.sign();
    let untitled = lang.text("untitled");
    let title = if item.title.is_empty() { &untitled } else { &item.title };
    let title = link(title, &item.url, 70);
    format!("{number}. {sign} {title} <i>{}</i>", safe_html(&item.date, 10))
}

fn more(lang: Lang, view: &ContentView) -> Option<Button> {
    view.cursor.as_ref()?;
    Some(Button::named(lang, "button-more", ButtonAction::LoadMore { view: view.view.clone() }))
}

fn filters(lang: Lang, view: &ContentView) -> Vec<Button> {
    let button = |filter: Filter| {
        let id = match filter {
            Filter::All => "button-all",
            Filter::Pictures => "button-pictures",
            Filter::Videos => "button-videos",
        };
        let mark = if filter == view.filter { "• " } else { "" };
        let action = ButtonAction::Filter { view: view.view.clone(), filter };
        Button::press(&format!("{mark}{}", lang.text(id)), action)
    };
    Filter::ALL.map(button).into()
}

fn back(lang: Lang, view: &ContentView) -> Option<Button> {
    let view = view.results.clone()?;
    Some(Button::named(lang, "button-results", ButtonAction::Results { view }))
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
    use chat_commands::media::MediaKind;

    use super::*;
    use crate::chat::contents::Item;
    use crate::chat::results::Creator;

    fn view(items: usize, page: usize, cursor: bool) -> ContentView {
        let item = |n: usize| Item {
            id: n.to_string(),
            title: format!("Item {n} {}", "<&>".repeat(100)),
            url: format!("https://m.example/{n}"),
            date: "2026-01-01".to_owned(),
            kind: MediaKind::from(n.is_multiple_of(2)),
        };
        ContentView {
            view: "ab".to_owned(),
            creator: Creator { name: "Luna".to_owned(), ..Creator::default() },
            items: (0..items).map(item).collect(),
            cursor: cursor.then(|| "cursor".to_owned()),
            total_items: 57,
            page,
            results: Some("cd".to_owned()),
            filter: Filter::Pictures,
            full: false,
        }
    }

    #[track_caller]
    fn buttons(view: &ContentView, expected: &[&str]) {
        let screen = page(Lang::En, view);
        let rows: Vec<String> = screen
            .buttons
            .iter()
            .map(|row| row.iter().map(|button| button.text.clone()).collect::<Vec<_>>().join(" | "))
            .collect();
        assert_eq!(rows, expected);
        assert!(visible_units(&screen.html) <= 4_096);
    }

    #[test]
    fn buttons_lead_to_what_there_is() {
        let filters = "All | • 🖼 Pictures | 🎬 Videos";
        let last = "👁 Show here | ↩ Results";
        buttons(&view(10, 0, true), &["⬇ Load more", filters, last]);
        buttons(&view(30, 1, true), &["◀ Previous | Next ▶", filters, last]);
        buttons(&view(30, 2, true), &["◀ Previous | ⬇ Load more", filters, last]);
        buttons(&view(30, 99, false), &["◀ Previous", filters, last]);
        buttons(&view(0, 0, false), &[filters, "↩ Results"]);
        buttons(&view(0, 0, true), &["⬇ Load more", filters, "↩ Results"]);
    }

    #[test]
    fn the_page_and_the_numbers_of_its_items_are_shown() {
        let screen = page(Lang::En, &view(30, 2, true));
        assert!(screen.html.contains("Page 3 of 6"), "{}", screen.html);
        assert!(screen.html.contains("\n21. "), "{}", screen.html);
        assert!(screen.html.contains("\n30. "), "{}", screen.html);
        assert_eq!(album(&view(30, 2, true), 2).len(), 10);
    }
}
