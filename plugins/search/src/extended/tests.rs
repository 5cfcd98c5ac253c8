use super::*;

fn settings(kind: &'static str) -> Settings {
    settings_at("https://forum.example/", kind)
}

fn settings_at(url: &str, kind: &'static str) -> Settings {
    let get = |key: &str| match key {
        "extended_search_url" => Some(url.to_owned()),
        "extended_search_kind" => Some(kind.to_owned()),
        _ => None,
    };
    Settings::from(get, &mut Vec::new()).unwrap().unwrap()
}

fn request() -> ExtendedRequest {
    ExtendedRequest { query: "luna & co".to_owned(), page: 2 }
}

fn answer(status: u16, body: &str) -> Result<Response, HttpError> {
    Ok(Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() })
}

/// Searches a forum that gives these answers in turn; also what it was asked.
fn ask(
    kind: &'static str,
    answers: Vec<Result<Response, HttpError>>,
) -> (Result<Value, ForumError>, Vec<Request>) {
    ask_for(&request(), kind, answers)
}

/// [`ask`] for another page than the second. Each answer takes six seconds.
fn ask_for(
    request: &ExtendedRequest,
    kind: &'static str,
    answers: Vec<Result<Response, HttpError>>,
) -> (Result<Value, ForumError>, Vec<Request>) {
    let mut answers = answers.into_iter();
    let mut asked = Vec::new();
    let seconds = std::cell::Cell::new(0);
    let send = |requests: &[Request]| {
        asked.extend_from_slice(requests);
        seconds.set(seconds.get() + 6);
        requests.iter().map(|_| answers.next().unwrap_or(Err(HttpError::Unreachable))).collect()
    };
    let found = search(&settings(kind), request, send, || Duration::from_secs(seconds.get()));
    (found.map(|answer| answer.data), asked)
}

/// One answer of a forum in a folder of its host.
fn ask_in_folder(kind: &'static str, answers: Vec<&str>) -> Answer {
    let settings = settings_at("https://forum.example/community/", kind);
    let mut answers = answers.into_iter();
    let send = |requests: &[Request]| {
        assert!(requests[0].url.starts_with("https://forum.example/community/"), "{requests:?}");
        requests.iter().map(|_| answer(200, answers.next().unwrap())).collect()
    };
    search(&settings, &page(1), send, || Duration::ZERO).unwrap()
}

fn page(number: u64) -> ExtendedRequest {
    ExtendedRequest { page: number, ..request() }
}

