//! The simulator's chat page in a browser, as an author uses it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use test_kit::Browser;
use tokio::runtime::Runtime;

use crate::debian;
use crate::stop::Stop;

/// A task's own limit is lower.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const WINDOW: (u32, u32) = (640, 560);
/// The text of the bot's newest message, with its buttons.
const NEWEST: &str =
    "const rows = [...document.querySelectorAll('.row.bot')]; return rows.pop()?.innerText ?? ''";

/// A browser without a window.
#[derive(Debug)]
pub(super) struct ChatPage {
    runtime: Runtime,
    browser: Browser,
    stop: Stop,
}

impl ChatPage {
    pub(super) fn start(stop: &Stop) -> anyhow::Result<Self> {
        debian::ensure_browser()?;
        let runtime = Runtime::new().context("starting tasks")?;
        let browser = runtime.block_on(async {
            let browser = Browser::start().await;
            browser.resize(WINDOW.0, WINDOW.1).await;
            browser
        });
        Ok(Self { runtime, browser, stop: stop.clone() })
    }

    /// Opens a chat. It must be empty, so that what the bot writes is an answer.
    pub(super) fn open(&self, address: &str) -> anyhow::Result<()> {
        self.runtime.block_on(self.browser.open(address));
        let there = self.newest();
        ensure!(there.is_empty(), "the bot wrote before it was asked: {there}");
        Ok(())
    }

    /// Types a message, and sends it.
    pub(super) fn says(&self, text: &str) {
        self.runtime.block_on(async {
            self.browser.fills("//input[@id='message-input']", text).await;
            self.browser.clicks("//button[@id='send']").await;
        });
    }

    /// Waits until the bot's newest message contains `part`, and returns its first line.
    pub(super) fn answer(&self, part: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + ANSWERED_WITHIN;
        loop {
            ensure!(!self.stop.requested(), "interrupted");
            let newest = self.newest();
            if newest.contains(part) {
                return Ok(newest.lines().next().unwrap_or_default().to_owned());
            }
            if Instant::now() > deadline {
                bail!(
                    "the chat page has no answer with `{part}` after {ANSWERED_WITHIN:?}; the bot's newest message is: {newest}"
                );
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Writes what the window shows into a file, as PNG.
    pub(super) fn picture(&self, file: &Path) -> anyhow::Result<()> {
        let png = self.runtime.block_on(self.browser.picture());
        std::fs::write(file, png).with_context(|| format!("writing {}", file.display()))
    }

    fn newest(&self) -> String {
        let value = self.runtime.block_on(self.browser.runs(NEWEST));
        value.as_str().unwrap_or_default().to_owned()
    }
}
