//! Updates by webhook, and the change from a webhook to long polling and back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use test_kit::{Process, TestRedis, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Telegram, coordinator, coordinator_command, free_address, scripted_worker};

const SECRET: &str = "x-telegram-bot-api-secret-token";

/// A proxy between Telegram and the coordinators. It gives every update to all of them, and accepts it when all have
/// accepted it.
struct Proxy {
    address: String,
    secret: Arc<Mutex<String>>,
    _stop: DropGuard,
}

impl Proxy {
    async fn start(coordinators: Vec<String>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let secret = Arc::new(Mutex::new(String::new()));
        let stop = CancellationToken::new();
        let seen = secret.clone();
        let http = reqwest::Client::new();
        let pass_on = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let coordinators = coordinators.clone();
            let seen = seen.clone();
            let http = http.clone();
            async move {
                let secret = headers[SECRET].to_str().unwrap().to_owned();
                seen.lock().unwrap().clone_from(&secret);
                let sending = coordinators.iter().map(|address| {
                    let request = http.post(format!("http://{address}{}", uri.path()));
                    request.header(SECRET, &secret).body(body.clone()).send()
                });
                let answers = futures::future::join_all(sending).await;
                let taken = |answer: &Result<reqwest::Response, _>| {
                    answer.as_ref().is_ok_and(|response| response.status().is_success())
                };
                if answers.iter().all(taken) { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
            }
        };
        let app = axum::Router::new().fallback(pass_on);
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
        });
        Self { address, secret, _stop: stop.drop_guard() }
    }
}

async fn brought_to(redis: &TestRedis, telegram: &Telegram, public: &str, listen: &str) -> Process {
    let mut command = coordinator_command(redis, telegram);
    command.env("WEBHOOK_URL", format!("http://{public}/hook")).env("WEBHOOK_LISTEN", listen);
    Process::start_until(&mut command, "webhook set").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_two_coordinators_get_is_answered_once() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let addresses = vec![free_address(), free_address()];
    let proxy = Proxy::start(addresses.clone()).await;
    let _first = brought_to(&redis, &telegram, &proxy.address, &addresses[0]).await;
    let _second = brought_to(&redis, &telegram, &proxy.address, &addresses[1]).await;
    for chat in 1..=5 {
        telegram.write(chat, "luna").await;
        telegram.write(chat, "noor").await;
    }
    for chat in 1..=5 {
        telegram.bot_said_only(chat, &["The luna", "The noor"]).await;
    }
    let results = telegram.bot_says(1, "The luna").await;
    telegram.press(1, 1, &results, "The luna").await;
    telegram.bot_said_only(1, &["An item", "The noor"]).await;
}

/// A coordinator that handles an update while Redis is away.
struct WithoutRedis {
    redis: TestRedis,
    telegram: Telegram,
    address: String,
    proxy: Proxy,
    running: Process,
}