#[test]
fn settings_that_do_not_fit_say_what_to_set_with_a_forum_and_without() {
    let read = |pairs: &[(&str, &str)]| {
        let find = |key: &str| pairs.iter().find(|(known, _)| *known == key);
        let mut remarks = Vec::new();
        let get = |key: &str| find(key).map(|(_, value)| (*value).to_owned());
        (Settings::from(get, &mut remarks), remarks)
    };
    let url = ("extended_search_url", "https://forum.example");
    assert_eq!(read(&[]).0, Ok(None), "not configured is no mistake");
    assert_eq!(read(&[("extended_search_url", " ")]).0, Ok(None));
    assert!(read(&[url]).0.unwrap().is_some());
    let kind = |name| ("extended_search_kind", name);
    assert!(read(&[url, kind(" XenForo ")]).0.is_ok());
    for error in
        [read(&[kind("phpbb")]), read(&[url, kind("phpbb")])].map(|read| read.0.unwrap_err())
    {
        assert!(
            error.contains("`extended_search_kind` in search.toml is `discourse` or"),
            "{error}"
        );
    }
    for bad in [
        "forum.example",
        "ftp://forum.example",
        "https://u:secret@forum.example",
        "https://forum.example/?x=1",
    ] {
        let error = read(&[("extended_search_url", bad)]).0.unwrap_err();
        assert!(error.starts_with("`extended_search_url` in search.toml must"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    // A number costs only itself.
    for number in ["0", "26", "soon"] {
        let (settings, remarks) = read(&[url, ("extended_search_timeout_seconds", number)]);
        assert_eq!(settings.unwrap().unwrap().timeout_ms, 10_000);
        assert!(remarks[0].contains("from 1 to 25; 10 is used"), "{remarks:?}");
    }
}

#[test]
fn a_forum_in_a_folder_of_its_host_is_asked_there_and_its_links_lead_there() {
    let topics = r#"{"topics":[{"id":7,"title":"T","slug":"t","image_url":"/community/uploads/7.png"},
        {"id":8,"title":"U","image_url":"//cdn.example/8.png"},{"id":9,"title":"V","image_url":"data:image/png;base64,AA"}]}"#;
    let found = ask_in_folder("discourse", vec![topics]).data;
    let of = |place: usize, key: &str| found["creators"][place][key].clone();
    assert_eq!(of(0, "url"), "https://forum.example/community/t/t/7");
    assert_eq!(of(0, "thumbnail"), "https://forum.example/community/uploads/7.png");
    assert_eq!(of(1, "thumbnail"), "https://cdn.example/8.png");
    assert_eq!(of(2, "thumbnail"), Value::Null);
    let made = r#"{"search":{"search_id":"31"}}"#;
    let results = r#"{"results":[{"thread_id":7,"title":"T","view_url":"/community/threads/t.7/"},{"thread_id":8,"title":"U"}]}"#;
    let found = ask_in_folder("xenforo", vec![made, results]).data;
    assert_eq!(found["creators"][0]["url"], "https://forum.example/community/threads/t.7/");
    assert_eq!(found["creators"][1]["url"], "https://forum.example/community/threads/8/");
}

#[test]
fn what_a_forum_escaped_for_web_pages_is_text_and_unescaped_once() {
    let topics = r#"{"topics":[{"id":7,"title":"Tom &amp; Ann&#39;s &lt;corner&gt;"}],"posts":[{"topic_id":7,"blurb":"Ann&hellip; &amp;lt;b&amp;gt;"}]}"#;
    let found = ask("discourse", vec![answer(200, topics)]).0.unwrap();
    assert_eq!(found["creators"][0]["name"], "Tom & Ann's <corner>");
    assert_eq!(found["creators"][0]["snippet"], "Ann… &lt;b&gt;");
    let made = answer(200, r#"{"search":{"search_id":31}}"#);
    let results = r#"{"results":[{"message":"a &quot;b&quot;","Thread":{"thread_id":7,"title":"L&uuml;&#x6e;a &#039;x&#039;"}}]}"#;
    let found = ask("xenforo", vec![made, answer(200, results)]).0.unwrap();
    assert_eq!(found["creators"][0]["name"], "Lüna 'x'");
    assert_eq!(found["creators"][0]["snippet"], "a \"b\"");
    // A list is looked through by what a person would read.
    let listed = r#"{"threads":[{"thread_id":7,"title":"Luna &amp; Co"}]}"#;
    let found = ask_for(&page(1), "xenforo", vec![answer(404, ""), answer(200, listed)]).0;
    assert_eq!(found.unwrap()["creators"][0]["name"], "Luna & Co");
}

#[test]
fn a_piece_that_cannot_be_read_costs_that_piece_and_is_counted() {
    let bad = [
        r#"{"id":-1,"thread_id":-1,"title":"x"}"#,
        r#"{"id":1e999,"thread_id":1e999,"title":"x"}"#,
        r#"{"id":1,"thread_id":1}"#,
        r#"{"id":1,"thread_id":1,"title":7}"#,
        r#"{"id":1,"thread_id":1,"title":"&#8203;"}"#,
        "null",
        "[[[[]]]]",
    ];
    // Fields that are only decoration cost themselves.
    let odd = r#"{"id":5,"thread_id":5,"title":"half \ud83d","posts_count":"x","reply_count":1e999,"created_at":7,"post_date":"x",
        "image_url":[],"slug":null,"view_url":{},"message":false,"Attachments":[7,{"thumbnail_url":0}]}"#;
    let pieces = format!("[{},{odd}]", bad.join(","));
    let made = r#"{"search":{"search_id":31}}"#;
    let discourse = format!(
        r#"{{"topics":{pieces},"posts":[7,{{"topic_id":5,"blurb":[]}}],"grouped_search_result":7}}"#
    );
    let xenforo = format!(r#"{{"results":{pieces},"pagination":{{"last_page":-1}}}}"#);
    for (kind, answers) in
        [("discourse", vec![discourse.as_str()]), ("xenforo", vec![made, &xenforo])]
    {
        let found = ask_in_folder(kind, answers);
        assert_eq!(found.data["creators"].as_array().unwrap().len(), 1, "{kind}: {found:?}");
        assert_eq!(found.data["creators"][0]["name"], "half \u{fffd}");
        assert_eq!(found.metadata, json!({"unreadable": bad.len()}));
        let remark = found.remark.unwrap();
        assert!(remark.contains("7 threads of an answer could not be read"), "{remark}");
    }
    let listed = format!(r#"{{"threads":{pieces}}}"#);
    let anything = ExtendedRequest { query: "half".to_owned(), page: 1 };
    let found =
        ask_for(&anything, "xenforo", vec![answer(404, ""), answer(200, &listed)]).0.unwrap();
    assert_eq!(found["creators"].as_array().unwrap().len(), 1);
}

#[test]
fn a_byte_that_is_no_text_costs_its_letter() {
    let mut body = br#"{"topics":[{"id":7,"title":"#.to_vec();
    body.extend(b"\"a\xff\x01\"}]}");
    let response = Response { status: 200, headers: Vec::new(), body };
    let found = ask("discourse", vec![Ok(response)]).0.unwrap();
    assert_eq!(found["creators"][0]["name"], "a\u{fffd}");
}

#[test]
fn two_requests_that_follow_each_other_share_the_time() {
    let made = answer(200, r#"{"search":{"search_id":31}}"#);
    let results = answer(200, r#"{"results":[]}"#);
    let (_, asked) = ask("xenforo", vec![made, results]);
    let times: Vec<u32> = asked.iter().map(|request| request.timeout_ms).collect();
    assert_eq!(times, [10_000, 4_000], "the first took six seconds of ten");
    let (_, asked) = ask("xenforo", vec![answer(404, "")]);
    assert!(asked[1..].iter().all(|request| request.timeout_ms == 4_000), "{asked:?}");
}

#[test]
fn discourse_has_ten_pages_whatever_it_says() {
    let more = r#"{"topics":[{"id":7,"title":"T"}],"grouped_search_result":{"more_full_page_results":true}}"#;
    for (number, has_more) in [(9, true), (10, false)] {
        let (found, asked) = ask_for(&page(number), "discourse", vec![answer(200, more)]);
        assert_eq!(found.unwrap()["has_more"], has_more, "page {number}");
        assert!(asked[0].url.ends_with(&format!("&page={number}")), "{asked:?}");
    }
    let (found, asked) = ask_for(&page(11), "discourse", Vec::new());
    let found = found.unwrap();
    assert_eq!((&found["creators"], &found["has_more"]), (&json!([]), &json!(false)));
    assert_eq!(asked, []);
}

#[test]
fn a_page_without_a_hit_says_that_the_next_one_may_have_some() {
    let none = |last: u64| {
        let thread = json!({"thread_id": 1, "title": "Somebody else"});
        answer(200, &json!({"threads": [thread], "pagination": {"last_page": last}}).to_string())
    };
    for (last, number, has_more) in
        [(6, 1, true), (5, 1, false), (600, 99, true), (600, 100, false)]
    {
        let answers = std::iter::once(answer(404, "")).chain((0..5).map(|_| none(last))).collect();
        let found = ask_for(&page(number), "xenforo", answers).0.unwrap();
        assert_eq!((&found["creators"], &found["page"]), (&json!([]), &json!(number)));
        assert_eq!(found["has_more"], has_more, "page {number} of a list of {last}");
    }
}

#[test]
fn a_page_that_went_away_meanwhile_is_an_empty_last_one() {
    let made = || answer(200, r#"{"search":{"search_id":31}}"#);
    let gone = || answer(400, r#"{"errors":[{"code":"invalid_page"}]}"#);
    for first in [made(), answer(404, "")] {
        let found = ask("xenforo", vec![first, gone()]).0.unwrap();
        assert_eq!((&found["creators"], &found["has_more"]), (&json!([]), &json!(false)));
    }
    assert!(ask_for(&page(1), "xenforo", vec![made(), gone()]).0.is_err(), "there is a first page");
}

#[test]
fn discourses_topics_become_hits_with_their_snippets() {
    let body = r#"{"topics":[{"id":7,"title":"Luna's corner","slug":"lunas-corner","posts_count":12,"created_at":"2026-01-02T03:04:05Z","image_url":"/uploads/7.png"}],
                   "posts":[{"topic_id":7,"blurb":"All about\nLuna"}],"grouped_search_result":{"more_full_page_results":true}}"#;
    let (found, asked) = ask("discourse", vec![answer(200, body)]);
    assert_eq!(
        found.unwrap(),
        json!({
            "query": "luna & co", "exact_match": false, "fuzzy_match": true, "source": "simpcity", "page": 2, "has_more": true,
            "creators": [{
                "name": "Luna's corner", "url": "https://forum.example/t/lunas-corner/7", "source": "simpcity", "score": 0.0,
                "replies": 11, "date": "2026-01-02", "snippet": "All about Luna",
                "thumbnail": "https://forum.example/uploads/7.png",
            }],
        })
    );
    assert_eq!(asked[0].url, "https://forum.example/search.json?q=luna%20co&page=2");
}

#[test]
fn what_a_forum_reads_as_orders_is_taken_out_of_a_query() {
    for (typed, asked) in [
        ("password in:all-pms", "password in all-pms"),
        ("@moonlit_luna", "moonlit luna"),
        ("#staff \"luna's\" order:latest", "staff luna's order latest"),
        ("Zoë 月の राम", "Zoë 月の राम"),
    ] {
        assert_eq!(discourse::plain_words(typed), asked);
    }
}

#[test]
fn a_query_that_is_too_short_for_the_forum_is_the_persons_to_mend() {
    for (kind, body) in [
        ("discourse", r#"{"errors":["too short"],"error_type":"invalid_parameters"}"#),
        (
            "xenforo",
            r#"{"errors":[{"code":"search_could_not_be_completed_because_search_keywords_were_too"}]}"#,
        ),
    ] {
        let trouble = ask(kind, vec![answer(400, body)]).0.unwrap_err();
        assert!(
            matches!(&trouble, ForumError::Invalid(reason) if reason.contains("longer name")),
            "{trouble:?}"
        );
    }
}

#[test]
fn xenforos_search_is_made_and_read() {
    let made = r#"{"success":true,"search":{"search_id":31,"result_count":3}}"#;
    let results = r#"{"search":{"search_id":31},"pagination":{"current_page":2,"last_page":3},"results":[
        {"thread_id":7,"title":"Luna & co","view_url":"https://forum.example/threads/luna.7/","reply_count":11,"post_date":1767323045},
        {"post_id":90,"message":"[B]All[/B] about Luna","Attachments":[{"thumbnail_url":"https://forum.example/a/1.jpg"}],
         "Thread":{"thread_id":8,"title":"More Luna","view_url":"javascript:1","reply_count":2,"post_date":1767323045}},
        {"content_type":"post","content":{"post_id":91,"Thread":{"thread_id":8,"title":"More Luna"}}}]}"#;
    let (found, asked) = ask("xenforo", vec![answer(200, made), answer(200, results)]);
    let found = found.unwrap();
    assert_eq!(found["has_more"], true);
    assert_eq!(found["creators"].as_array().unwrap().len(), 2);
    let first = &found["creators"][0];
    let second = &found["creators"][1];
    assert_eq!(first["url"], "https://forum.example/threads/luna.7/");
    assert_eq!((&first["replies"], &first["date"]), (&json!(11), &json!("2026-01-02")));
    assert_eq!(second["url"], "https://forum.example/threads/8/");
    assert_eq!(second["snippet"], "All about Luna");
    assert_eq!(second["thumbnail"], "https://forum.example/a/1.jpg");
    assert_eq!(asked[0].url, "https://forum.example/api/search/");
    assert!(String::from_utf8_lossy(&asked[0].body).contains("keywords=luna%20%26%20co"));
    assert_eq!(asked[1].url, "https://forum.example/api/search/31/?page=2");
}

#[test]
fn a_xenforo_without_a_search_is_looked_through_by_title() {
    let page = |ids: &[u64], last: u64| {
        let threads: Vec<Value> = ids
            .iter()
            .map(|id| json!({"thread_id": id, "title": if id % 2 == 0 { "CO & Luna" } else { "Else" }}))
            .collect();
        let pagination = json!({"last_page": last});
        answer(200, &json!({"threads": threads, "pagination": pagination}).to_string())
    };
    let gone = answer(404, r#"{"errors":[{"code":"endpoint_not_found"}]}"#);
    // The list ends with its eighth page; what is behind it is not looked at.
    let answers = vec![gone, page(&[1, 2], 8), page(&[2, 3, 4], 8), page(&[6], 8), answer(404, "")];
    let (found, asked) = ask("xenforo", answers);
    let found = found.unwrap();
    let urls: Vec<&str> = found["creators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["url"].as_str().unwrap())
        .collect();
    assert_eq!(urls, [2, 4, 6].map(|id| format!("https://forum.example/threads/{id}/")));
    assert_eq!(found["has_more"], false);
    let listed: Vec<&str> = asked[1..].iter().map(|request| request.url.as_str()).collect();
    assert_eq!(listed.len(), 5, "all at the same time");
    assert_eq!(
        listed[0],
        "https://forum.example/api/threads/?page=6&order=last_post_date&direction=desc"
    );
}

#[test]
fn a_xenforo_search_may_find_nothing() {
    let none = r#"{"errors":[{"code":"no_results_found","message":"No results found."}]}"#;
    let empty = r#"{"success":true,"search":{"search_id":31,"result_count":0}}"#;
    for answer in [answer(400, none), answer(200, empty)] {
        let (found, asked) = ask("xenforo", vec![answer]);
        assert_eq!(found.unwrap()["creators"], json!([]));
        assert_eq!(asked.len(), 1);
    }
}

#[test]
fn each_trouble_is_final_or_for_later_whatever_the_software() {
    let refused = r#"{"errors":[{"code":"api_key_not_found","message":"my secret"}]}"#;
    for kind in ["discourse", "xenforo"] {
        for (answer, part) in [
            (answer(403, refused), "EXTENDED_SEARCH_KEY"),
            (answer(403, refused), "api_key_not_found"),
            (answer(301, ""), "extended_search_url"),
            (answer(200, "<html>"), "web page"),
            (answer(200, r#"{"topics":7}"#), "extended_search_kind"),
            (Err(HttpError::Denied), "`net`"),
            (Err(HttpError::Private), "private address"),
            (Err(HttpError::TooMany), "max_http_requests"),
        ] {
            let trouble = ask(kind, vec![answer]).0.unwrap_err();
            assert!(
                matches!(&trouble, ForumError::Fatal { operator } if operator.contains(part) && !operator.contains("secret")),
                "{kind}: {trouble:?}"
            );
        }
        let seconds =
            r#"{"errors":["slow down"],"error_type":"rate_limit","extras":{"wait_seconds":11}}"#;
        for (answer, part, after) in [
            (answer(429, seconds), "rate_limit", Some(11_000)),
            (answer(503, ""), "trouble of its own", None),
            (answer(200, "{\"topics\": ["), "in the middle", None),
            (answer(200, ""), "empty", None),
            (Err(HttpError::Timeout), "in time", None),
            (Err(HttpError::Unreachable), "cannot be reached", None),
        ] {
            let trouble = ask(kind, vec![answer]).0.unwrap_err();
            assert!(
                matches!(&trouble, ForumError::Later { operator, after_ms } if operator.contains(part) && *after_ms == after),
                "{kind}: {trouble:?}"
            );
        }
    }
    let trouble = ask("discourse", vec![answer(404, "")]).0.unwrap_err();
    assert!(matches!(&trouble, ForumError::Fatal { operator } if operator.contains("no such API")));
    // The thread list can be out of order too.
    let trouble = ask("xenforo", vec![answer(404, ""), answer(500, "")]).0.unwrap_err();
    assert!(matches!(trouble, ForumError::Later { .. }));
}
