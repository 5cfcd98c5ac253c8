//! Shows a plugin's view, in pages when it is longer than one message.

use chat_commands::media::Media;
use chat_commands::view::{Entry, NEXT_INDEX, View, ViewAction};

use super::markup::{Line, Run, Style, lines};
use super::pages::Pages;
use crate::chat::callback::ButtonAction;
use crate::chat::sanitize::without_mentions;
use crate::chat::screen::{Button, Screen};
use crate::chat::text::{Arg, Lang};
use crate::chat::view::StoredView;

/// One page of a view, from 0; the last one when there are fewer.
pub fn page(lang: Lang, stored: &StoredView, page: usize) -> Screen {
    let pages = pages(lang, &stored.content);
    let last = pages.len().saturating_sub(1);
    let page = page.min(last);
    let mut html = pages.into_iter().nth(page).unwrap_or_default();
    if last > 0 {
        let shown = page as u64 + 1;
        let of = last as u64 + 1;
        let where_ = [("page", Arg::Number(shown)), ("pages", Arg::Number(of))];
        html.push_str(&format!("\n\n<i>{}</i>", lang.format("page-of", &where_)));
    }
    let name = || stored.view.clone();
    let mut indices = 0..;
    let mut buttons: Vec<Vec<Button>> = Vec::new();
    for row in &stored.content.buttons {
        let row = row.iter().zip(&mut indices).filter_map(|(button, index)| match &button.action {
            ViewAction::Submit(_) => Some(Button::press(
                &button.text,
                ButtonAction::PressViewButton { view: name(), index },
            )),
            ViewAction::OpenUrl(url) => Button::open(&button.text, url),
        });
        buttons.push(row.collect());
    }
    let mut turn = Vec::new();
    if page > 0 {
        turn.push(Button::press("◀", ButtonAction::ViewPage { view: name(), page: page - 1 }));
    }
    if page < last {
        turn.push(Button::press("▶", ButtonAction::ViewPage { view: name(), page: page + 1 }));
    }
    buttons.push(turn);
    if !stored.content.media.is_empty() {
        let action = ButtonAction::Album { view: name(), page: 0 };
        buttons.push(vec![Button::named(lang, "button-album", action)]);
    }
    if page == last && stored.content.next.is_some() {
        let action = ButtonAction::PressViewButton { view: name(), index: NEXT_INDEX };
        buttons.push(vec![Button::named(lang, "button-more", action)]);
    }
    buttons.retain(|row| !row.is_empty());
    Screen { html, buttons, ..Screen::default() }
}

/// A view's pictures and videos, to be sent.
pub fn album(lang: Lang, stored: &StoredView) -> Vec<Media> {
    let media = stored.content.media.iter();
    media.map(|media| Media { caption: Some(caption(lang, media)), ..media.clone() }).collect()
}

/// The text of all pages, in HTML.
fn pages(lang: Lang, view: &View) -> Vec<String> {
    let mut pages = Pages::default();
    for line in lines(&view.text) {
        pages.add(vec![line]);
    }
    pages.gap();
    for (number, entry) in view.items.iter().enumerate() {
        pages.add(entry_lines(number + 1, entry));
    }
    pages.gap();
    for media in &view.media {
        pages.add(vec![media_line(lang, media)]);
    }
    pages.finish()
}

fn entry_lines(number: usize, entry: &Entry) -> Vec<Line> {
    let title = Run {
        text: without_mentions(&entry.title),
        style: Style { link: entry.url.clone(), ..Style::default() },
    };
    let mut lines = vec![vec![Run::plain(&format!("{number}. ")), title]];
    lines.extend(
        entry
            .text
            .as_ref()
            .map(|text| vec![Run::plain(&format!("    {}", without_mentions(text)))]),
    );
    lines
}

fn media_line(lang: Lang, media: &Media) -> Line {
    let style = Style { link: Some(media.url.clone()), ..Style::default() };
    vec![Run::plain(&format!("{} ", media.kind.sign())), Run { text: caption(lang, media), style }]
}

