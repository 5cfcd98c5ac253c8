use serde_json::json;

use super::buttons::{MAX_BUTTONS, MAX_IN_ROW};
use super::*;
use crate::view::NEXT_INDEX;

fn read(view: &Value) -> Option<View> {
    View::read(&json!({"view": view}))
}

#[test]
fn a_view_is_read() {
    let view = read(&json!({
        "version": 1,
        "text": "**Two** lines\nhere",
        "items": [{"title": "One", "url": "https://c.example/1", "text": "first"}, {"title": "Two"}],
        "media": [{"type": "photo", "url": "https://c.example/1.jpg", "caption": "A picture"}],
        "buttons": [
            [{"text": "Again", "task_type": "roll_dice", "params": {"dice": "2d6"}}],
            [{"text": "Page", "url": "https://c.example"}, {"text": "Bare", "task_type": "roll_dice"}],
        ],
        "next": {"task_type": "roll_dice", "params": {"page": 2}},
        "colour": "of a version to come",
    }))
    .unwrap();
    assert_eq!(view.text, "**Two** lines\nhere");
    assert_eq!((view.items.len(), view.media.len(), view.buttons.len()), (2, 1, 2));
    assert_eq!(view.task_request(0).unwrap().params["dice"], "2d6");
    assert_eq!(view.task_request(1), None, "an address is nothing to submit");
    assert_eq!(view.task_request(2).unwrap().params, Map::new());
    assert_eq!(view.task_request(3), None);
    assert_eq!(view.task_request(NEXT_INDEX).unwrap().params["page"], 2);
}

#[test]
fn what_shows_nothing_is_no_view() {
    for none in [
        json!(null),
        json!("text"),
        json!({"text": "no version"}),
        json!({"version": 2, "text": "x"}),
        json!({"version": 1}),
        json!({"version": 1, "text": " \u{202e}\n ", "items": [{"title": "\u{200b}"}]}),
        json!({"version": 1, "buttons": [[{"text": "x", "url": "https://c.example"}]]}),
    ] {
        assert_eq!(read(&none), None, "{none}");
    }
}

#[test]
fn what_is_odd_is_left_out() {
    let mut deep = json!({"x": 1});
    for _ in 0..40 {
        deep = json!({"x": deep});
    }
    let view = read(&json!({
        "version": 1,
        "text": 7,
        "items": [null, {"title": 7}, {"title": "Kept", "url": "javascript:alert(1)", "text": " "}],
        "media": [
            {"type": "sound", "url": "https://c.example/1"}, {"type": "photo", "url": "file:///etc"},
            {"type": "video", "url": "https://c.example/2"},
        ],
        "buttons": [
            "row", [], [{"text": "x"}, {"text": "", "url": "https://c.example"}],
            [{"text": "x", "task_type": "No Type"}, {"text": "x", "task_type": "t", "params": [1]}],
            [{"text": "x", "task_type": "t", "params": {"x": "y".repeat(2_048)}}],
            [{"text": "x", "task_type": "t", "params": deep}],
            [{"text": "Kept\u{202e}", "task_type": "t"}],
        ],
        "next": {"task_type": 7},
    }))
    .unwrap();
    assert_eq!(view.items, [Entry { title: "Kept".to_owned(), url: None, text: None }]);
    assert_eq!(view.media.len(), 1);
    assert_eq!(view.buttons.len(), 1);
    assert_eq!(view.buttons[0][0].text, "Kept");
    assert_eq!(view.next, None);
}

