//! The view of an answer as plain text.

use chat_commands::view::View;
use serde_json::Value;

/// The view in an answer's data, read as the coordinator reads it, in the order of the chat: text, numbered items, pictures,
/// and a row of labels for each row of buttons. None without a view that can be shown.
pub(super) fn view_text(data: &Value) -> Option<String> {
    let View { text, items, media, buttons, next } = View::read(data)?;
    let mut lines: Vec<String> = Vec::new();
    lines.extend(Some(text).filter(|text| !text.is_empty()));
    for (index, item) in items.into_iter().enumerate() {
        let url = item.url.map(|url| format!(" ({url})")).unwrap_or_default();
        lines.push(format!("{}. {}{url}", index + 1, item.title));
        lines.extend(item.text.map(|text| format!("   {text}")));
    }
    for media in media {
        let caption = media.caption.map(|caption| format!(" {caption}")).unwrap_or_default();
        lines.push(format!("{} {}{caption}", media.kind.sign(), media.url));
    }
    for row in buttons {
        let labels: Vec<String> = row.iter().map(|button| format!("[{}]", button.text)).collect();
        lines.push(labels.join(" "));
    }
    lines.extend(next.map(|_| "[more]".to_owned()));
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_view_is_shown_in_the_order_of_the_chat_without_what_the_chat_leaves_out() {
        let ask = |text: &str| json!({"text": text, "task_type": "a"});
        let view = json!({"view": {
            "version": 1, "text": "Hello",
            "items": [
                {"title": "One", "url": "https://a.example", "text": "first"},
                {"title": "Two", "url": "javascript:alert(1)"}, {"text": "without a title"},
            ],
            "media": [
                {"type": "photo", "url": "https://b.example", "caption": "B"},
                {"type": "sound", "url": "https://c.example"},
            ],
            "buttons": [[ask("Again"), ask("Other")], [ask("Page")], [{"text": "does nothing"}]],
            "next": {"task_type": "a"},
        }});
        let expected = "Hello\n1. One (https://a.example)\n   first\n2. Two\n🖼 https://b.example B\n[Again] [Other]\n[Page]\n[more]";
        assert_eq!(view_text(&view).as_deref(), Some(expected));
        for unreadable in [json!({"n": 1}), json!({"view": {"version": 2, "text": "Hello"}})] {
            assert_eq!(view_text(&unreadable), None);
        }
    }
}