fn caption(lang: Lang, media: &Media) -> String {
    media.caption.clone().unwrap_or_else(|| lang.text("untitled"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::render::content::visible_units;
    use crate::chat::render::links::fitting;
    use crate::chat::screen::ButtonTarget;

    fn stored(view: &Value) -> StoredView {
        let content = View::read(&json!({"view": view})).unwrap();
        StoredView { view: "ab".to_owned(), content, page: 0 }
    }

    fn labels(screen: &Screen) -> Vec<Vec<&str>> {
        let rows = screen.buttons.iter();
        rows.map(|row| row.iter().map(|button| button.text.as_str()).collect()).collect()
    }

    /// All pages; each is a message that Telegram takes.
    fn all(stored: &StoredView) -> Vec<String> {
        let count = pages(Lang::En, &stored.content).len();
        let screens: Vec<Screen> =
            (0..count).map(|number| page(Lang::En, stored, number)).collect();
        for screen in &screens {
            assert!(visible_units(&screen.html) <= 4_096, "{}", visible_units(&screen.html));
            assert_eq!(fitting(&screen.html), screen.html, "every link is kept");
            for tag in ["b", "i", "code", "a"] {
                let opened = screen.html.matches(&format!("<{tag}>")).count()
                    + screen.html.matches(&format!("<{tag} ")).count();
                assert_eq!(opened, screen.html.matches(&format!("</{tag}>")).count(), "{tag}");
            }
            assert!(screen.html.matches('<').count() <= 2 * 100, "too many entities");
        }
        screens.into_iter().map(|screen| screen.html).collect()
    }

    #[test]
    fn a_short_view_is_one_message() {
        let stored = stored(&json!({
            "version": 1, "text": "🎲 2d6: **7**",
            "items": [{"title": "shows 3", "url": "https://c.example/3"}, {"title": "shows <4>", "text": "last"}],
            "media": [{"type": "photo", "url": "https://c.example/1.jpg"}],
            "buttons": [
                [{"text": "Page", "url": "https://c.example"}, {"text": "Again", "task_type": "roll_dice"}],
                [{"text": "d20", "task_type": "roll_dice"}],
            ],
            "next": {"task_type": "roll_dice"},
        }));
        let screen = page(Lang::En, &stored, 0);
        assert_eq!(
            screen.html,
            "🎲 2d6: <b>7</b>\n\n1. <a href=\"https://c.example/3\">shows 3</a>\n2. shows &lt;4&gt;\n    last\n\n\
             🖼 <a href=\"https://c.example/1.jpg\">Untitled</a>"
        );
        assert_eq!(
            labels(&screen),
            [vec!["Page", "Again"], vec!["d20"], vec!["👁 Show here"], vec!["⬇ Load more"]]
        );
        assert!(matches!(screen.buttons[0][0].target, ButtonTarget::Url(_)));
        let action = |index| {
            ButtonTarget::Callback(ButtonAction::PressViewButton { view: "ab".to_owned(), index })
        };
        assert_eq!(screen.buttons[0][1].target, action(1));
        assert_eq!(screen.buttons[1][0].target, action(2));
        assert_eq!(screen.buttons[3][0].target, action(NEXT_INDEX));
    }

    #[test]
    fn a_long_view_has_pages_that_lead_to_each_other() {
        let text = "A line of words.\n".repeat(600);
        let stored = stored(&json!({"version": 1, "text": text, "next": {"task_type": "t"}}));
        let pages = all(&stored);
        assert_eq!(pages.len(), 3);
        assert!(pages[0].ends_with("words.\n\n<i>Page 1 of 3</i>"), "{}", pages[0]);
        let lines: usize = pages.iter().map(|page| page.matches("A line of words.").count()).sum();
        assert_eq!(lines, 600, "nothing is lost");
        assert_eq!(labels(&page(Lang::En, &stored, 0)), [["▶"]]);
        assert_eq!(labels(&page(Lang::En, &stored, 1)), [["◀", "▶"]]);
        assert_eq!(labels(&page(Lang::En, &stored, 2)), [["◀"], ["⬇ Load more"]]);
        assert_eq!(page(Lang::En, &stored, 99), page(Lang::En, &stored, 2));
    }

    #[test]
    fn a_line_longer_than_a_message_is_cut_between_words_and_its_tags_close() {
        let stored =
            stored(&json!({"version": 1, "text": format!("**{}end**", "word🎲 ".repeat(1_500))}));
        let pages = all(&stored);
        assert!(pages.len() > 2);
        for page in &pages {
            assert!(page.starts_with("<b>word🎲"), "{page}");
        }
        let words: usize = pages.iter().map(|page| page.matches("word🎲").count()).sum();
        assert_eq!(words, 1_500);
        all(&self::stored(&json!({"version": 1, "text": "🎲".repeat(15_000)})));
    }

    #[test]
    fn many_links_and_marks_are_spread_over_pages() {
        let item = json!({"title": "t".repeat(60), "url": format!("https://c.example/{}", "x".repeat(800))});
        let pages = all(&stored(&json!({"version": 1, "text": "List", "items": vec![item; 35]})));
        assert_eq!(pages.len(), 4);
        assert!(pages[3].contains("\n35. "), "{}", pages[3]);
        assert_eq!(all(&stored(&json!({"version": 1, "text": "**a** `b` ".repeat(150)}))).len(), 4);
    }

    proptest! {
        // Long texts, and what makes them takes most of the time.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn whatever_a_plugin_writes_is_shown_in_messages_that_telegram_takes(
            text in r"([a-z0-9*_`\[\]()<>&#.\-!~|\\ \n\u{202e}🎲]|\*\*|\]\(https://a\.example/|word ){0,2000}",
            titles in proptest::collection::vec(r"[a-z<&🎲 ]{1,200}", 0..20),
        ) {
            let items: Vec<Value> = titles
                .iter()
                .map(|title| json!({"title": title, "url": "https://a.example/1", "text": title}))
                .collect();
            let view = json!({"view": {"version": 1, "text": text, "items": items}});
            if let Some(content) = View::read(&view) {
                all(&StoredView { view: "ab".to_owned(), content, page: 0 });
            }
        }
    }

    #[test]
    fn an_item_and_its_text_stay_together() {
        let text = "x".repeat(300);
        let item = json!({"title": "Title", "text": text});
        for page in all(&stored(&json!({"version": 1, "items": vec![item; 50]}))) {
            assert_eq!(page.matches("Title").count(), page.matches(&text).count());
        }
    }
}
