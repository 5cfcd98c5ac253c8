//! A browser without a window, driven by the W3C WebDriver protocol. A dozen calls do not justify a client library with
//! forty crates.

use std::process::Command;
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};
use ureq::Agent;

use crate::{Process, eventually, free_port};

/// W3C WebDriver: the name under which an element's reference stands in an answer.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Longest time for one step of the browser, for instance for opening a page.
const STEP_WITHIN: Duration = Duration::from_secs(60);

const END_WITHIN: Duration = Duration::from_secs(5);

/// Chromium with one page. Ended when dropped.
#[derive(Debug)]
pub struct Browser {
    session: String,
    agent: Agent,
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it with a page of 1100 × 1000 pixels.
    ///
    /// # Panics
    ///
    /// When `chromedriver` or Chromium cannot be started.
    pub async fn start() -> Self {
        let port = free_port();
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
        let agent = Agent::config_builder().timeout_global(Some(STEP_WITHIN)).build().new_agent();
        let session = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { session, agent, _driver: driver, _profile: profile };
        let body = json!({"capabilities": {"alwaysMatch": options}});
        let answer = browser.post("", &body).await.unwrap_or_else(|| panic!("no session"));
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    /// What a call of the protocol returns, or `None` when the browser refuses, for instance because the page changed in
    /// between.
    ///
    /// # Panics
    ///
    /// When the browser has gone.
    pub async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let request = self.agent.post(format!("{}{path}", self.session));
        let body = body.clone();
        value(move || request.send_json(body)).await
    }

    /// As [`Browser::post`].
    ///
    /// # Panics
    ///
    /// When the browser has gone.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let request = self.agent.get(format!("{}{path}", self.session));
        value(move || request.call()).await
    }

    /// A picture of what the window shows, as PNG.
    ///
    /// # Panics
    ///
    /// When the browser makes none.
    pub async fn picture(&self) -> Vec<u8> {
        let png = self.get("/screenshot").await.unwrap();
        base64::engine::general_purpose::STANDARD.decode(png.as_str().unwrap()).unwrap()
    }

    /// Makes the page as large as this, in pixels.
    ///
    /// # Panics
    ///
    /// When the browser refuses.
    pub async fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let body = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size});
        self.post("/goog/cdp/execute", &body).await.unwrap();
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    pub async fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url})).await.unwrap();
    }

    /// Paths of the elements that an XPath names.
    ///
    /// # Panics
    ///
    /// When the XPath is invalid.
    pub async fn find(&self, xpath: &str) -> Vec<String> {
        let body = json!({"using": "xpath", "value": xpath});
        let found = self.post("/elements", &body).await.unwrap();
        let found = found.as_array().unwrap().iter();
        found.map(|element| format!("/element/{}", element[ELEMENT].as_str().unwrap())).collect()
    }

    /// Clicks on the last element that an XPath names, once it is there.
    ///
    /// # Panics
    ///
    /// When it cannot be clicked in time.
    pub async fn clicks(&self, xpath: &str) {
        eventually(&format!("a click on {xpath}"), async || {
            let element = self.find(xpath).await.pop()?;
            self.post(&format!("{element}/click"), &json!({})).await
        })
        .await;
    }

    /// Types into the field that an XPath names, in place of what is there.
    ///
    /// # Panics
    ///
    /// When there is no such field.
    pub async fn fills(&self, xpath: &str, text: &str) {
        let field = self.find(xpath).await.remove(0);
        self.post(&format!("{field}/clear"), &json!({})).await.unwrap();
        self.post(&format!("{field}/value"), &json!({"text": text})).await.unwrap();
    }

    /// The text of the page, as a person sees it.
    pub async fn text(&self) -> String {
        let script = json!({"script": "return document.body.innerText", "args": []});
        let text = self.post("/execute/sync", &script).await.unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page contains `part`.
    ///
    /// # Panics
    ///
    /// When it does not in time.
    pub async fn sees(&self, part: &str) {
        eventually(&format!("`{part}` on the page"), async || {
            self.text().await.contains(part).then_some(())
        })
        .await;
    }

    /// Runs a script and returns its value.
    ///
    /// # Panics
    ///
    /// When the script throws.
    pub async fn runs(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []})).await.unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium outlives its driver otherwise. Where the driver has gone, nothing can be done.
        let end = self.agent.delete(&self.session).config().timeout_global(Some(END_WITHIN));
        let _ = end.build().call();
    }
}

/// The value in the answer to a call, which blocks.
async fn value(
    call: impl FnOnce() -> Result<ureq::http::Response<ureq::Body>, ureq::Error> + Send + 'static,
) -> Option<Value> {
    let answer = tokio::task::spawn_blocking(move || match call() {
        Ok(mut response) => Some(response.body_mut().read_json::<Value>().unwrap()),
        Err(ureq::Error::StatusCode(_)) => None,
        Err(error) => panic!("the browser does not answer: {error}"),
    });
    Some(answer.await.unwrap()?["value"].take())
}
