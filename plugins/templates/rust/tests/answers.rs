//! Runs the plugin in the host for tests: `cargo test`.

use PLUGIN_IDENT::MyPlugin;
use freefans_plugin::{Error, test::Host};
use serde_json::json;

#[test]
fn one_of_the_words_is_chosen() {
    let answer = Host::new().run::<MyPlugin>("PLUGIN_TYPE", r#"{"text":" tea  coffee"}"#).unwrap();
    let data = answer.data();
    assert_eq!(data["words"], json!(["tea", "coffee"]));
    assert!(data["words"].as_array().unwrap().contains(&data["chosen"]));
    let again = &data["view"]["buttons"][0][0];
    assert_eq!(again["params"], json!({"text": "tea coffee"}));
    assert!(answer.cut().is_empty(), "{:?}", answer.cut());
}

#[test]
fn every_task_has_its_own_random_numbers() {
    let chosen = |seed| {
        let answer = Host::new().seed(seed).run::<MyPlugin>("PLUGIN_TYPE", "{}").unwrap();
        answer.data()["chosen"].clone()
    };
    let all: Vec<_> = (0..100).map(chosen).collect();
    assert!(all.contains(&json!("heads")) && all.contains(&json!("tails")));
}

#[test]
fn without_words_the_person_is_told_what_to_write() {
    let asked = Host::new().run::<MyPlugin>("PLUGIN_TYPE", r#"{"text":" "}"#);
    assert!(matches!(asked, Err(Error::Invalid(text)) if text.contains("for instance")));
}
