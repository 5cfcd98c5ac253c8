//! The dashboard's first page, in a browser.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use test_kit::Browser;
use tokio::runtime::Runtime;

use crate::debian;
use crate::stop::Stop;

/// How long the first sentence may take to say what is wrong, or that it is over: rates look back over some minutes.
const SAID_WITHIN: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The window of an operator, and one that is high enough for a chat.
const WINDOW: (u32, u32) = (1100, 760);
const CHAT_WINDOW: (u32, u32) = (640, 3000);
/// The sentence of health.
const SENTENCE: &str = "return document.querySelector('[aria-label=Health]')?.innerText ?? ''";

/// A browser with the overview open.
#[derive(Debug)]
pub(super) struct Overview {
    runtime: Runtime,
    browser: Browser,
    dashboard: String,
    pictures: Option<PathBuf>,
    stop: Stop,
}

impl Overview {
    /// Opens it. Pictures go into a folder, if there is one.
    pub(super) fn open(
        dashboard: &str,
        pictures: Option<&Path>,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        debian::ensure_browser()?;
        let runtime = Runtime::new().context("starting tasks")?;
        let browser = runtime.block_on(async {
            let browser = Browser::start().await;
            browser.resize(WINDOW.0, WINDOW.1).await;
            browser.open(dashboard).await;
            browser
        });
        let dashboard = dashboard.to_owned();
        let pictures = pictures.map(Path::to_owned);
        Ok(Self { runtime, browser, dashboard, pictures, stop: stop.clone() })
    }

    /// Waits until the sentence contains `part`.
    pub(super) fn says(&self, part: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + SAID_WITHIN;
        let mut said = String::new();
        while Instant::now() < deadline {
            ensure!(!self.stop.requested(), "interrupted");
            let value = self.runtime.block_on(self.browser.runs(SENTENCE));
            value.as_str().unwrap_or_default().clone_into(&mut said);
            if said.contains(part) {
                return Ok(());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        bail!("the overview does not say `{part}` within {SAID_WITHIN:?}, but:\n{said}")
    }

    /// Waits until nothing is wrong.
    pub(super) fn is_well(&self) -> anyhow::Result<()> {
        self.says("All is well")
    }

    /// Takes a picture of the overview as it is.
    pub(super) fn picture(&self, name: &str) -> anyhow::Result<()> {
        println!("  page │ {}", self.first_lines());
        self.save(name)
    }

    /// Takes a picture of a chat, and opens the overview again.
    pub(super) fn picture_of(&self, url: &str, name: &str) -> anyhow::Result<()> {
        self.show(url, CHAT_WINDOW);
        self.save(name)?;
        self.show(&self.dashboard, WINDOW);
        Ok(())
    }

    fn show(&self, url: &str, (width, height): (u32, u32)) {
        self.runtime.block_on(async {
            self.browser.resize(width, height).await;
            self.browser.open(url).await;
        });
    }

    fn save(&self, name: &str) -> anyhow::Result<()> {
        let Some(folder) = &self.pictures else { return Ok(()) };
        let file = folder.join(name).with_extension("png");
        let png = self.runtime.block_on(self.browser.picture());
        std::fs::write(&file, png).with_context(|| format!("writing {}", file.display()))
    }

    /// The sentence, in one line.
    fn first_lines(&self) -> String {
        let value = self.runtime.block_on(self.browser.runs(SENTENCE));
        value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
