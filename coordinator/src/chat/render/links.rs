//! Limits for all URLs of one message. The 4096 characters of a message do not include URLs; Telegram has other limits for
//! them, and refuses the whole message when one is exceeded.

use std::borrow::Cow;
use std::cmp::Reverse;

/// Addresses of the links in one text, in bytes. Telegram takes about 9,500 for all that gives a text its form
/// (github.com/tdlib/telegram-bot-api, issue 165); what is left is for bold and the like.
pub(super) const MAX_TEXT_BYTES: usize = 8_192;
/// Addresses of the buttons under one message, in bytes. Telegram takes about 10 KiB of buttons; what is left is for
/// their texts and for what the others carry.
const MAX_BUTTONS_BYTES: usize = 6_144;

const OPEN: &str = "<a href=\"";
const OPEN_END: &str = "\">";
const CLOSE: &str = "</a>";

/// A text whose links fit into a message. Those that do not are just their text.
pub fn fitting(html: &str) -> Cow<'_, str> {
    let links = links(html);
    let lengths: Vec<usize> = links.iter().map(|link| link.address_bytes).collect();
    let kept = kept(&lengths, MAX_TEXT_BYTES);
    if kept.iter().all(|kept| *kept) {
        return Cow::Borrowed(html);
    }
    let mut fitting = String::new();
    let mut from = 0;
    for link in links.iter().zip(kept).filter_map(|(link, kept)| (!kept).then_some(link)) {
        fitting.push_str(html.get(from..link.start).unwrap_or_default());
        fitting.push_str(link.text);
        from = link.end;
    }
    fitting.push_str(html.get(from..).unwrap_or_default());
    Cow::Owned(fitting)
}

/// Which of the buttons that open these addresses fit under a message.
pub fn fitting_buttons(addresses: &[&str]) -> Vec<bool> {
    let lengths: Vec<usize> = addresses.iter().map(|address| address.len()).collect();
    kept(&lengths, MAX_BUTTONS_BYTES)
}

/// Which to keep: the longest go first, so that the fewest go.
fn kept(lengths: &[usize], most: usize) -> Vec<bool> {
    let mut total: usize = lengths.iter().sum();
    let mut longest_first: Vec<usize> = (0..lengths.len()).collect();
    longest_first.sort_by_key(|index| Reverse(lengths.get(*index)));
    let mut kept = vec![true; lengths.len()];
    for index in longest_first {
        if total <= most {
            break;
        }
        if let (Some(kept), Some(length)) = (kept.get_mut(index), lengths.get(index)) {
            *kept = false;
            total -= length;
        }
    }
    kept
}

/// A link, from the `<` of its beginning to behind its end.
struct Link<'a> {
    start: usize,
    end: usize,
    address_bytes: usize,
    text: &'a str,
}

/// The links of a text that we made: they have this one form and do not nest.
fn links(html: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once(OPEN) {
        let start = html.len() - after.len() - OPEN.len();
        let Some((address, after)) = after.split_once(OPEN_END) else { break };
        let Some((text, after)) = after.split_once(CLOSE) else { break };
        let address_bytes = address.replace("&amp;", "&").len();
        links.push(Link { start, end: html.len() - after.len(), address_bytes, text });
        rest = after;
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::sanitize::link;

    fn long(bytes: usize) -> String {
        format!("{:x<bytes$}", "https://m.example/?a=1&b=")
    }

    #[test]
    fn a_text_whose_links_fit_stays_as_it_is() {
        let line = link("a <b>", &long(819), 10);
        let html = format!("<b>x</b> {}", vec![line; 10].join("\n"));
        assert!(matches!(fitting(&html), Cow::Borrowed(_)), "ten addresses of 819 bytes are 8,190");
        assert_eq!(fitting("no link"), "no link");
    }

    #[test]
    fn of_ten_long_links_as_many_stay_as_fit_and_the_others_are_text() {
        let lines: Vec<String> =
            (0..10).map(|n| link(&format!("<{n}>"), &long(2_048), 10)).collect();
        let html = fitting(&format!("<b>x</b> {} end", lines.join("\n"))).into_owned();
        assert_eq!((html.matches(OPEN).count(), html.matches(CLOSE).count()), (4, 4));
        for n in 0..10 {
            assert!(html.contains(&format!("&lt;{n}&gt;")), "{html}");
        }
        assert!(html.starts_with("<b>x</b> &lt;0&gt;\n") && html.ends_with("</a> end"), "{html}");
    }

    #[test]
    fn the_longest_go_first() {
        assert_eq!(kept(&[5, 90, 5, 80], 100), [true, false, true, true]);
        assert_eq!(kept(&[50, 50, 50], 100), [false, true, true]);
        assert_eq!(kept(&[101], 100), [false]);
        let addresses = [long(2_048), long(30), long(2_048), long(2_048)];
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        assert_eq!(fitting_buttons(&addresses), [false, true, true, true]);
    }
}
