use proptest::prelude::*;

use super::*;
use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::item::Kind;

/// The project in the settings, which have one.
fn set_up(get: impl Fn(&str) -> Option<String>) -> Result<Remote, String> {
    match Remote::from(get, &mut Vec::new())? {
        Setup::Remote(remote) => Ok(*remote),
        other => panic!("{other:?}"),
    }
}

fn settings(pairs: &'static [(&str, &str)]) -> Result<Remote, String> {
    let get = |key: &str| {
        if key == "supabase_url" {
            return Some("https://project.example/".to_owned());
        }
        pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned())
    };
    set_up(get)
}

fn remote() -> Remote {
    settings(&[]).unwrap()
}

fn wanted() -> Wanted {
    Wanted {
        creator_name: "A".to_owned(),
        creator_url: Some("https://c.example/a".to_owned()),
        filter: Filter::default(),
        after: None,
        pages: 1,
    }
}

fn after(id: &str) -> Wanted {
    let cursor = Cursor { at: "2026-01-02".to_owned(), id: id.to_owned(), shown: 10 };
    Wanted { after: Some(cursor), ..wanted() }
}

fn answer(status: u16, range: &str, body: &str) -> Result<Response, HttpError> {
    let headers = vec![
        ("content-range".to_owned(), range.to_owned()),
        ("retry-after".to_owned(), "7".to_owned()),
    ];
    Ok(Response { status, headers, body: body.as_bytes().to_vec() })
}

#[test]
fn a_request_is_postgrests_query_language() {
    let mut wanted = after("7");
    wanted.pages = 3;
    wanted.filter = Filter {
        kind: Some(Kind::Video),
        from: Some("2026-01-01".to_owned()),
        to: Some("2026-01-31".to_owned()),
        text: Some("50%_off*".to_owned()),
    };
    let request = remote().request(&wanted, 10);
    let url = &request.url;
    assert!(url.starts_with(
        "https://project.example/rest/v1/content?select=id,title,url,type,posted_at&order=posted_at.desc,id.desc&"
    ));
    for part in [
        "&creator_url=eq.https%3A%2F%2Fc.example%2Fa".to_owned(),
        "&type=eq.video".to_owned(),
        "&posted_at=gte.2026-01-01".to_owned(),
        "&posted_at=lt.2026-02-01".to_owned(),
        "&posted_at=lte.2026-01-02&".to_owned(),
        format!("&title={}", encode("ilike.*50\\%\\_off_*")),
        format!(
            "&or={}",
            encode("(posted_at.lt.\"2026-01-02\",and(posted_at.eq.\"2026-01-02\",id.lt.\"7\"))")
        ),
    ] {
        assert!(url.contains(&part), "{url}\n{part}");
    }
    let header = |name| request.headers.iter().find(|(known, _)| *known == name);
    assert_eq!(header("range").unwrap().1, "0-29");
    assert_eq!(header("prefer").unwrap().1, "count=exact");
}

#[test]
fn the_operators_names_are_asked_for_under_ours() {
    let columns = r#"{"title":"caption","posted_at":"created"}"#;
    let get = |key: &str| match key {
        "supabase_url" => Some("https://project.example".to_owned()),
        "supabase_table" => Some("posts".to_owned()),
        "supabase_columns" => Some(columns.to_owned()),
        _ => None,
    };
    let url = set_up(get).unwrap().request(&wanted(), 10).url;
    assert!(url.contains("/rest/v1/posts?select=id,title:caption,url,type,posted_at:created&order=created.desc,id.desc"));
}

