//! Content from a Supabase project: 50,000 items over a socket, a project that changes meanwhile, and one in trouble.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use queue::{TaskQueue, TaskResult};
use serde_json::{Value, json};
use services::{Answer, Project, Row, Server};
use test_kit::TestRedis;

use crate::support::{Folder, Process, redis, run, start_worker_with};

/// Whether a row fits a filter.
type Fits<'a> = &'a dyn Fn(&Row) -> bool;

const LUNA: &str = "https://creators.example/luna-marlowe";
const KEY: &str = "s3cret-key";

fn row(id: i64, day: i64) -> Row {
    Row {
        id,
        creator_url: if id % 2 == 0 { LUNA } else { "https://creators.example/other" }.to_owned(),
        creator_name: "Luna Marlowe".to_owned(),
        title: if id % 10 == 0 { format!("Harbour Lights {id}") } else { format!("Item {id}") },
        url: format!("https://media.example/{id}"),
        kind: if id % 3 == 0 { "video" } else { "picture" }.to_owned(),
        posted_at: format!("2026-{:02}-{:02}T00:00:00+00:00", 1 + day / 28, 1 + day % 28),
    }
}

/// Half of the items are Luna's, about 150 on each day.
fn project() -> Project {
    let rows = (0..50_000).map(|id| row(id, id / 2 * 5 % 168)).collect();
    Project { key: KEY.to_owned(), table: "content".to_owned(), rows, max_rows: 1_000 }
}

/// A worker whose content comes from a server.
struct Place {
    queue: TaskQueue,
    worker: Process,
    server: Server,
    _redis: TestRedis,
    _folder: Folder,
}

impl Place {
    async fn new(server: Server, settings: impl Fn(String) -> String) -> Self {
        let (redis, queue) = redis().await;
        let folder = Folder::with(&["content"]);
        let shipped = std::fs::read_to_string(folder.path().join("content.toml")).unwrap();
        folder.settings("content", &settings(shipped));
        let environment = [("SUPABASE_URL", server.address()), ("SUPABASE_KEY", KEY)];
        let worker = start_worker_with(&redis, &folder, &environment).await;
        Self { queue, worker, server, _redis: redis, _folder: folder }
    }

    async fn of(project: &Arc<Mutex<Project>>) -> Self {
        let project = Arc::clone(project);
        let server = Server::start(move |asked| project.lock().unwrap().answer(asked));
        Self::new(server, |shipped| shipped).await
    }

    /// A server that gives this answer to the first request, and one item to the others.
    async fn first(answer: Answer) -> Self {
        let good = Answer::new(200, &json!([shown()]).to_string()).with("content-range", "0-0/1");
        let first = Mutex::new(Some(answer));
        let next = move || first.lock().unwrap().take().unwrap_or_else(|| good.clone());
        let quick =
            |shipped: String| shipped.replace("timeout_seconds = 10", "timeout_seconds = 1");
        Self::new(Server::start(move |_asked| next()), quick).await
    }

    async fn load(&self, more: Value) -> TaskResult {
        let mut params = json!({"creator_name": "Luna Marlowe", "creator_url": LUNA});
        let task_type =
            if more.get("cursor").is_some() { "load_more_pages" } else { "load_content" };
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run(&self.queue, task_type, params).await
    }
}

fn shown() -> Value {
    json!({"id": 1, "title": "T", "url": "https://media.example/1", "type": "video", "posted_at": "2026-01-01"})
}

fn directory(result: &TaskResult) -> &Value {
    assert!(result.success, "{result:?}");
    result.data.get("content_directory").unwrap()
}

fn ids(result: &TaskResult) -> Vec<i64> {
    let items = directory(result).get("items").and_then(Value::as_array).unwrap();
    items
        .iter()
        .map(|item| item.get("id").and_then(Value::as_str).unwrap().parse().unwrap())
        .collect()
}

