//! The chat page in a real browser: typed texts and presses reach a plugin, and its answers come back.

use std::process::Command;

use serde_json::{Value, json};
use test_kit::{Process, TestRedis, component, eventually};

use crate::support::{COORDINATOR, Telegram, coordinator, real_worker};

/// W3C WebDriver: the name under which an element's reference stands in an answer.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser without a window, driven by the W3C WebDriver protocol. Six calls do not justify a client library with forty
/// crates.
struct Browser {
    session: String,
    http: reqwest::Client,
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    async fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}"));
        let driver = Process::start_until(&mut driver, "started successfully").await;
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--window-size=1100,1000",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let options = json!({"goog:chromeOptions": {"args": arguments}});
        let http = reqwest::Client::new();
        let base = format!("http://127.0.0.1:{port}/session");
        let body = json!({"capabilities": {"alwaysMatch": options}});
        let answer = http.post(&base).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str();
        let session = format!("{base}/{}", id.unwrap_or_else(|| panic!("no session: {answer}")));
        Self { session, http, _driver: driver, _profile: profile }
    }

    /// None when the browser refuses, for instance because the page changed in between.
    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let sent = self.http.post(format!("{}{path}", self.session)).json(body).send().await;
        let answer = sent.unwrap().error_for_status().ok()?;
        Some(answer.json::<Value>().await.unwrap()["value"].clone())
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let sent = self.http.get(format!("{}{path}", self.session)).send().await;
        let answer = sent.unwrap().error_for_status().ok()?;
        Some(answer.json::<Value>().await.unwrap()["value"].clone())
    }

    async fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url})).await.unwrap();
    }

    /// Paths of the elements that an XPath names.
    async fn find(&self, xpath: &str) -> Vec<String> {
        let body = json!({"using": "xpath", "value": xpath});
        let found = self.post("/elements", &body).await.unwrap();
        let found = found.as_array().unwrap().iter();
        found.map(|element| format!("/element/{}", element[ELEMENT].as_str().unwrap())).collect()
    }

    /// Types into the field, and sends nothing.
    async fn writes(&self, text: &str) {
        let input = self.find("//input[@id='message-input']").await.remove(0);
        self.post(&format!("{input}/value"), &json!({"text": text})).await.unwrap();
    }

    /// Types a message and sends it.
    async fn types(&self, text: &str) {
        self.writes(text).await;
        let send = self.find("//button[@id='send']").await.remove(0);
        self.post(&format!("{send}/click"), &json!({})).await.unwrap();
    }

    /// Presses the button under a message whose text contains `label`.
    async fn presses(&self, label: &str) {
        let button = "//button[contains(@class, 'inline-button')]";
        self.clicks(&format!("{button}[contains(., '{label}')]")).await;
    }

    /// Clicks on the last element that an XPath names, once it is there.
    async fn clicks(&self, xpath: &str) {
        eventually(&format!("a click on {xpath}"), async || {
            let element = self.find(xpath).await.pop()?;
            self.post(&format!("{element}/click"), &json!({})).await
        })
        .await;
    }

    /// Waits until the bot's newest message contains `part`.
    async fn shows(&self, part: &str) {
        eventually(&format!("`{part}` on the page"), async || {
            let bubble = self.find(BOT_MESSAGES).await.pop()?;
            let text = self.get(&format!("{bubble}/text")).await?;
            text.as_str()?.contains(part).then_some(())
        })
        .await;
    }

    async fn close(self) {
        self.http.delete(&self.session).send().await.unwrap();
    }
}

const BOT_MESSAGES: &str = "//*[contains(@class, 'bubble') and contains(@class, 'bot')]";

#[tokio::test]
async fn a_person_types_a_name_presses_buttons_and_finds_a_new_command_in_the_menu() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let _worker = real_worker(&redis, folder.path()).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/?chat=100", telegram.address())).await;
    browser.types("luna marlow").await;
    browser.shows("1. Luna Marlowe").await;
    browser.presses("Luna Marlowe").await;
    browser.shows("Page 1 of 10").await;
    browser.presses("Load more").await;
    browser.shows("Page 2 of 10").await;
    browser.presses("Next").await;
    browser.shows("Page 3 of 10").await;
    browser.presses("Results").await;
    browser.shows("Closest to luna marlow").await;
    let messages = browser.find(BOT_MESSAGES).await.len();
    assert_eq!(messages, 1, "one message that changed, not many");
    // The menu is open while the plugin is added.
    browser.writes("/").await;
    let part = folder.path().join("part");
    std::fs::copy(component(COORDINATOR, "dice"), &part).unwrap();
    std::fs::rename(part, folder.path().join("dice.wasm")).unwrap();
    browser.clicks("//*[@id='commands']/button[contains(., '/roll')]").await;
    browser.shows("🎲 1d6").await;
    browser.close().await;
}