impl WithoutRedis {
    async fn start() -> Self {
        let mut redis = TestRedis::start_durable();
        let telegram = Telegram::start().await;
        let address = free_address();
        let proxy = Proxy::start(vec![address.clone()]).await;
        let running = brought_to(&redis, &telegram, &proxy.address, &address).await;
        telegram.write(7, "/start").await;
        telegram.bot_says(7, "Welcome").await;
        redis.kill();
        telegram.write(7, "luna").await;
        running.says(&["trying again"]).await;
        Self { redis, telegram, address, proxy, running }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_taken_only_when_its_task_is_in_redis() {
    let WithoutRedis { mut redis, telegram, address, proxy, running } = WithoutRedis::start().await;
    assert_eq!(telegram.stats().await["pending_updates"], 1);
    // A coordinator that dies while it handles an update has not accepted it.
    running.kill();
    redis.revive();
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _running = brought_to(&redis, &telegram, &proxy.address, &address).await;
    telegram.bot_said_only(7, &["Welcome", "The luna"]).await;
    eventually("all taken", async || {
        (telegram.stats().await["pending_updates"] == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_with_an_update_in_hand_has_not_taken_it() {
    let WithoutRedis { mut redis, telegram, address, proxy, running } = WithoutRedis::start().await;
    assert_eq!(running.terminate(), Some(0));
    redis.revive();
    assert_eq!(telegram.stats().await["pending_updates"], 1);
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _running = brought_to(&redis, &telegram, &proxy.address, &address).await;
    telegram.bot_said_only(7, &["Welcome", "The luna"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_from_telegram_is_refused() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let address = free_address();
    let proxy = Proxy::start(vec![address.clone()]).await;
    let running = brought_to(&redis, &telegram, &proxy.address, &address).await;
    telegram.write(7, "/start").await;
    telegram.bot_says(7, "Welcome").await;
    let secret = proxy.secret.lock().unwrap().clone();
    assert!(secret.len() >= 32 && !secret.contains("SIMULATOR"), "{secret}");
    let http = reqwest::Client::new();
    let update = json!({"update_id": 1, "message": {
        "message_id": 1, "date": 1, "chat": {"id": 8, "type": "private", "first_name": "x"},
        "from": {"id": 8, "is_bot": false, "first_name": "x"}, "text": "/start",
    }});
    let post = async |path: &str, secret: &str, body: String| {
        let request = http.post(format!("http://{address}{path}")).header(SECRET, secret);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    let wrong = secret.replace(|letter: char| letter.is_ascii_digit(), "x");
    assert_eq!(post("/hook", &wrong, update.to_string()).await, 401);
    assert_eq!(post("/hook", &format!("{secret}0"), update.to_string()).await, 401);
    assert_eq!(post("/hook", "", update.to_string()).await, 401);
    assert_eq!(post("/", &secret, update.to_string()).await, 404);
    assert_eq!(post("/hook/more", &secret, update.to_string()).await, 404);
    // An unreadable update would be just as unreadable the next time.
    assert_eq!(post("/hook", &secret, "{\"update_id\":".to_owned()).await, 200);
    assert_eq!(post("/hook", &secret, " ".repeat((1 << 20) + 1)).await, 200);
    let half = update.to_string().replace("/start", "\\ud83d").replace("\"id\":8", "\"id\":7");
    assert_eq!(post("/hook", &secret, half).await, 200);
    telegram.bot_says(7, "could not read this message").await;
    let got = http.get(format!("http://{address}/hook")).header(SECRET, &secret).send().await;
    assert_eq!(got.unwrap().status().as_u16(), 405);
    // Unknown kinds of updates are accepted and skipped, or Telegram would send them for ever.
    let news = json!({"update_id": 2, "something_new": {}}).to_string();
    assert_eq!(post("/hook", &secret, news).await, 200);
    assert_eq!(telegram.bot_messages(8).await, Vec::<Value>::new(), "nobody was greeted");
    assert!(!running.log().contains(&secret), "the secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_counted_and_what_never_ends_is_given_up() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let address = free_address();
    let health = free_address();
    let proxy = Proxy::start(vec![address.clone()]).await;
    let mut command = coordinator_command(&redis, &telegram);
    command.env("WEBHOOK_URL", format!("http://{}/hook", proxy.address));
    command.env("WEBHOOK_LISTEN", &address).env("LISTEN", &health);
    let running = Process::start_until(&mut command, "webhook set").await;
    telegram.write(7, "/start").await;
    telegram.bot_says(7, "Welcome").await;
    let secret = proxy.secret.lock().unwrap().clone();
    let head = |length: usize| {
        format!(
            "POST /hook HTTP/1.1\r\nhost: x\r\n{SECRET}: {secret}\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    // Half a body, and then nothing more.
    let mut endless = tokio::net::TcpStream::connect(&address).await.unwrap();
    endless.write_all(head(1_000).as_bytes()).await.unwrap();
    endless.write_all(b"{\"update_id\":").await.unwrap();
    let http = reqwest::Client::new();
    let post = async |body: String| {
        let request = http.post(format!("http://{address}/hook")).header(SECRET, &secret);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(post(" ".repeat((1 << 20) + 1)).await, 200);
    assert_eq!(post("{\"update_id\":8,".to_owned()).await, 200);
    let metrics = reqwest::get(format!("http://{health}/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for reason in ["too_large", "syntax"] {
        let counted = format!("freefans_updates_unreadable_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.lines().any(|line| line == counted), "{counted}: {metrics}");
    }
    running.says(&["update skipped: too long"]).await;
    let mut answer = [0; 12];
    let answered = tokio::time::timeout(test_kit::PATIENCE, endless.read_exact(&mut answer)).await;
    answered.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_unfinished_requests_is_refused_and_holds_up_only_itself() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let address = free_address();
    let proxy = Proxy::start(vec![address.clone()]).await;
    let _running = brought_to(&redis, &telegram, &proxy.address, &address).await;
    telegram.write(7, "/start").await;
    telegram.bot_says(7, "Welcome").await;
    let secret = proxy.secret.lock().unwrap().clone();
    let http = reqwest::Client::new();
    // An update of an unknown kind is accepted at once.
    let post = async || {
        let request = http.post(format!("http://{address}/hook")).header(SECRET, &secret);
        let body = json!({"update_id": 2, "something_new": {}}).to_string();
        request.body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(post().await, 200);
    let head = format!(
        "POST /hook HTTP/1.1\r\nhost: x\r\n{SECRET}: {secret}\r\ncontent-length: 1000\r\n\r\n{{"
    );
    // As many as are handled at once, each with a body that does not end.
    let mut crowd = Vec::new();
    for _ in 0..256 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        crowd.push(stream);
    }
    eventually("a refusal", async || (post().await == 503).then_some(())).await;
    drop(crowd);
    eventually("that updates are accepted again", async || (post().await == 200).then_some(()))
        .await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "Looking for luna").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_that_telegram_does_not_know_where_updates_go() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    telegram.fault(json!({"method": "setWebhook", "fault": "500", "count": 1_000})).await;
    let address = free_address();
    let health = free_address();
    let mut command = coordinator_command(&redis, &telegram);
    command.env("WEBHOOK_URL", format!("http://{address}/hook")).env("WEBHOOK_LISTEN", &address);
    command.env("LISTEN", &health);
    let running = Process::start_until(&mut command, "coordinator ready").await;
    running.says(&["webhook not set; retrying"]).await;
    let ready = async || {
        let answer = reqwest::get(format!("http://{health}/readyz")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, why) = ready().await;
    assert_eq!(status, 503);
    assert!(why.contains("the webhook is not set"), "{why}");
    telegram.clear_faults().await;
    eventually("ready again", async || (ready().await.0 == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_goes_back_to_fetching_its_updates() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let address = free_address();
    let running = brought_to(&redis, &telegram, &address, &address).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "The luna").await;
    assert_eq!(running.terminate(), Some(0));
    telegram.write(7, "noor").await;
    let _fetching = coordinator(&redis, &telegram).await;
    telegram.bot_said_only(7, &["The luna", "The noor"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_own_webhook_is_taken_down_though_a_strangers_would_be_left() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let address = free_address();
    let running = brought_to(&redis, &telegram, &address, &address).await;
    assert_eq!(running.terminate(), Some(0));
    let mut command = coordinator_command(&redis, &telegram);
    command.env("FOREIGN_WEBHOOK", "leave");
    let _fetching = Process::start_until(&mut command, "coordinator ready").await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_goes_over_to_having_its_updates_brought_while_another_still_fetches() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let fetching = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "The luna").await;
    let address = free_address();
    let _running = brought_to(&redis, &telegram, &address, &address).await;
    telegram.write(7, "noor").await;
    telegram.bot_said_only(7, &["The luna", "The noor"]).await;
    fetching.says(&["another coordinator of this bot set a webhook"]).await;
    let info = telegram.call("getWebhookInfo", &json!({})).await;
    assert_eq!(info["result"]["url"], format!("http://{address}/hook"), "it is not a stranger's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_fetches_the_updates_is_outlasted() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let running = coordinator(&redis, &telegram).await;
    running.says(&["polling for updates"]).await;
    eventually("who ends one call after another is noticed", async || {
        if telegram.stats().await["polling"] == true {
            telegram.fetch_as_a_stranger().await;
        }
        running.log().contains("another program polls").then_some(())
    })
    .await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

/// Another program sets its webhook for this bot.
async fn take_the_updates_away(telegram: &Telegram) {
    let stranger = json!({"url": "http://127.0.0.1:9/somebody-elses-secret"});
    assert_eq!(telegram.call("setWebhook", &stranger).await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_somebody_else_set_is_named_and_removed() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "The luna").await;
    take_the_updates_away(&telegram).await;
    running.says(&["a foreign webhook is set to 127.0.0.1:9", "removing it"]).await;
    telegram.write(7, "noor").await;
    telegram.bot_said_only(7, &["The luna", "The noor"]).await;
    assert!(!running.log().contains("somebody-elses-secret"), "an address may hold a secret");
    assert!(!running.log().contains("another program polls"), "the cause is the webhook");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_to_be_left_is_left_and_readiness_says_why_nothing_comes() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    take_the_updates_away(&telegram).await;
    let health = free_address();
    let mut command = coordinator_command(&redis, &telegram);
    command.env("FOREIGN_WEBHOOK", "leave").env("LISTEN", &health);
    let running = Process::start_until(&mut command, "coordinator ready").await;
    running.says(&["a foreign webhook is set to 127.0.0.1:9", "left in place"]).await;
    let ready = async || {
        let answer = reqwest::get(format!("http://{health}/readyz")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, why) = ready().await;
    assert_eq!(status, 503);
    assert!(why.contains("a foreign webhook is set to 127.0.0.1:9"), "{why}");
    let info = telegram.call("getWebhookInfo", &json!({})).await;
    assert_eq!(info["result"]["url"], "http://127.0.0.1:9/somebody-elses-secret");
    telegram.call("deleteWebhook", &json!({})).await;
    eventually("ready again", async || (ready().await.0 == 200).then_some(())).await;
}
