//! The chat page in a real browser: typed texts and presses reach a plugin, and its answers come back.

use serde_json::json;
use test_kit::{Browser, TestRedis, component, eventually};

use crate::support::{COORDINATOR, Telegram, coordinator, real_worker};

/// The chat page in a browser.
struct ChatPage(Browser);

impl ChatPage {
    async fn open(url: &str) -> Self {
        let browser = Browser::start().await;
        browser.open(url).await;
        Self(browser)
    }

    /// Types into the field, and sends nothing.
    async fn writes(&self, text: &str) {
        let input = self.0.find("//input[@id='message-input']").await.remove(0);
        self.0.post(&format!("{input}/value"), &json!({"text": text})).await.unwrap();
    }

    /// Types a message and sends it.
    async fn types(&self, text: &str) {
        self.writes(text).await;
        let send = self.0.find("//button[@id='send']").await.remove(0);
        self.0.post(&format!("{send}/click"), &json!({})).await.unwrap();
    }

    /// Presses the button under a message whose text contains `label`.
    async fn presses(&self, label: &str) {
        let button = "//button[contains(@class, 'inline-button')]";
        self.0.clicks(&format!("{button}[contains(., '{label}')]")).await;
    }

    /// Waits until the bot's newest message contains `part`.
    async fn shows(&self, part: &str) {
        eventually(&format!("`{part}` on the page"), async || {
            let bubble = self.0.find(BOT_MESSAGES).await.pop()?;
            let text = self.0.get(&format!("{bubble}/text")).await?;
            text.as_str()?.contains(part).then_some(())
        })
        .await;
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
    let page = ChatPage::open(&format!("{}/?chat=100", telegram.address())).await;
    page.types("luna marlow").await;
    page.shows("1. Luna Marlowe").await;
    page.presses("Luna Marlowe").await;
    page.shows("Page 1 of 10").await;
    page.presses("Load more").await;
    page.shows("Page 2 of 10").await;
    page.presses("Next").await;
    page.shows("Page 3 of 10").await;
    page.presses("Results").await;
    page.shows("Closest to luna marlow").await;
    let messages = page.0.find(BOT_MESSAGES).await.len();
    assert_eq!(messages, 1, "one message that changed, not many");
    // The menu is open while the plugin is added.
    page.writes("/").await;
    let part = folder.path().join("part");
    std::fs::copy(component(COORDINATOR, "dice"), &part).unwrap();
    std::fs::rename(part, folder.path().join("dice.wasm")).unwrap();
    page.0.clicks("//*[@id='commands']/button[contains(., '/roll')]").await;
    page.shows("🎲 1d6").await;
}
