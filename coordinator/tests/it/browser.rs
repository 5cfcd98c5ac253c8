//! The chat page in a real browser: typed texts and presses reach a plugin, and its answers come back.

use serde_json::json;
use test_kit::{TestRedis, component, eventually};

use crate::support::{COORDINATOR, Telegram, coordinator, real_worker};
use crate::webdriver::Browser;

impl Browser {
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

    /// Waits until the bot's newest message contains `part`.
    async fn shows(&self, part: &str) {
        eventually(&format!("`{part}` on the page"), async || {
            let bubble = self.find(BOT_MESSAGES).await.pop()?;
            let text = self.get(&format!("{bubble}/text")).await?;
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
