use super::*;

fn settings(kind: &'static str) -> Settings {
    Settings::from(|key| match key {
        "extended_search_url" => Some("https://forum.example/".to_owned()),
        "extended_search_kind" => Some(kind.to_owned()),
        _ => None,
    })
    .unwrap()
    .unwrap()
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
) -> (Result<Value, Ask>, Vec<Request>) {
    ask_for(&request(), kind, answers)
}

/// [`ask`] for another page than the second. Each answer takes six seconds.
fn ask_for(
    request: &ExtendedRequest,
    kind: &'static str,
    answers: Vec<Result<Response, HttpError>>,
) -> (Result<Value, Ask>, Vec<Request>) {
    let mut answers = answers.into_iter();
    let mut asked = Vec::new();
    let seconds = std::cell::Cell::new(0);
    let send = |requests: &[Request]| {
        asked.extend_from_slice(requests);
        seconds.set(seconds.get() + 6);
        requests.iter().map(|_| answers.next().unwrap_or(Err(HttpError::Unreachable))).collect()
    };
    let found = search(&settings(kind), request, send, || Duration::from_secs(seconds.get()));
    (found, asked)
}

fn page(number: u64) -> ExtendedRequest {
    ExtendedRequest { page: number, ..request() }
}

#[test]
fn settings_that_do_not_fit_say_what_to_set_with_a_forum_and_without() {
    let read = |pairs: &[(&str, &str)]| {
        let find = |key: &str| pairs.iter().find(|(known, _)| *known == key);
        Settings::from(|key| find(key).map(|(_, value)| (*value).to_owned()))
    };
    let url = ("extended_search_url", "https://forum.example");
    assert_eq!(read(&[]), Ok(None), "not configured is no mistake");
    assert!(read(&[url]).unwrap().is_some());
    for (pair, part) in [
        (("extended_search_kind", "phpbb"), "`discourse` or `xenforo`"),
        (("extended_search_timeout_seconds", "0"), "from 1 to 25"),
        (("extended_search_timeout_seconds", "26"), "from 1 to 25"),
    ] {
        for error in [read(&[pair]), read(&[url, pair])].map(Result::unwrap_err) {
            assert!(error.contains(pair.0) && error.contains(part), "{error}");
        }
    }
    let error = read(&[("extended_search_url", "forum.example")]).unwrap_err();
    assert!(error.contains("https://"), "{error}");
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
            matches!(&trouble, Ask::Invalid(reason) if reason.contains("longer name")),
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
    let (first, second) = (&found["creators"][0], &found["creators"][1]);
    assert_eq!(first["url"], "https://forum.example/threads/luna.7/");
    assert_eq!((&first["replies"], &first["date"]), (&json!(11), &json!("2026-01-02")));
    assert_eq!(second["url"], "https://forum.example/threads/8/");
    assert_eq!(second["snippet"], "All about Luna");
    assert_eq!(second["thumbnail"], "https://forum.example/a/1.jpg");
    assert_eq!(asked[0].url, "https://forum.example/api/search/");
    assert!(asked[0].form.as_deref().unwrap().contains("keywords=luna%20%26%20co"));
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
                matches!(&trouble, Ask::Fatal { operator } if operator.contains(part) && !operator.contains("secret")),
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
                matches!(&trouble, Ask::Later { operator, after_ms } if operator.contains(part) && *after_ms == after),
                "{kind}: {trouble:?}"
            );
        }
    }
    let trouble = ask("discourse", vec![answer(404, "")]).0.unwrap_err();
    assert!(matches!(&trouble, Ask::Fatal { operator } if operator.contains("no such API")));
    // The thread list can be out of order too.
    let trouble = ask("xenforo", vec![answer(404, ""), answer(500, "")]).0.unwrap_err();
    assert!(matches!(trouble, Ask::Later { .. }));
}