#[test]
fn settings_that_could_change_a_request_are_refused_with_a_sentence() {
    let cases: [(&'static [(&str, &str)], &str); 6] = [
        (&[("supabase_table", "content?select=*")], "supabase_table"),
        (&[("supabase_table", "")], "supabase_table"),
        (&[("supabase_columns", r#"{"id":"id,secret"}"#)], "supabase_columns.id"),
        (&[("supabase_columns", r#"{"title":"order"}"#)], "supabase_columns.title"),
        (&[("supabase_columns", r#"{"colour":"red"}"#)], "takes id"),
        (&[("supabase_columns", "title")], "a table like"),
    ];
    for (pairs, part) in cases {
        let error = settings(pairs).unwrap_err();
        assert!(error.contains(part), "{pairs:?}: {error}");
        let without = |key: &str| {
            let found = pairs.iter().find(|(known, _)| *known == key);
            found.map(|(_, value)| (*value).to_owned())
        };
        // Without a project nobody reads them, so they are only told.
        let mut remarks = Vec::new();
        assert_eq!(Remote::from(without, &mut remarks), Ok(Setup::Local));
        assert_eq!(remarks, [error]);
    }
    assert_eq!(Remote::from(|_| None, &mut Vec::new()), Ok(Setup::Local));
}

#[test]
fn a_number_that_does_not_fit_costs_only_itself() {
    let cases: [(&'static str, &str, &str); 5] = [
        ("cache_seconds", "-1", "from 0 to 86400; 300 is used"),
        ("cache_seconds", "86401", "from 0 to 86400; 300 is used"),
        ("timeout_seconds", "0", "from 1 to 25; 10 is used"),
        ("timeout_seconds", "600", "`timeout_seconds` in content.toml"),
        ("timeout_seconds", "soon", "from 1 to 25; 10 is used"),
    ];
    for (key, value, part) in cases {
        for url in [None, Some("https://project.example".to_owned())] {
            let mut remarks = Vec::new();
            let get = |asked: &str| match asked {
                "supabase_url" => url.clone(),
                _ => (asked == key).then(|| value.to_owned()),
            };
            let setup = Remote::from(get, &mut remarks).unwrap();
            assert_eq!(setup == Setup::Local, url.is_none());
            assert!(remarks.len() == 1 && remarks[0].contains(part), "{remarks:?}");
        }
    }
}

#[test]
fn a_projects_address_is_taken_as_people_copy_it_or_its_trouble_is_told() {
    let at = |url: &str| {
        let get = |key: &str| (key == "supabase_url").then(|| url.to_owned());
        Remote::from(get, &mut Vec::new()).unwrap()
    };
    for (url, start) in [
        ("https://project.example", "https://project.example/rest/v1/content?"),
        ("https://project.example//", "https://project.example/rest/v1/content?"),
        (" https://project.example/rest/v1/ ", "https://project.example/rest/v1/content?"),
        ("https://own.example/base", "https://own.example/base/rest/v1/content?"),
        ("https://own.example/base/rest/v1", "https://own.example/base/rest/v1/content?"),
    ] {
        let Setup::Remote(remote) = at(url) else { panic!("{url}") };
        let request = remote.request(&wanted(), 10);
        assert!(request.url.starts_with(start), "{}", request.url);
    }
    for url in [
        "project.example",
        "ftp://a.example",
        "https://a.example/?x=",
        "https://u:secret@a.example",
        "postgres://a",
    ] {
        let Setup::Unusable(problem) = at(url) else { panic!("{url}") };
        assert!(problem.starts_with("`supabase_url` in content.toml must"), "{problem}");
        assert!(!problem.contains("secret"), "{problem}");
    }
    assert_eq!(at(" "), Setup::Local);
}

#[test]
fn a_row_that_cannot_be_read_costs_that_row_and_is_counted() {
    let good = |id: u64| {
        format!(
            r#"{{"id":{id},"title":"T&amp;{id}","url":"https://m.example/{id}","type":"video","posted_at":"2026-01-02"}}"#
        )
    };
    let bad = [
        r#"{"id":9,"title":7,"url":"https://m.example/9","type":"video","posted_at":"2026-01-02"}"#
            .to_owned(),
        r#"{"id":9,"url":"https://m.example/9","type":"video","posted_at":1e999}"#.to_owned(),
        r#"{"id":9,"url":"javascript:1","type":"video","posted_at":"2026-01-02"}"#.to_owned(),
        r#"{"id":true,"url":"https://m.example/9","type":"video","posted_at":"2026-01-02"}"#
            .to_owned(),
        r#"{"id":9,"posted_at":null}"#.to_owned(),
        "null".to_owned(),
        "[7]".to_owned(),
        good(9).replace("video", "song"),
    ];
    let body = format!("[{},{},{}]", good(1), bad.join(","), good(2));
    let (part, unreadable) = remote().read(&wanted(), 10, answer(200, "0-9/10", &body)).unwrap();
    let titles: Vec<&str> = part.items.iter().map(|item| item.title.as_str()).collect();
    assert_eq!(titles, ["T&1", "T&2"]);
    assert_eq!((part.read, unreadable.count), (10, bad.len()));
    // Halves of letters and bytes that are no text cost their letter.
    let half = good(3).replace("T&amp;3", "x\\ud83d");
    let (part, unreadable) =
        remote().read(&wanted(), 1, answer(200, "0-0/1", &format!("[{half}]"))).unwrap();
    assert_eq!((part.items[0].title.as_str(), unreadable.count), ("x\u{fffd}", 0));
}

#[test]
fn the_next_page_begins_behind_the_last_row_that_has_a_place() {
    let good = r#"{"id":5,"url":"https://m.example/5","type":"video","posted_at":"2026-01-02"}"#;
    let body = format!(r#"[{good},{{"id":null,"posted_at":"2026-01-01"}}]"#);
    let (part, _) = remote().read(&wanted(), 2, answer(206, "0-1/7", &body)).unwrap();
    assert_eq!((part.read, part.last), (1, Some(("2026-01-02".to_owned(), "5".to_owned()))));
    // Where none has one there is no way on, and it is said.
    let none = r#"[{"id":null},{"id":null}]"#;
    let trouble = remote().read(&after("7"), 2, answer(206, "0-1/7", none)).unwrap_err();
    assert!(matches!(trouble, RemoteError::Fatal { .. }));
}

#[test]
fn rows_and_the_total_become_a_page() {
    let body = r#"[{"id":3,"title":"T","url":"https://m.example/3","type":"video","posted_at":"2026-01-02T10:11:12.5+00:00"}]"#;
    let (part, _) = remote().read(&wanted(), 1, answer(206, "0-0/57", body)).unwrap();
    let loaded = part.pages(&wanted(), 1);
    assert_eq!((loaded.items.len(), loaded.total_items, loaded.total_pages), (1, 57, 57));
    assert_eq!(loaded.items[0].date, "2026-01-02");
    let next = loaded.next.unwrap();
    assert_eq!((next.id.as_str(), next.at.as_str()), ("3", "2026-01-02T10:11:12.5+00:00"));
}

#[test]
fn a_row_that_cannot_be_shown_is_left_out_and_paging_goes_on_behind_it() {
    let body = r#"[{"id":3,"title":null,"url":"https://m.example/3","type":"video","posted_at":"2026-01-02"},
                   {"id":2,"url":"javascript:1","type":"video","posted_at":"2026-01-01"}]"#;
    let (part, _) = remote().read(&wanted(), 2, answer(206, "0-1/3", body)).unwrap();
    let loaded = part.pages(&wanted(), 2);
    assert_eq!((loaded.items.len(), loaded.items[0].title.as_str()), (1, "Untitled"));
    assert_eq!(loaded.next.unwrap().id, "2");
}

#[test]
fn each_trouble_says_what_the_operator_can_do_and_whether_it_may_pass() {
    let page = r#"<!doctype html><title>Not here</title>"#;
    let column = r#"{"code":"42703","details":null,"hint":null,"message":"column content.colour does not exist"}"#;
    let unusable =
        r#"[{"id":1,"url":"https://m.example/1","type":"song","posted_at":"2026-01-01"}]"#;
    for (answer, part) in [
        (answer(401, "", r#"{"message":"Invalid API key"}"#), "SUPABASE_KEY"),
        (
            answer(403, "", r#"{"code":"42501","message":"permission denied for table content"}"#),
            "42501",
        ),
        (answer(404, "", r#"{"code":"PGRST205"}"#), "supabase_table"),
        (answer(400, "", column), "42703, column content.colour does not exist"),
        (answer(302, "", ""), "supabase_url"),
        (answer(200, "", page), "web page"),
        (answer(200, "", r#"{"rows":[]}"#), "not a list of rows"),
        (answer(200, "0-0/1", unusable), "cannot be used"),
        (Err(HttpError::Denied), "`net`"),
        (Err(HttpError::TooLarge), "page_size"),
    ] {
        let trouble = remote().read(&wanted(), 10, answer).unwrap_err();
        assert!(
            matches!(&trouble, RemoteError::Fatal { operator } if operator.contains(part)),
            "{trouble:?}"
        );
    }
    for (answer, part, after) in [
        (answer(429, "", ""), "busy", Some(7_000)),
        (
            answer(
                500,
                "",
                r#"{"code":"57014","message":"canceling statement due to statement timeout"}"#,
            ),
            "57014",
            Some(7_000),
        ),
        (answer(503, "", ""), "trouble of its own", Some(7_000)),
        (answer(200, "0-0/1", r#"[{"id":1,"url":"htt"#), "in the middle", None),
        (answer(200, "", ""), "empty", Some(7_000)),
        (Err(HttpError::Timeout), "in time", None),
        (Err(HttpError::Unreachable), "cannot be reached", None),
    ] {
        let trouble = remote().read(&wanted(), 10, answer).unwrap_err();
        assert!(
            matches!(&trouble, RemoteError::Later { operator, after_ms } if operator.contains(part) && *after_ms == after),
            "{trouble:?}"
        );
    }
    let none = remote().read(&wanted(), 10, answer(200, "*/0", "[]")).unwrap_err();
    assert!(matches!(none, RemoteError::NotFound(_)));
}

#[test]
fn what_a_person_typed_does_not_get_into_the_log() {
    let body =
        r#"{"code":"22P02","message":"invalid input syntax for type bigint: \"my secret\""}"#;
    let trouble = remote().read(&wanted(), 10, answer(400, "", body)).unwrap_err();
    let RemoteError::Fatal { operator } = trouble else { panic!("{trouble:?}") };
    assert!(operator.contains("type bigint") && !operator.contains("secret"), "{operator}");
}

#[test]
fn a_column_of_another_type_is_named_and_not_the_address_or_the_table() {
    let columns = ("supabase_columns", r#"{"title":"caption","posted_at":"created"}"#);
    let remote = settings(Box::leak(Box::new([columns]))).unwrap();
    let row = |key: &str, value: &str| {
        let mut row: serde_json::Value = serde_json::json!({
            "id": 1, "title": "T", "url": "https://m.example/1", "type": "video", "posted_at": "2026-01-01",
        });
        row[key] = serde_json::from_str(value).unwrap();
        answer(200, "0-0/1", &format!("[{row}]"))
    };
    let refusal = |status, code: &str, message: &str| {
        answer(status, "", &serde_json::json!({"code": code, "message": message}).to_string())
    };
    for (answer, parts) in [
        (
            answer(200, "", r#"[{"id":1,"title":7}]"#),
            ["column `caption` holds a number where a text", ""],
        ),
        (row("title", "7"), ["column `caption` holds a number where a text", "for `title`"]),
        (row("posted_at", "1767323045"), ["column `created` holds a number where a date", ""]),
        (row("url", r#"{"a":1}"#), ["column `url` holds an object", "supabase_columns"]),
        (row("id", "true"), ["column `id` holds true or false where a number or a text", ""]),
        (
            refusal(404, "42883", "operator does not exist: integer ~~* unknown"),
            ["integer ~~* unknown", "creator_name, caption, url and type are text, created is"],
        ),
        (
            refusal(400, "22P02", "invalid input syntax for type bigint: \"https://c.example\""),
            ["type bigint", "another type"],
        ),
    ] {
        let trouble = remote.read(&wanted(), 10, answer).unwrap_err();
        let RemoteError::Fatal { operator } = trouble else { panic!("{trouble:?}") };
        assert!(parts.iter().all(|part| operator.contains(part)), "{operator}");
        assert!(!operator.contains("supabase_url") && !operator.contains("_table"), "{operator}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_typed_leaves_its_place_in_the_request(
        id in "\\PC{1,25}", creator in "\\PC{0,40}", text in "\\PC{0,40}",
    ) {
        let mut wanted = after(&id);
        wanted.creator_url = Some(creator);
        wanted.filter.text = Some(text);
        let url = remote().request(&wanted, 10).url;
        let (_, query) = url.split_once('?').unwrap();
        let names: Vec<&str> = query.split('&').map(|pair| pair.split_once('=').unwrap().0).collect();
        prop_assert_eq!(names, ["select", "order", "creator_url", "title", "posted_at", "or"]);
        prop_assert!(!url.contains(['"', ' ', '#', '(', '\\']));
    }

    #[test]
    fn any_answer_is_read_or_is_trouble(status in 100_u16..600, range in "\\PC{0,12}", body in "\\PC{0,60}") {
        // Only that it ends in one or the other, without a panic.
        let _ = remote().read(&wanted(), 10, answer(status, &range, &body));
    }
}