/// Luna's items as the database would list them.
fn expected(project: &Project, wanted: impl Fn(&Row) -> bool) -> Vec<i64> {
    let mut rows: Vec<&Row> =
        project.rows.iter().filter(|row| row.creator_url == LUNA && wanted(row)).collect();
    rows.sort_by(|a, b| (&b.posted_at, b.id).cmp(&(&a.posted_at, a.id)));
    rows.into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_project_replaces_the_table_and_its_pages_are_kept_for_a_while() {
    let place = Place::of(&Arc::new(Mutex::new(project()))).await;
    let nothing = place.load(json!({"cache_only": true})).await;
    assert_eq!((nothing.code(), place.server.asked().len()), (Some("not-found"), 0));
    let first = place.load(json!({})).await;
    let total = &directory(&first)["total_items"];
    assert_eq!((total, &directory(&first)["has_more"]), (&json!(25_000), &json!(true)));
    assert_eq!(ids(&place.load(json!({})).await), ids(&first));
    assert_eq!(ids(&place.load(json!({"cache_only": true})).await), ids(&first));
    // A later page has a long request, and is cached as well.
    let cursor = &directory(&first)["cursor"];
    let second = place.load(json!({"cursor": cursor})).await;
    assert_eq!(ids(&place.load(json!({"cursor": cursor})).await), ids(&second));
    // Another chat that reaches the same position after more items has its own page numbers.
    let cursor = cursor.as_str().unwrap().replacen("3220313020", "3220333020", 1);
    let other = place.load(json!({"cursor": cursor, "pages_to_fetch": 3})).await;
    assert_eq!((ids(&other), &directory(&other)["page"]), (ids(&second), &json!(6)));
    assert_eq!(
        (&directory(&second)["page"], &directory(&other)["total_items"]),
        (&json!(4), &json!(25_020))
    );
    let asked = place.server.asked();
    assert_eq!(asked.len(), 2, "the other answers came from the cache");
    assert_eq!(asked[0].header("apikey"), Some(KEY));
    assert_eq!(asked[0].header("authorization"), Some("Bearer s3cret-key"));
    assert!(!place.worker.log().contains(KEY), "the key is in the log");
}

#[tokio::test]
async fn filters_and_pages_stay_right_while_rows_come_and_go() {
    let project = Arc::new(Mutex::new(project()));
    let place = Place::of(&project).await;
    let before = project.lock().unwrap().clone();
    let in_days = |row: &Row| ("2026-02-10".."2026-02-12").contains(&row.posted_at.as_str());
    let days = json!({"from": "2026-02-10", "to": "2026-02-11"});
    let filters: [(Value, Fits<'_>); 3] = [
        (json!({"type": "video"}), &|row| row.kind == "video"),
        (days, &in_days),
        (json!({"text": "harbour LIGHTS"}), &|row| row.title.starts_with("Harbour")),
    ];
    for (filters, wanted) in filters {
        let expected = expected(&before, wanted);
        let result = place.load(json!({"filters": filters})).await;
        assert_eq!(ids(&result), expected[..10], "{filters}");
        assert_eq!(directory(&result)["total_items"], expected.len(), "{filters}");
    }

    let mut result = place.load(json!({})).await;
    let mut seen = ids(&result);
    for page in 0..10 {
        let last = *seen.last().unwrap();
        {
            let mut project = project.lock().unwrap();
            let moment = project.rows.iter().find(|row| row.id == last).unwrap().posted_at.clone();
            let new = 60_000 + page * 20;
            project.rows.extend((0..5).map(|n| row(new + n * 2, 167)));
            project.rows.push(Row { posted_at: moment, ..row(new + 18, 0) });
            project.rows.retain(|row| row.id != last);
        }
        let cursor = directory(&result)["cursor"].clone();
        result = place.load(json!({"cursor": cursor, "pages_to_fetch": 1})).await;
        seen.extend(ids(&result));
    }
    assert_eq!(seen, expected(&before, |_| true)[..110]);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len());
}

#[tokio::test]
async fn a_project_that_is_not_set_up_right_tells_the_operator_why_and_the_person_plainly() {
    let error = |code: &str, message: &str| {
        json!({"code": code, "message": message, "details": null, "hint": null}).to_string()
    };
    let column = error("42703", "column content.title does not exist");
    let operator = error("42883", "operator does not exist: integer ~~* unknown");
    let cases = [
        (Answer::new(401, r#"{"message":"Invalid API key"}"#), "SUPABASE_KEY"),
        (Answer::new(403, &error("42501", "permission denied for table content")), "42501"),
        (Answer::new(404, &error("PGRST205", "Could not find the table")), "PGRST205"),
        (Answer::new(400, &column), "column content.title does not exist"),
        (Answer::new(200, "<!doctype html><p>Welcome"), "web page"),
        (Answer::new(200, r#"{"items":[]}"#), "not a list of rows"),
        (Answer::new(404, &operator), "one of its columns has another type"),
        (Answer::new(200, r#"[{"id":1,"title":7}]"#), "column `title` holds a number"),
    ];
    for (answer, reason) in cases {
        let place = Place::first(answer).await;
        let result = place.load(json!({})).await;
        assert_eq!(result.code(), Some("plugin-failed"), "{reason}");
        let sentence = result.error.unwrap();
        assert!(sentence.contains("something is not set up right"), "{sentence}");
        assert!(!sentence.contains(reason), "{sentence}");
        place.worker.says(&["ERROR", "the content source", reason]).await;
        assert_eq!(place.server.asked().len(), 1, "{reason}");
    }
}

#[tokio::test]
async fn trouble_that_may_pass_is_tried_again_and_named_in_the_log() {
    let broken_off = Answer { missing: 100, ..Answer::new(200, r#"[{"id":1,"ti"#) };
    let timeout = r#"{"code":"57014","message":"canceling statement due to statement timeout"}"#;
    let cases = [
        (Answer::new(500, timeout), "57014"),
        (Answer::new(0, ""), "did not answer in time"),
        (Answer::new(200, r#"[{"id":1,"ti"#), "ends in the middle"),
        (broken_off, "broke off"),
        (Answer::new(200, ""), "is empty"),
    ];
    for (answer, reason) in cases {
        let place = Place::first(answer).await;
        assert_eq!(ids(&place.load(json!({})).await), [1], "{reason}");
        place.worker.says(&["WARN", "the content source", reason]).await;
        assert_eq!(place.server.asked().len(), 2, "{reason}");
    }
}

#[tokio::test]
async fn a_busy_project_is_not_asked_again_before_it_wants_to_be() {
    let place = Place::first(Answer::new(429, "").with("retry-after", "3")).await;
    let began = std::time::Instant::now();
    assert_eq!(ids(&place.load(json!({})).await), [1]);
    assert!(began.elapsed().as_secs() >= 3, "it was asked again after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_project_that_stays_in_trouble_ends_in_a_plain_sentence() {
    let server = Server::start(|_asked| Answer::new(503, ""));
    let place = Place::new(server, |shipped| shipped).await;
    let result = place.load(json!({})).await;
    assert_eq!(result.code(), Some("retries-exhausted"));
    assert!(result.error.unwrap().contains("try again in a little while"));
    assert_eq!(place.server.asked().len(), 4);
}
