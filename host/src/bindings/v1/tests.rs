use serde_json::json;

use super::*;

fn described() -> wit::Descriptor {
    wit::Descriptor {
        name: "weather".to_owned(),
        version: "1.0.0".to_owned(),
        task_types: vec![named("forecast")],
        extensions: r#"{"version":1}"#.to_owned(),
    }
}

fn named(name: &str) -> wit::TaskType {
    wit::TaskType {
        name: name.to_owned(),
        summary: "Says what comes.".to_owned(),
        params_schema: r#"{"type":"object"}"#.to_owned(),
    }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut wit::Descriptor)) -> String {
    let mut described = described();
    change(&mut described);
    descriptor(described).unwrap_err()
}

#[test]
fn what_a_plugin_says_of_itself_has_bounds() {
    assert!(descriptor(described()).is_ok());
    for name in
        ["", "Weather", "7up", "we_ather", "we ather", "../x", "wetter\u{e4}", &"x".repeat(65)]
    {
        assert!(refused(|of| of.name = name.to_owned()).contains("its name"), "{name}");
    }
    for version in ["", "1", "1.0", "1.0.0.0", "1.0.x", "v1.0.0", "1.0.0-", "1.0.0+a b", "1.0.0\n"]
    {
        assert!(refused(|of| of.version = version.to_owned()).contains("its version"), "{version}");
    }
    for version in ["0.1.0", "1.0.0+marked", "2.10.3-rc.1", "1.0.0-a-b+c.d"] {
        let described = wit::Descriptor { version: version.to_owned(), ..described() };
        assert!(descriptor(described).is_ok(), "{version}");
    }
    let types = |count: usize| (0..count).map(|n| named(&format!("t{n}"))).collect::<Vec<_>>();
    assert!(descriptor(wit::Descriptor { task_types: types(64), ..described() }).is_ok());
    for count in [0, 65, 20_000] {
        assert!(refused(|of| of.task_types = types(count)).contains("1 to 64"), "{count}");
    }
    assert!(
        refused(|of| of.task_types[0].name = "Forecast".to_owned()).contains("not a task type")
    );
    assert!(refused(|of| of.task_types[0].summary = "x".repeat(1_025)).contains("the summary"));
    assert!(refused(|of| of.task_types[0].summary = "a\nb".to_owned()).contains("the summary"));
    assert!(refused(|of| of.task_types[0].params_schema = "7".to_owned()).contains("`forecast`"));
    assert!(refused(|of| of.extensions = "[]".to_owned()).contains("`extensions`"));
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_EXTENSIONS_BYTES));
    assert!(refused(|of| of.extensions = large).contains("`extensions`"));
}

fn answered(data: String, metadata: &Value) -> Answer {
    answer(Ok(Output { data, metadata: metadata.to_string() }))
}

#[test]
fn names_that_the_host_owns_are_dropped() {
    let metadata = json!({"code": "not-found", "plugin": "other", "run_ms": 0, "host_new": 1, "needs_selection": true});
    let Answer::Output { metadata, .. } = answered("{}".to_owned(), &metadata) else { panic!() };
    assert_eq!(Value::Object(metadata), json!({"needs_selection": true}));
}

#[test]
fn an_answer_that_its_readers_could_not_read_is_none() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(matches!(answered(nested(100), &json!({})), Answer::Output { .. }));
    for levels in [101, 120, 1_000, 100_000] {
        assert!(matches!(answered(nested(levels), &json!({})), Answer::Unreadable(_)), "{levels}");
    }
    assert!(matches!(answered("7".to_owned(), &json!([])), Answer::Unreadable(_)));
    assert!(matches!(answered("seven".to_owned(), &json!({})), Answer::Unreadable(_)));
}
