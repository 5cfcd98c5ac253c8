//! The chat page in a real browser: what a person types and presses there goes all the way to a plugin and back.

use std::process::Command;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use test_kit::{Process, TestRedis, eventually};

use crate::support::{Telegram, coordinator, real_worker};

/// A browser without a window, on a driver of its own.
async fn browser() -> (Process, Client, tempfile::TempDir) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut driver = Command::new("chromedriver");
    driver.arg(format!("--port={port}"));
    let driver = Process::start_until(&mut driver, "started successfully").await;
    let profile = tempfile::tempdir().unwrap();
    let arguments = [
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--no-first-run".to_owned(),
        "--window-size=1100,900".to_owned(),
        format!("--user-data-dir={}", profile.path().display()),
    ];
    let capabilities = json!({"goog:chromeOptions": {"args": arguments}});
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities.as_object().unwrap().clone())
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .unwrap();
    (driver, client, profile)
}

/// The text of the newest message of the bot.
async fn newest(client: &Client) -> String {
    let bubbles = client.find_all(Locator::Css(".bubble.bot")).await.unwrap();
    match bubbles.last() {
        // Replaced between our look and this: the next look finds the new one.
        Some(bubble) => bubble.text().await.unwrap_or_default(),
        None => String::new(),
    }
}

async fn shows(client: &Client, part: &str) {
    eventually(&format!("`{part}` on the page"), async || {
        newest(client).await.contains(part).then_some(())
    })
    .await;
}

async fn types(client: &Client, text: &str) {
    let input = client.find(Locator::Css("#message-input")).await.unwrap();
    input.send_keys(text).await.unwrap();
    client.find(Locator::Css("#send")).await.unwrap().click().await.unwrap();
}

/// Presses the button whose text contains `label`.
async fn presses(client: &Client, label: &str) {
    let place = format!("//button[contains(@class, 'inline-button')][contains(., '{label}')]");
    // The page may replace the button just when it is pressed.
    eventually(&format!("a press of `{label}`"), async || {
        let buttons = client.find_all(Locator::XPath(&place)).await.unwrap();
        buttons.last()?.click().await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_person_types_a_name_presses_buttons_and_sees_the_answers() {
    let (redis, telegram) = (TestRedis::start(), Telegram::start().await);
    let folder = tempfile::tempdir().unwrap();
    let _worker = real_worker(&redis, folder.path()).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let (_driver, client, _profile) = browser().await;
    client.goto(&format!("{}/?chat=100", telegram.address())).await.unwrap();
    types(&client, "luna marlow").await;
    shows(&client, "1. Luna Marlowe").await;
    presses(&client, "Luna Marlowe").await;
    shows(&client, "Page 1 of 10").await;
    presses(&client, "Load more").await;
    shows(&client, "Page 2 of 10").await;
    presses(&client, "Next").await;
    shows(&client, "Page 3 of 10").await;
    presses(&client, "Results").await;
    shows(&client, "Closest to luna marlow").await;
    // The page shows one message that changed, not many.
    assert_eq!(client.find_all(Locator::Css(".bubble.bot")).await.unwrap().len(), 1);
    // What a person sees, for whoever wants to look.
    let picture = client.screenshot().await.unwrap();
    std::fs::write(
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("chat-page.png"),
        picture,
    )
    .unwrap();
    client.close().await.unwrap();
}
