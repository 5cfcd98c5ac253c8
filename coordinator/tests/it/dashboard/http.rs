//! What the dashboard serves, and to whom.

use std::time::Duration;

use queue::{FailureCode, Task};
use reqwest::StatusCode;
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN};
use serde_json::Map;
use test_kit::eventually;

use super::{ADMIN, Dashboard, FIRST_LOAD, HOSTILE, PAGES, READ, WORKER, search};
use crate::support::scripted_worker;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_the_token_and_a_reader_changes_nothing() {
    let dashboard = Dashboard::start(true).await;
    let get = |path: &str| dashboard.http.get(dashboard.url(path)).send();
    for path in PAGES {
        let response = get(path).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()[LOCATION]),
            (StatusCode::SEE_OTHER, &"/login".parse().unwrap())
        );
    }
    assert_eq!(get("/events/overview").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let wrong = dashboard.post("/login", "", &[("token", "an-admin-token-of-many-letterz")]).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let admin = dashboard.log_in(ADMIN).await;
    let reader = dashboard.log_in(READ).await;
    let task = dashboard.waiting_task().await;
    let shown = format!("/task?id={}", task.task_id);
    assert!(dashboard.page(&shown, &admin).await.contains("onerror"), "an admin sees the params");
    let for_reader = dashboard.page(&shown, &reader).await;
    assert!(!for_reader.contains("onerror") && for_reader.contains("not shown"), "{for_reader}");
    let types = dashboard.page("/types", &reader).await;
    assert!(!types.contains("/do/"), "no buttons for a reader: {types}");
    let (_, rest) = types.split_once("name=\"csrf\" value=\"").unwrap();
    let csrf = rest.split('"').next().unwrap();
    let pause = [("csrf", csrf), ("type", "search_creator"), ("paused", "1")];
    let refused = dashboard.post("/do/pause", &reader, &pause).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let forged = dashboard.post("/logout", &reader, &[("csrf", "x")]).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN, "nobody is logged out by another page");
    let out = dashboard.post("/logout", &reader, &[("csrf", csrf)]).await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    let gone = dashboard.http.get(dashboard.url("/")).header(COOKIE, &reader).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::SEE_OTHER, "the session has ended");
    let log = dashboard.process.whole_log();
    assert!(!log.contains(ADMIN) && !log.contains(READ), "a token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_pages_other_names_and_old_forms_are_refused() {
    let dashboard = Dashboard::start(false).await;
    dashboard.waiting_task().await;
    let csrf = dashboard.csrf("").await;
    let named = dashboard.http.get(dashboard.url("/")).header(HOST, "evil.example").send().await;
    assert_eq!(named.unwrap().status(), StatusCode::MISDIRECTED_REQUEST, "DNS rebinding");
    let pause = |csrf: &str| {
        let fields = [("csrf", csrf), ("type", "search_creator"), ("paused", "1")];
        dashboard.http.post(dashboard.url("/do/pause")).form(&fields)
    };
    for origin in ["http://evil.example", "http://127.0.0.1:1"] {
        let refused = pause(&csrf).header(ORIGIN, origin).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let refused = pause(&csrf).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    for wrong in ["", "0"] {
        assert_eq!(pause(wrong).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let by_get = dashboard.http.get(dashboard.url("/do/pause?type=search_creator&paused=1"));
    assert_eq!(by_get.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let paused = async || dashboard.queue.stats(Duration::from_secs(35)).await.unwrap()[0].paused;
    assert!(!paused().await, "nothing of that was done");
    let own = format!("http://{}", dashboard.address);
    assert_eq!(
        pause(&csrf).header(ORIGIN, own).send().await.unwrap().status(),
        StatusCode::SEE_OTHER
    );
    assert!(paused().await);
    let response = dashboard.http.get(dashboard.url("/")).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_small_escapes_what_redis_holds_and_needs_nothing_from_elsewhere() {
    let dashboard = Dashboard::start(false).await;
    dashboard.dead_letters(2, FailureCode::Trap, HOSTILE).await;
    let _worker = scripted_worker(&dashboard.redis, Duration::from_secs(600)).await;
    dashboard.queue.set_paused(&search(), true).await.unwrap();
    let task = dashboard.waiting_task().await;
    for path in PAGES {
        let page = dashboard.page(path, "").await;
        let mut size = page.len();
        for (_, rest) in page.match_indices("/assets/").map(|(at, _)| page.split_at(at)) {
            let asset = rest.split('"').next().unwrap();
            size += dashboard.page(asset, "").await.len();
        }
        assert!(size <= FIRST_LOAD, "{path}: {size} bytes");
        assert!(!page.contains("://"), "{path} names another server: {page}");
        assert!(!page.contains("<script>") && !page.contains(" style="), "{path}: {page}");
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
    }
    let page = dashboard.page(&format!("/task?id={}", task.task_id), "").await;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<img src=x"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_set_and_taken_back_and_each_change_is_recorded() {
    let dashboard = Dashboard::start(true).await;
    dashboard.waiting_task().await;
    let cookie = dashboard.log_in(ADMIN).await;
    let csrf = dashboard.csrf(&cookie).await;
    let set = async |limit: &str, most: &str| {
        let fields =
            [("csrf", csrf.as_str()), ("type", "search_creator"), ("limit", limit), ("most", most)];
        dashboard.post("/do/limit", &cookie, &fields).await.status()
    };
    let limits = async || dashboard.queue.stats(Duration::from_secs(35)).await.unwrap()[0].limits;
    assert_eq!(set("max_active", "3").await, StatusCode::SEE_OTHER);
    assert_eq!(set("user_cap", "1").await, StatusCode::SEE_OTHER);
    assert_eq!((limits().await.max_active, limits().await.user_cap), (Some(3), Some(1)));
    let more = Task::new(search(), 7, Map::new());
    assert!(dashboard.queue.submit_task(&more).await.is_err(), "the scripts read the limit");
    for (limit, most) in
        [("max_active", "0"), ("max_active", "-1"), ("paused", "1"), ("max_active", "x")]
    {
        assert_eq!(set(limit, most).await, StatusCode::BAD_REQUEST, "{limit} {most}");
    }
    assert_eq!(set("rate", "30/min").await, StatusCode::SEE_OTHER);
    assert_eq!(limits().await.rate.unwrap().to_string(), "30/min");
    assert_eq!(set("rate", "often").await, StatusCode::BAD_REQUEST);
    assert_eq!(set("max_active", "").await, StatusCode::SEE_OTHER);
    assert_eq!(limits().await.max_active, None);
    let audit = dashboard.page("/audit", &cookie).await;
    for part in ["log in", "Ada", "127.0.0.1", "search_creator max_active = 3", "= default"] {
        assert!(audit.contains(part), "no `{part}` in {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_many_is_what_was_counted_and_not_what_came_later() {
    let dashboard = Dashboard::start(false).await;
    dashboard.dead_letters(3, FailureCode::PluginFailed, "the forum answers 429").await;
    dashboard.dead_letters(2, FailureCode::Trap, "crashed").await;
    let csrf = dashboard.csrf("").await;
    let group = [
        ("csrf", csrf.as_str()),
        ("type", "search_creator"),
        ("grouped", "1"),
        ("code", "plugin-failed"),
        ("version", "search 1.2.3"),
    ];
    let export = dashboard.post("/do/export", "", &group).await.text().await.unwrap();
    assert_eq!(export.lines().count(), 3);
    assert!(export.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let ask = async |what: &str| {
        let asked = dashboard.post("/do/dead", "", &[&group[..], &[("do", what)]].concat()).await;
        asked.headers()[LOCATION].to_str().unwrap().to_owned()
    };
    let question = ask("replay").await;
    assert!(dashboard.page(&question, "").await.contains("Replay 3 dead letters?"));
    // One more after the count.
    dashboard.dead_letters(1, FailureCode::PluginFailed, "the forum answers 429").await;
    let plan = question.split_once("id=").unwrap().1;
    let carry_out = async |plan: &str| {
        dashboard.post("/do/plan", "", &[("csrf", &csrf), ("plan", plan)]).await.status()
    };
    assert_eq!(carry_out(plan).await, StatusCode::SEE_OTHER);
    let dead = async || dashboard.queue.dead_letters(&search(), 100).await.unwrap().len();
    assert_eq!(dead().await, 3, "two of another reason, and the later one");
    assert_eq!(dashboard.queue.queue_size(&search()).await.unwrap(), 3);
    assert_eq!(carry_out(plan).await, StatusCode::BAD_REQUEST, "once");
    let question = ask("discard").await;
    assert_eq!(carry_out(question.split_once("id=").unwrap().1).await, StatusCode::SEE_OTHER);
    assert_eq!(dead().await, 2);
    let page = dashboard.page("/dead", "").await;
    assert!(page.contains("1 was discarded"), "{page}");
    let fields = [("csrf", csrf.as_str()), ("type", "search_creator"), ("which", "waiting")];
    let asked = dashboard.post("/do/cancel-found", "", &fields).await;
    let question = asked.headers()[LOCATION].to_str().unwrap().to_owned();
    dashboard.waiting_task().await;
    assert_eq!(carry_out(question.split_once("id=").unwrap().1).await, StatusCode::SEE_OTHER);
    assert_eq!(dashboard.queue.queue_size(&search()).await.unwrap(), 1, "the later one waits");
    let audit = dashboard.page("/audit", "").await;
    for part in ["replay", "with the reason plugin-failed", "3 were replayed", "cancel", "export"] {
        assert!(audit.contains(part), "no `{part}` in {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_away_is_said_in_the_first_sentence_and_nothing_is_changed_unrecorded() {
    let dashboard = Dashboard::start(false).await;
    dashboard.waiting_task().await;
    let csrf = dashboard.csrf("").await;
    dashboard.set_redis("min-replicas-to-write", "1").await;
    let pause = [("csrf", csrf.as_str()), ("type", "search_creator"), ("paused", "1")];
    let refused = dashboard.post("/do/pause", "", &pause).await;
    assert_eq!(refused.status(), StatusCode::BAD_GATEWAY);
    let said = refused.text().await.unwrap();
    assert!(said.contains("cannot be recorded"), "{said}");
    eventually("the sentence", async || {
        dashboard.page("/", "").await.contains("Redis refuses writes, since").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_frees_memory_is_done_and_recorded_on_a_full_redis() {
    let dashboard = Dashboard::start(false).await;
    dashboard.dead_letters(2, FailureCode::Trap, "crashed").await;
    let csrf = dashboard.csrf("").await;
    dashboard.set_redis("maxmemory", "1").await;
    let all = [("csrf", csrf.as_str()), ("type", "search_creator"), ("do", "discard")];
    let asked = dashboard.post("/do/dead", "", &all).await;
    let question = asked.headers()[LOCATION].to_str().unwrap().to_owned();
    let plan = question.split_once("id=").unwrap().1;
    let done = dashboard.post("/do/plan", "", &[("csrf", &csrf), ("plan", plan)]).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    assert!(dashboard.queue.dead_letters(&search(), 9).await.unwrap().is_empty());
    assert!(dashboard.page("/audit", "").await.contains("discard"));
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_tasks_are_found_and_those_that_failed_are_replayed_together() {
    let dashboard = Dashboard::start(false).await;
    let worker = dashboard.worker();
    for query in ["luna", "fail 1", "fail 2"] {
        dashboard.asks(query).await;
    }
    drop(worker);
    eventually("the worker's end", async || {
        dashboard.queue.has_stopped(WORKER).await.unwrap().then_some(())
    })
    .await;
    eventually("three finished tasks", async || {
        let page = dashboard.page("/finished", "").await;
        (page.matches("/task?id=").count() == 3).then_some(())
    })
    .await;
    for (query, count) in [
        ("status=failed&user=7", 2),
        ("status=completed", 1),
        ("code=plugin-failed&version=1.2.3", 2),
        ("user=8", 0),
        ("from=2999-01-01T00:00", 0),
    ] {
        let page = dashboard.page(&format!("/finished?{query}"), "").await;
        assert_eq!(page.matches("/task?id=").count(), count, "{query}: {page}");
    }
    let wrong = dashboard.page("/finished?user=x", "").await;
    assert!(wrong.contains("A person is a number"), "{wrong}");
    // One finished task has a timeline, and its params are not kept.
    let page = dashboard.page("/finished?status=failed", "").await;
    let (_, rest) = page.split_once("/task?id=").unwrap();
    let id = rest.split('"').next().unwrap();
    let task = dashboard.page(&format!("/task?id={id}"), "").await;
    for part in
        ["Submitted", "Taken by the worker", "Ended: <strong>failed</strong>, plugin-failed"]
    {
        assert!(task.contains(part), "no `{part}` in {task}");
    }
    assert!(task.contains("not kept in the history"), "{task}");
    let csrf = dashboard.csrf("").await;
    let fields = [("csrf", csrf.as_str()), ("status", "failed"), ("user", "7")];
    let asked = dashboard.post("/do/retry-found", "", &fields).await;
    let question = asked.headers()[LOCATION].to_str().unwrap().to_owned();
    assert!(dashboard.page(&question, "").await.contains("Replay 2 dead letters?"));
    let plan = question.split_once("id=").unwrap().1;
    dashboard.post("/do/plan", "", &[("csrf", &csrf), ("plan", plan)]).await;
    assert_eq!(dashboard.queue.queue_size(&search()).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_dead_letters_are_read_page_by_page() {
    let dashboard = Dashboard::start(false).await;
    dashboard.dead_letters(60, FailureCode::Trap, "wasm trap").await;
    let first = dashboard.page("/dead", "").await;
    assert_eq!(first.matches("&amp;dead=").count(), 50);
    let (_, rest) = first.split_once("&amp;before=").unwrap();
    let before = rest.split('"').next().unwrap();
    let second = format!("/dead?type=search_creator&before={before}");
    let second = dashboard.page(&second, "").await;
    assert_eq!(second.matches("&amp;dead=").count(), 10);
    let entry = |page: &str| {
        let entries = page.split("&amp;dead=").skip(1);
        entries.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(entry(&first).iter().all(|one| !entry(&second).contains(one)), "none twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_tokens_has_to_wait() {
    let dashboard = Dashboard::start(true).await;
    for _ in 0..10 {
        let wrong = dashboard.post("/login", "", &[("token", "wrong")]).await;
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    }
    let right = dashboard.post("/login", "", &[("token", ADMIN)]).await;
    assert_eq!(right.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(right.headers().contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_drained_and_takes_tasks_again() {
    let dashboard = Dashboard::start(false).await;
    let _worker = dashboard.worker();
    let csrf = dashboard.csrf("").await;
    let is_drained = async |wanted: bool| {
        eventually("the worker's word", async || {
            let workers = dashboard.queue.workers().await.unwrap();
            workers.iter().any(|record| record.drained == wanted).then_some(())
        })
        .await;
    };
    for (drained, wanted) in [("1", true), ("0", false)] {
        let fields = [("csrf", csrf.as_str()), ("worker", WORKER), ("drained", drained)];
        let done = dashboard.post("/do/drain", "", &fields).await;
        assert_eq!(done.status(), StatusCode::SEE_OTHER);
        is_drained(wanted).await;
    }
    let audit = dashboard.page("/audit", "").await;
    assert!(audit.contains("undrain") && audit.contains(WORKER), "{audit}");
}
