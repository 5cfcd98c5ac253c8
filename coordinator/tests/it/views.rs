//! What the library for plugins makes is read here without loss: both sides have the contract's limits.

use chat_commands::view::{View, ViewButton};
use freefans_plugin::{Answer, Button, Item};
use serde_json::{Value, json};

fn read(view: freefans_plugin::View) -> (View, Value) {
    let answer = Answer::new(json!({})).with_view(view);
    (View::read(answer.data()).unwrap(), answer.data()["view"].clone())
}

/// Every part as it was written.
#[track_caller]
fn is_whole(read: &View, made: &Value) {
    let list = |name: &str| made.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let texts = |list: Vec<Value>, name: &str| -> Vec<String> {
        list.iter().map(|part| part[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(read.text, made["text"].as_str().unwrap());
    let titles: Vec<String> = read.items.iter().map(|item| item.title.clone()).collect();
    assert_eq!(titles, texts(list("items"), "title"));
    let addresses: Vec<String> = read.media.iter().map(|media| media.url.clone()).collect();
    assert_eq!(addresses, texts(list("media"), "url"));
    let rows: Vec<Vec<String>> = list("buttons")
        .into_iter()
        .map(|row| texts(row.as_array().unwrap().clone(), "text"))
        .collect();
    let labels = |row: &Vec<_>| row.iter().map(|button: &ViewButton| button.text.clone()).collect();
    assert_eq!(read.buttons.iter().map(labels).collect::<Vec<Vec<String>>>(), rows);
    assert_eq!(read.next.is_some(), made.get("next").is_some());
}

#[test]
fn the_largest_of_each_part_is_read_whole() {
    let address = |number: usize| format!("https://c.example/{number}/{}", "x".repeat(100));
    let item = |number| Item::new("t".repeat(130)).link(address(number)).text("ü".repeat(310));
    let ask = |number: usize| Button::ask("b".repeat(50), "roll_dice", &json!({"number": number}));
    let mut view = freefans_plugin::View::text("ü".repeat(17_000)).items((0..60).map(item));
    for number in 0..12 {
        view = view.photo(address(number), "c".repeat(250));
        view = view.row((0..5).map(ask));
    }
    let (view, made) = read(view.next("roll_dice", &json!({"page": 2})));
    is_whole(&view, &made);
    assert_eq!(view.text.chars().count(), 16_000);
    assert_eq!((view.media.len(), view.buttons.iter().flatten().count()), (10, 24));

    let (view, made) = read(freefans_plugin::View::default().items((0..60).map(item)));
    is_whole(&view, &made);
    assert_eq!(view.items.len(), 50);
}

#[test]
fn params_as_large_as_a_button_may_have_are_read() {
    let params =
        |bytes: usize| json!({"x": "y".repeat(bytes - json!({"x": ""}).to_string().len())});
    let buttons = [2_048, 2_049].map(|bytes| Button::ask("Ask", "t", &params(bytes)));
    let (view, made) = read(freefans_plugin::View::text("x").row(buttons));
    is_whole(&view, &made);
    assert_eq!(view.buttons.iter().flatten().count(), 1);
}
