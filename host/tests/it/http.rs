//! Plugins that send requests: only to granted addresses, with the operator's key.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Folder, Process, redis, run, start_worker, start_worker_with};

/// A web server on this machine that gives every request the same answer and remembers what it was asked.
struct Service {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// How often somebody connected; a connection may carry many requests.
    connections: Arc<AtomicUsize>,
}

impl Service {
    async fn start(head: &'static str, body: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&asked);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(connection, Arc::clone(&heads), answer.clone()));
            }
        });
        Self { address, asked, connections }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers each request on a connection until the client closes it.
async fn serve(mut connection: TcpStream, heads: Arc<Mutex<Vec<String>>>, answer: String) {
    let mut request = Vec::new();
    while let Ok(byte) = connection.read_u8().await {
        request.push(byte);
        if request.ends_with(b"\r\n\r\n") {
            heads.lock().unwrap().push(String::from_utf8(std::mem::take(&mut request)).unwrap());
            let _ = connection.write_all(answer.as_bytes()).await; // The worker may be gone.
        }
    }
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

async fn searching(forum: &Service) -> (test_kit::TestRedis, queue::TaskQueue, Folder, Process) {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let environment = [
        ("EXTENDED_SEARCH_URL", forum.address.as_str()),
        ("EXTENDED_SEARCH_KEY", "s3cret-key"),
        ("EXTENDED_SEARCH_USER", "freefans"),
    ];
    let worker = start_worker_with(&redis, &folder, &environment).await;
    (redis, queue, folder, worker)
}

#[tokio::test]
async fn the_operators_forum_is_asked_with_the_operators_key_which_nobody_sees() {
    let topics = json!({
        "topics": [{"id": 5, "title": "Luna, a thread", "slug": "luna", "posts_count": 4}],
        "posts": [{"topic_id": 5, "blurb": "so they say"}],
    });
    let forum = Service::start(JSON, topics.to_string()).await;
    let (_redis, queue, _folder, worker) = searching(&forum).await;
    let result = run(&queue, "search_simpcity", json!({"query": "luna marlow"})).await;
    assert!(result.success, "{result:?}");
    let found = &result.data["creators"][0];
    assert_eq!(found["name"], "Luna, a thread");
    assert_eq!(found["url"], format!("{}/t/luna/5", forum.address));
    assert_eq!(found["snippet"], "so they say");
    let asked = forum.asked().remove(0);
    assert!(asked.starts_with("GET /search.json?q=luna%20marlow&page=1 "), "{asked}");
    assert!(asked.contains("api-key: s3cret-key\r\n"), "{asked}");
    assert!(asked.contains("api-username: freefans\r\n"), "{asked}");
    let seen = format!("{} {}", worker.log(), serde_json::to_string(&result).unwrap());
    assert!(!seen.contains("s3cret-key"), "the key is in a log or result");
}

#[tokio::test]
async fn a_forum_that_is_busy_is_asked_again_and_then_the_person_is_told() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\n";
    let forum = Service::start(busy, String::new()).await;
    let (_redis, queue, _folder, _worker) = searching(&forum).await;
    let result = run(&queue, "search_simpcity", json!({"query": "luna"})).await;
    assert_eq!(result.code(), Some("retries-exhausted"));
    assert_eq!(forum.asked().len(), 4);
}

#[tokio::test]
async fn a_redirect_does_not_take_the_key_elsewhere() {
    let elsewhere = Service::start(JSON, "{}".to_owned()).await;
    let head = format!("HTTP/1.1 302 Found\r\nlocation: {}/\r\n", elsewhere.address);
    let forum = Service::start(Box::leak(head.into_boxed_str()), String::new()).await;
    let (_redis, queue, _folder, _worker) = searching(&forum).await;
    let result = run(&queue, "search_simpcity", json!({"query": "luna"})).await;
    assert!(!result.success);
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn private_addresses_are_refused_by_name_and_the_log_says_what_would_allow_them() {
    let inside = Service::start(JSON, "{}".to_owned()).await;
    let port = inside.address.rsplit(':').next().unwrap();
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", "[grants]\nnet = [\"https://public.example\"]\n");
    let worker = start_worker(&redis, &folder).await;
    let port_of_ours = format!(":{port}");
    for (host, shown, port) in [
        ("http://127.0.0.1", "http://127.0.0.1", &*port_of_ours),
        ("http://2130706433", "http://127.0.0.1", &port_of_ours),
        ("http://169.254.169.254", "http://169.254.169.254", ":80"),
        ("http://[::ffff:10.0.0.1]", "http://[::ffff:a00:1]", ":80"),
        ("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]", &port_of_ours),
        ("http://localhost", "http://localhost", &port_of_ours),
        ("https://public.example", "https://public.example", ":8443"),
    ] {
        let url = format!("{host}{port}/latest/meta-data/");
        let peer = format!("{shown}{port}");
        let result = run(&queue, "probe_fetch", json!({"url": url})).await;
        assert_eq!(result.error.as_deref(), Some("Denied"), "{peer}");
        worker.says(&["request refused", &format!("peer={peer}"), "`net`", "probe"]).await;
    }
    assert_eq!(inside.connections.load(Ordering::SeqCst), 0, "nobody was reached");
}

#[tokio::test]
async fn a_plugin_that_follows_a_redirect_inside_is_refused_there() {
    let inside = Service::start(JSON, "{}".to_owned()).await;
    for target in [inside.address.as_str(), "http://169.254.169.254:80"] {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {target}/\r\n");
        let outside = Service::start(Box::leak(head.into_boxed_str()), String::new()).await;
        let (redis, queue) = redis().await;
        let folder = Folder::with(&["probe"]);
        folder.settings("probe", &format!("[grants]\nnet = [\"{}\"]\n", outside.address));
        let worker = start_worker(&redis, &folder).await;
        let result = run(&queue, "probe_follow", json!({"url": outside.address})).await;
        assert_eq!(result.error.as_deref(), Some("Denied"), "{target}");
        worker.says(&["request refused", &format!("peer={target}")]).await;
        assert_eq!(outside.asked().len(), 1);
    }
    assert_eq!(inside.connections.load(Ordering::SeqCst), 0, "nobody was reached");
}

#[tokio::test]
async fn a_granted_server_inside_is_reached_over_one_connection_by_all_tasks() {
    let service = Service::start(JSON, "{\"here\":true}".to_owned()).await;
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    folder.settings("probe", &format!("[grants]\nnet = [\"{}\"]\n", service.address));
    let _worker = start_worker(&redis, &folder).await;
    for _ in 0..5 {
        let result = run(&queue, "probe_fetch", json!({"url": service.address})).await;
        assert_eq!(result.data["status"], 200, "{result:?}");
        assert_eq!(result.data["body"], "{\"here\":true}");
    }
    assert_eq!(service.asked().len(), 5);
    assert_eq!(service.connections.load(Ordering::SeqCst), 1);
}
