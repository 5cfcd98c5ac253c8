//! The view of an answer as plain text.

use serde_json::Value;

/// The view in an answer's data, as a chat would show it: text, numbered items, links, and a row of labels for each row of
/// buttons. None without a view.
pub(super) fn view_text(data: &Value) -> Option<String> {
    let view = data.get("view")?;
    let list = |name: &str| view.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut lines: Vec<String> = Vec::new();
    lines.extend(text_of(view, "text").map(str::to_owned));
    for (index, item) in list("items").enumerate() {
        let title = text_of(item, "title").unwrap_or_default();
        let url = text_of(item, "url").map(|url| format!(" ({url})")).unwrap_or_default();
        lines.push(format!("{}. {title}{url}", index + 1));
        lines.extend(text_of(item, "text").map(|text| format!("   {text}")));
    }
    for media in list("media") {
        let word = |name: &str| text_of(media, name).unwrap_or_default();
        lines.push(format!("{}: {} {}", word("type"), word("url"), word("caption")));
    }
    for row in list("buttons").filter_map(Value::as_array) {
        let labels = row.iter().filter_map(|button| text_of(button, "text"));
        lines.push(labels.map(|label| format!("[{label}]")).collect::<Vec<_>>().join(" "));
    }
    if view.get("next").is_some_and(Value::is_object) {
        lines.push("[more]".to_owned());
    }
    Some(lines.join("\n"))
}

fn text_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_view_is_shown_in_the_order_of_the_chat() {
        let view = json!({"view": {
            "version": 1, "text": "Hello",
            "items": [{"title": "One", "url": "https://a.example", "text": "first"}, {"title": "Two"}],
            "media": [{"type": "photo", "url": "https://b.example", "caption": "B"}],
            "buttons": [[{"text": "Again"}, {"text": "Other"}], [{"text": "Page"}]],
            "next": {"task_type": "a"},
        }});
        let expected = "Hello\n1. One (https://a.example)\n   first\n2. Two\nphoto: https://b.example B\n[Again] [Other]\n[Page]\n[more]";
        assert_eq!(view_text(&view).as_deref(), Some(expected));
        assert_eq!(view_text(&json!({"n": 1})), None);
    }
}