#[test]
fn the_largest_view_stays_within_a_session() {
    let address = format!("https://c.example/{}", "x".repeat(900));
    let item = json!({"title": "ü".repeat(500), "url": address, "text": "ü".repeat(500)});
    let ask = json!({"text": "b", "task_type": "t", "params": {"x": "y".repeat(2_000)}});
    let media = json!({"type": "photo", "url": address, "caption": "ü".repeat(500)});
    let view = read(&json!({
        "version": 1, "text": "ü".repeat(50_000), "items": vec![item; 500], "media": vec![media; 50],
        "buttons": vec![vec![ask; 9]; 20], "next": {"task_type": "t"},
    }))
    .unwrap();
    assert_eq!(view.text.chars().count(), MAX_TEXT_CHARS);
    assert!(view.next.is_some());
    assert!(view.buttons.iter().flatten().count() <= MAX_BUTTONS);
    assert!(view.buttons.iter().all(|row| row.len() <= MAX_IN_ROW));
    // Names of fields and quotes are not counted.
    let bytes = serde_json::to_string(&view).unwrap().len();
    assert!(bytes <= MAX_BYTES + MAX_BYTES / 4, "{bytes}");
}

#[test]
fn no_more_buttons_than_a_phone_shows() {
    let ask = json!({"text": "b", "task_type": "t"});
    let view = read(&json!({"version": 1, "text": "x", "buttons": vec![vec![ask; 9]; 20]}));
    let rows: Vec<usize> = view.unwrap().buttons.iter().map(Vec::len).collect();
    assert_eq!(rows, [4, 4, 4, 4, 4, 4]);
}

#[track_caller]
fn told(view: &Value, expected: &[&str]) {
    let judge = |task: &TaskRequest| {
        (task.task_type.as_str() != "t").then(|| format!("nobody offers {}", task.task_type))
    };
    let remarks = View::remarks(&json!({"view": view}), &judge);
    let fits = remarks.len() == expected.len()
        && remarks.iter().zip(expected).all(|(remark, expected)| remark.starts_with(expected));
    assert!(fits, "{remarks:#?}");
}

#[test]
fn what_is_not_shown_as_it_is_written_is_told_with_its_place() {
    told(&json!({"version": 1, "text": "x", "buttons": [[{"text": "b", "task_type": "t"}]]}), &[]);
    assert_eq!(View::remarks(&json!({"sum": 7}), &|_| None), Vec::<String>::new());
    told(&json!("text"), &["`view`: it is not an object"]);
    told(&json!({"text": "x"}), &["`view.version`: it is missing"]);
    told(&json!({"version": 2, "text": "x"}), &["`view.version`: it is not a known version"]);
    told(&json!({"version": 1}), &["`view`: it has no text"]);
    told(
        &json!({
            "version": 1, "text": "x".repeat(16_001), "buton": [], "next": {"task_type": "u"},
            "items": [{"title": "y".repeat(121)}, {"url": "https://c.example"}],
            "media": [{"type": "photo", "url": "ftp://c.example"}, {"type": "sound"}],
            "buttons": [
                {"text": "b"}, [{"text": "b"}, {"text": "b", "task_type": "No"}],
                vec![json!({"text": "b", "url": "https://c.example"}); 5],
                [{"text": "b", "task_type": "t", "params": [1]}],
            ],
        }),
        &[
            "`view.buton`: this name is not known and is passed over; did you mean `buttons`?",
            "`view.text`: it has 16001 characters in 16001 bytes and is cut",
            "`view.next`: nobody offers u",
            "`view.buttons[0]`: it must be a list, the buttons of one row, not a button",
            "`view.buttons[1][0]`: it has neither",
            "`view.buttons[1][1].task_type`: `No` is not a task type",
            "`view.buttons[2]`: 5 buttons in one row; at most 4",
            "`view.buttons[3][0].params`: it is not an object",
            "`view.media[0].url`: it is no address",
            "`view.media[0]`: it has no usable `url`",
            "`view.media[1].type`: it is not `photo` or `video`",
            "`view.items[0].title`: 121 characters, cut to 120",
            "`view.items[1]`: it has no usable `title`",
        ],
    );
    let button = json!({"text": "b", "task_type": "t"});
    told(
        &json!({"version": 1, "text": "x", "buttons": vec![vec![button; 4]; 9], "items": vec![json!({"title": "y"}); 51]}),
        &[
            "`view.buttons`: 36 buttons in 9 rows; at most 24",
            "`view.items`: it has 51, and 50 are shown",
        ],
    );
}
