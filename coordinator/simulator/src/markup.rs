//! Telegram's HTML: which tags there are, that they nest, and where they lie in the text.
//!
//! Source: Bot API, "Formatting options", HTML style. Offsets count UTF-16 units.

use serde_json::{Value, json};

/// A text with its formatting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Formatted {
    /// The text without tags.
    pub text: String,
    /// `MessageEntity` objects.
    pub entities: Vec<Value>,
    /// The same as HTML that is safe to put into a page.
    pub html: String,
}

struct Open {
    tag: String,
    start: usize,
    /// A link's address.
    url: Option<String>,
}

/// Text without markup; commands and mentions become entities.
pub fn plain(text: &str) -> Formatted {
    let entities = words(text);
    Formatted { text: text.to_owned(), entities, html: escape(text) }
}

/// Reads HTML as Telegram does.
///
/// # Errors
///
/// What follows `can't parse entities: ` in Telegram's answer.
pub fn html(source: &str) -> Result<Formatted, String> {
    let mut out = Formatted::default();
    let mut open: Vec<Open> = Vec::new();
    let mut offset = 0;
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        match letter {
            '<' => {
                let end = rest.find('>').ok_or_else(|| {
                    format!("Unclosed start tag at byte offset {}", source.len() - rest.len())
                })?;
                let tag = rest.get(1..end).unwrap_or_default();
                let at = source.len() - rest.len();
                read_tag(tag, at, offset, &mut open, &mut out)?;
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            '&' => {
                let (letter, length) = read_reference(rest);
                push(letter, &mut out, &mut offset);
                rest = rest.get(length..).unwrap_or_default();
            }
            letter => {
                push(letter, &mut out, &mut offset);
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            }
        }
    }
    if let Some(open) = open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", open.tag));
    }
    let mut entities = words(&out.text);
    entities.append(&mut out.entities);
    out.entities = entities;
    Ok(out)
}

fn push(letter: char, out: &mut Formatted, offset: &mut usize) {
    out.text.push(letter);
    out.html.push_str(&escape(letter.encode_utf8(&mut [0; 4])));
    *offset += letter.len_utf16();
}

fn read_tag(
    tag: &str,
    at: usize,
    offset: usize,
    open: &mut Vec<Open>,
    out: &mut Formatted,
) -> Result<(), String> {
    if let Some(name) = tag.strip_prefix('/') {
        let name = name.trim().to_ascii_lowercase();
        let Some(opened) = open.pop() else {
            return Err(format!("Unexpected end tag at byte offset {at}"));
        };
        if opened.tag != name {
            return Err(format!(
                "Unmatched end tag at byte offset {at}, expected \"</{}>\", found \"</{name}>\"",
                opened.tag
            ));
        }
        out.html.push_str(&format!("</{}>", html_name(&name)));
        if opened.start < offset {
            let mut entity = json!({
                "type": entity_kind(&name, opened.url.is_some()),
                "offset": opened.start,
                "length": offset - opened.start,
            });
            if let (Some(url), Some(fields)) = (opened.url, entity.as_object_mut()) {
                fields.insert("url".to_owned(), url.into());
            }
            out.entities.push(entity);
        }
        return Ok(());
    }
    let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let name = name.to_ascii_lowercase();
    let known = [
        "b",
        "strong",
        "i",
        "em",
        "u",
        "ins",
        "s",
        "strike",
        "del",
        "a",
        "code",
        "pre",
        "tg-spoiler",
        "blockquote",
        "span",
    ];
    if !known.contains(&name.as_str()) {
        return Err(format!("Unsupported start tag \"{name}\" at byte offset {at}"));
    }
    let url = attribute(attributes, "href");
    if name == "span" && attribute(attributes, "class").as_deref() != Some("tg-spoiler") {
        return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {at}"));
    }
    match url.as_deref().filter(|_| name == "a").filter(|url| shown_link(url)) {
        Some(url) => out.html.push_str(&format!(
            "<a href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer\">",
            escape(url)
        )),
        None => out.html.push_str(&format!("<{}>", html_name(&name))),
    }
    open.push(Open { url: url.filter(|_| name == "a"), tag: name, start: offset });
    Ok(())
}

