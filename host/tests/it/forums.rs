//! The extended search of a XenForo forum over a socket; Discourse's is in `http.rs`.

use std::sync::{Arc, Barrier, Mutex};

use queue::{TaskQueue, TaskResult};
use serde_json::{Value, json};
use services::{Answer, Server};
use test_kit::TestRedis;

use crate::support::{Folder, Process, metrics, redis, run, start_worker_with};

const KEY: &str = "s3cret-key";

/// A worker whose extended search is a XenForo forum.
struct Place {
    queue: TaskQueue,
    worker: Process,
    forum: Server,
    _redis: TestRedis,
    _folder: Folder,
}

impl Place {
    async fn new(forum: Server) -> Self {
        let (redis, queue) = redis().await;
        let folder = Folder::with(&["search"]);
        let shipped = std::fs::read_to_string(folder.path().join("search.toml")).unwrap();
        let xenforo = "extended_search_kind = \"xenforo\"";
        folder
            .settings("search", &shipped.replace("extended_search_kind = \"discourse\"", xenforo));
        let environment = [
            ("EXTENDED_SEARCH_URL", forum.address()),
            ("EXTENDED_SEARCH_KEY", KEY),
            ("LISTEN", "127.0.0.1:0"),
        ];
        let worker = start_worker_with(&redis, &folder, &environment).await;
        Self { queue, worker, forum, _redis: redis, _folder: folder }
    }

    async fn search(&self, page: u64) -> TaskResult {
        run(&self.queue, "search_simpcity", json!({"query": "luna", "page": page})).await
    }
}

fn names(result: &TaskResult) -> Vec<&str> {
    assert!(result.success, "{result:?}");
    let found = result.data.get("creators").and_then(Value::as_array).unwrap();
    found.iter().map(|hit| hit.get("name").and_then(Value::as_str).unwrap()).collect()
}

fn no_endpoint() -> Answer {
    let error =
        json!({"errors": [{"code": "endpoint_not_found", "message": "Not found", "params": []}]});
    Answer::new(404, &error.to_string())
}

#[tokio::test]
async fn a_forum_with_a_search_is_asked_for_it_with_a_key_that_nobody_sees() {
    let forum = Server::start(|asked| {
        let thread = json!({
            "thread_id": 7, "title": "Luna, a thread", "view_url": "https://forum.example/threads/luna.7/",
            "reply_count": 4, "post_date": 1_767_323_045,
        });
        let post = json!({
            "post_id": 70, "message": "so [I]they[/I] say", "Thread": thread,
            "Attachments": [{"thumbnail_url": "https://forum.example/a/1.jpg"}],
        });
        let answer = match (asked.method.as_str(), asked.target.as_str()) {
            ("POST", "/api/search/") if asked.body.contains("keywords=luna&") => {
                json!({"success": true, "search": {"search_id": 31, "result_count": 41}})
            }
            ("GET", "/api/search/31/?page=2") => {
                json!({"results": [post], "pagination": {"current_page": 2, "last_page": 3}})
            }
            other => panic!("{other:?} {}", asked.body),
        };
        Answer::new(200, &answer.to_string())
    });
    let place = Place::new(forum).await;
    let result = place.search(2).await;
    assert_eq!(names(&result), ["Luna, a thread"]);
    let hit = &result.data["creators"][0];
    assert_eq!((&hit["replies"], &hit["date"]), (&json!(4), &json!("2026-01-02")));
    assert_eq!(hit["snippet"], "so they say");
    assert_eq!(hit["thumbnail"], "https://forum.example/a/1.jpg");
    assert_eq!((&result.data["page"], &result.data["has_more"]), (&json!(2), &json!(true)));
    assert!(place.forum.asked().iter().all(|asked| asked.header("xf-api-key") == Some(KEY)));
    let seen = format!("{} {}", place.worker.log(), serde_json::to_string(&result).unwrap());
    assert!(!seen.contains(KEY), "the key is in a log or result");
}

