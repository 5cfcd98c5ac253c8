use proptest::prelude::*;

use super::*;

fn begins(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"{\"a\"")
}

#[track_caller]
fn check(list: &str, whole: &[&str], cut: Option<&str>) {
    let found = elements(list.as_bytes(), begins).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let found_whole: Vec<String> = found.whole.iter().map(|bytes| text(bytes)).collect();
    assert_eq!(
        (found_whole, found.cut.map(text)),
        (whole.iter().map(|&one| one.to_owned()).collect(), cut.map(str::to_owned),),
        "{list}"
    );
}

#[test]
fn a_list_is_cut_into_its_elements() {
    check("[]", &[], None);
    check(r#" [ {"a":1} , {"a":[2,"]}"]} ]"#, &[r#"{"a":1}"#, r#"{"a":[2,"]}"]}"#], None);
    check(r#"[{"a":"\"}"},7,"x"]"#, &[r#"{"a":"\"}"}"#, "7", r#""x""#], None);
}

#[test]
fn a_broken_element_does_not_affect_its_neighbours() {
    check(r#"[{"a":1},{"a":[2},{"a":3}]"#, &[r#"{"a":1}"#, r#"{"a":[2},"#, r#"{"a":3}"#], None);
    check(
        r#"[{"a":1},{"a":"no end},{"a":3}]"#,
        &[r#"{"a":1}"#, r#"{"a":"no end},"#, r#"{"a":3}"#],
        None,
    );
    check(
        r#"[{"a":"no end},{"a":2},{"a":"no end},{"a":4}]"#,
        &[r#"{"a":"no end},"#, r#"{"a":2}"#, r#"{"a":"no end},"#, r#"{"a":4}"#],
        None,
    );
    check(r#"[{"a":1}},{"a":3}]"#, &[r#"{"a":1}},"#, r#"{"a":3}"#], None);
}

#[test]
fn a_cut_off_element_is_separate_from_whole_ones() {
    check(r#"[{"a":1},{"a":"#, &[r#"{"a":1}"#], Some(r#"{"a":"#));
    check(r#"[{"a":1},"#, &[r#"{"a":1}"#], None);
    assert_eq!(elements(b"{}", begins), None);
}

#[test]
fn members_are_read_one_by_one() {
    let json = b"{\"a\":1,\"b\":\"\xff\",\"c\":\"\\ud83d\",\"d\":1,\"d\":2,\"e\":1e999,\"f\":null,\"\\u0067\":7}";
    let members = Members::of(json).unwrap();
    assert_eq!(members.need::<i64>("a"), Ok(1));
    assert_eq!(members.need::<String>("b"), Err(Unreadable::Bytes));
    assert_eq!(members.need::<String>("c"), Err(Unreadable::Value("c")));
    assert_eq!(members.need::<i64>("d"), Err(Unreadable::Doubled("d")));
    assert_eq!(members.need::<i64>("e"), Err(Unreadable::Value("e")));
    assert_eq!(members.read::<i64>("f"), Ok(None));
    assert_eq!(members.need::<i64>("h"), Err(Unreadable::Missing("h")));
    assert_eq!(members.need::<i64>("g"), Ok(7), "an escaped key is the same key");
    assert_eq!(members.may::<String>("b"), None);
    assert!(members.has("a") && !members.has("f"), "`null` is as good as missing");
    // A key that is not valid text is skipped, and data after an object is not part of it.
    let odd = Members::of(b"{\"\xff\":1,\"\\ud83d\":1,\"a\":7}").unwrap();
    assert_eq!(odd.need::<i64>("a"), Ok(7));
    assert_eq!(Members::of(br#"{"a":1}}"#).unwrap_err(), Unreadable::Syntax);
    assert!(Members::first_of(br#"{"a":1}}"#).unwrap().has("a"));
}

#[test]
fn deep_nesting_does_not_use_the_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(Members::of(format!("{{\"a\":{deep}}}").as_bytes()).is_err());
    let deep = format!("{}{}", "[".repeat(900), "]".repeat(900));
    assert!(Members::of(format!("{{\"a\":{deep}}}").as_bytes()).unwrap().has("a"));
}

proptest! {
    #[test]
    fn any_bytes_are_cut_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Members::of(&bytes);
        let _ = elements(&bytes, begins);
    }

    /// The elements around a damaged one are found.
    #[test]
    fn neighbours_are_found(inside in proptest::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'"'), Just(b'['), Just(b']'), Just(b','), Just(b'\\'), any::<u8>()],
        0..40,
    )) {
        let list = [b"[{\"a\":1},{\"a\":".as_slice(), &inside, b"},{\"a\":3}]"].concat();
        let found = elements(&list, begins).unwrap();
        prop_assert_eq!(found.whole.first().copied(), Some(b"{\"a\":1}".as_slice()));
        prop_assert!(found.whole.contains(&b"{\"a\":3}".as_slice()), "{:?}", found);
    }
}