fn shown_link(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn html_name(tag: &str) -> &str {
    match tag {
        "tg-spoiler" => "span",
        other => other,
    }
}

fn entity_kind(tag: &str, link: bool) -> &'static str {
    match tag {
        "b" | "strong" => "bold",
        "i" | "em" => "italic",
        "u" | "ins" => "underline",
        "s" | "strike" | "del" => "strikethrough",
        "code" => "code",
        "pre" => "pre",
        "blockquote" => "blockquote",
        "a" if link => "text_link",
        "a" => "url",
        _ => "spoiler",
    }
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let rest = attributes.split_once(&format!("{name}="))?.1;
    let quote = rest.chars().next().filter(|quote| *quote == '"' || *quote == '\'')?;
    let value = rest.get(1..)?.split_once(quote)?.0;
    let mut text = String::new();
    let mut rest = value;
    while let Some(letter) = rest.chars().next() {
        let (letter, length) =
            if letter == '&' { read_reference(rest) } else { (letter, letter.len_utf8()) };
        text.push(letter);
        rest = rest.get(length..).unwrap_or_default();
    }
    Some(text)
}

/// A character reference at the start of `text`, and how many bytes it takes; a lone `&` is itself.
fn read_reference(text: &str) -> (char, usize) {
    let Some((name, _)) = text.get(1..).and_then(|rest| rest.split_once(';')) else {
        return ('&', 1);
    };
    let letter = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        number => {
            let code = match number.strip_prefix("#x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => number.strip_prefix('#').and_then(|digits| digits.parse().ok()),
            };
            code.and_then(char::from_u32)
        }
    };
    letter.map_or(('&', 1), |letter| (letter, name.len() + 2))
}

/// What becomes an entity by itself: commands such as `/start` and `/start@bot`, and mentions such as `@bot`, at the
/// start of a word.
fn words(text: &str) -> Vec<Value> {
    let mut entities = Vec::new();
    let mut offset = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let (kind, rest) = match word.strip_prefix('/') {
            Some(rest) => ("bot_command", Some(rest)),
            None => ("mention", word.strip_prefix('@')),
        };
        // Only plain letters, so bytes are units.
        let fits = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || *byte == b'_'
                || (*byte == b'@' && kind == "bot_command")
        };
        let length = rest.map_or(0, |rest| rest.bytes().take_while(fits).count());
        let starts =
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphanumeric()));
        if starts && length > 0 {
            entities.push(json!({"type": kind, "offset": offset, "length": length + 1}));
        }
        offset += word.encode_utf16().count();
    }
    entities
}

/// The parts of a text that are entities of a kind.
pub fn entity_texts(formatted: &Formatted, kind: &str) -> Vec<String> {
    let units: Vec<u16> = formatted.text.encode_utf16().collect();
    let part = |entity: &Value| {
        let number = |name: &str| usize::try_from(entity.get(name)?.as_u64()?).ok();
        let from = number("offset")?;
        let length = number("length")?;
        Some(String::from_utf16_lossy(units.get(from..from + length)?))
    };
    let of_kind = |entity: &&Value| entity.get("type").and_then(Value::as_str) == Some(kind);
    formatted.entities.iter().filter(of_kind).filter_map(part).collect()
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_utf16_units() {
        let formatted =
            html("🔎 <b>Luna</b> &amp; <a href=\"https://c.example/?a=1&amp;b=2\">co</a>").unwrap();
        assert_eq!(formatted.text, "🔎 Luna & co");
        assert_eq!(formatted.entities[0], json!({"type": "bold", "offset": 3, "length": 4}));
        assert_eq!(
            formatted.entities[1],
            json!({"type": "text_link", "offset": 10, "length": 2, "url": "https://c.example/?a=1&b=2"})
        );
    }

    #[test]
    fn commands_and_mentions_are_found_where_telegram_finds_them() {
        let formatted = plain("💬 @freefans_bot, /search@freefans_bot: mail@x.example /ä");
        assert_eq!(entity_texts(&formatted, "mention"), ["@freefans_bot"]);
        assert_eq!(entity_texts(&formatted, "bot_command"), ["/search@freefans_bot"]);
    }

    #[test]
    fn what_telegram_refuses_is_refused() {
        for (source, part) in [
            ("<b>x", "Can't find end tag"),
            ("x</b>", "Unexpected end tag"),
            ("<b><i>x</b></i>", "Unmatched end tag"),
            ("<script>x</script>", "Unsupported start tag \"script\""),
            ("a < b", "Unclosed start tag"),
            ("<span>x</span>", "tg-spoiler"),
        ] {
            let error = html(source).unwrap_err();
            assert!(error.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn the_page_gets_no_script() {
        let formatted = html("&lt;script&gt; <a href=\"javascript:alert(1)\">x</a>").unwrap();
        assert!(!formatted.html.contains("<script"), "{}", formatted.html);
        assert!(!formatted.html.contains("javascript"), "{}", formatted.html);
    }
}
