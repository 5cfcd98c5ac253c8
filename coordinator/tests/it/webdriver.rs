//! A browser without a window, driven by the W3C WebDriver protocol. A dozen calls do not justify a client library with
//! forty crates.

use std::process::Command;

use serde_json::{Value, json};
use test_kit::{Process, eventually};

/// W3C WebDriver: the name under which an element's reference stands in an answer.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(crate) struct Browser {
    session: String,
    http: reqwest::Client,
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
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
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let sent = self.http.post(format!("{}{path}", self.session)).json(body).send().await;
        let answer = sent.unwrap().error_for_status().ok()?;
        Some(answer.json::<Value>().await.unwrap()["value"].clone())
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let sent = self.http.get(format!("{}{path}", self.session)).send().await;
        let answer = sent.unwrap().error_for_status().ok()?;
        Some(answer.json::<Value>().await.unwrap()["value"].clone())
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url})).await.unwrap();
    }

    /// Paths of the elements that an XPath names.
    pub(crate) async fn find(&self, xpath: &str) -> Vec<String> {
        let body = json!({"using": "xpath", "value": xpath});
        let found = self.post("/elements", &body).await.unwrap();
        let found = found.as_array().unwrap().iter();
        found.map(|element| format!("/element/{}", element[ELEMENT].as_str().unwrap())).collect()
    }

    /// Clicks on the last element that an XPath names, once it is there.
    pub(crate) async fn clicks(&self, xpath: &str) {
        eventually(&format!("a click on {xpath}"), async || {
            let element = self.find(xpath).await.pop()?;
            self.post(&format!("{element}/click"), &json!({})).await
        })
        .await;
    }

    /// Types into the field that an XPath names, in place of what is there.
    pub(crate) async fn fills(&self, xpath: &str, text: &str) {
        let field = self.find(xpath).await.remove(0);
        self.post(&format!("{field}/clear"), &json!({})).await.unwrap();
        self.post(&format!("{field}/value"), &json!({"text": text})).await.unwrap();
    }

    /// The text of the page, as a person sees it.
    pub(crate) async fn text(&self) -> String {
        let script = json!({"script": "return document.body.innerText", "args": []});
        let text = self.post("/execute/sync", &script).await.unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page contains `part`.
    pub(crate) async fn sees(&self, part: &str) {
        eventually(&format!("`{part}` on the page"), async || {
            self.text().await.contains(part).then_some(())
        })
        .await;
    }

    /// Runs a script and returns its value.
    pub(crate) async fn runs(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []})).await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.http.delete(&self.session).send().await.unwrap();
    }
}