#[tokio::test]
async fn a_forum_without_a_search_is_looked_through_by_title_several_pages_at_once() {
    // Answers when all five requests have arrived: sequential requests would never get there.
    let all_there = Arc::new(Barrier::new(5));
    let forum = Server::start(move |asked| {
        if asked.method == "POST" {
            return no_endpoint();
        }
        all_there.wait();
        let page = asked.target.split(['=', '&']).nth(1).unwrap();
        let threads: Value = json!([
            {"thread_id": 1, "title": "Someone else"},
            {"thread_id": format!("10{page}").parse::<u64>().unwrap(), "title": format!("LUNA on page {page}")},
        ]);
        let answer = json!({"threads": threads, "pagination": {"last_page": 9}});
        Answer::new(200, &answer.to_string())
    });
    let place = Place::new(forum).await;
    let result = place.search(1).await;
    let expected: Vec<String> = (1..=5).map(|page| format!("LUNA on page {page}")).collect();
    assert_eq!(names(&result), expected);
    assert_eq!(result.data["has_more"], true);
    let url = format!("{}/threads/101/", place.forum.address());
    assert_eq!(result.data["creators"][0]["url"], url);
}

#[tokio::test]
async fn a_page_without_a_hit_leads_on_to_the_next_one() {
    let forum = Server::start(|asked| {
        if asked.method == "POST" {
            return no_endpoint();
        }
        let page = asked.target.split(['=', '&']).nth(1).unwrap().parse::<u64>().unwrap();
        let title = if page == 7 { "All about Luna" } else { "Somebody else" };
        let answer = match page {
            8.. => json!({"errors": [{"code": "invalid_page", "message": "No", "params": []}]}),
            _ => {
                json!({"threads": [{"thread_id": page, "title": title}], "pagination": {"last_page": 7}})
            }
        };
        Answer::new(if page < 8 { 200 } else { 400 }, &answer.to_string())
    });
    let place = Place::new(forum).await;
    for (page, found, has_more) in [(1, [].as_slice(), true), (2, &["All about Luna"], false)] {
        let result = place.search(page).await;
        assert_eq!(names(&result), found);
        assert_eq!(
            (&result.data["page"], &result.data["has_more"]),
            (&json!(page), &json!(has_more))
        );
    }
}

#[tokio::test]
async fn a_forum_that_is_busy_is_asked_again_and_one_that_refuses_the_key_is_named_in_the_log() {
    let refused =
        json!({"errors": [{"code": "api_key_not_found", "message": "Not found", "params": []}]});
    let answers = Mutex::new(vec![
        Answer::new(403, &refused.to_string()),
        Answer::new(200, r#"{"success":true,"search":{"search_id":1,"result_count":0}}"#),
        Answer::new(429, "").with("retry-after", "1"),
    ]);
    let forum = Server::start(move |_asked| answers.lock().unwrap().pop().unwrap());
    let place = Place::new(forum).await;
    assert_eq!(names(&place.search(1).await), Vec::<&str>::new());
    place.worker.says(&["WARN", "the extended search: it is busy; status 429"]).await;
    let result = place.search(2).await;
    assert_eq!(result.code(), Some("plugin-failed"));
    // For the operator; a person does not learn which forum it is.
    let server = format!("{} answered 403", place.forum.address());
    assert_eq!(result.failed_request(), Some(server.as_str()));
    assert!(result.error.unwrap().contains("something is not set up right"));
    place.worker.says(&["ERROR", "EXTENDED_SEARCH_KEY", "api_key_not_found"]).await;
    assert_eq!(place.forum.asked().len(), 3);
    let metrics = metrics(&place.worker).await;
    for (status, count) in [("429", 1), ("2xx", 1), ("4xx", 1)] {
        let line = format!(
            "freefans_plugin_http_requests_total{{plugin=\"search\",status=\"{status}\"}} {count}"
        );
        assert!(metrics.lines().any(|shown| shown == line), "no `{line}` in {metrics}");
    }
}
