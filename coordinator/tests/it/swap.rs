//! A plugin is replaced under a running conversation.

use test_kit::{TestRedis, component};

use crate::support::{COORDINATOR, Telegram, coordinator, real_worker};

#[tokio::test]
async fn the_next_answer_in_the_chat_comes_from_the_new_plugin() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut worker = real_worker(&redis, folder.path()).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna marlowe").await;
    let before = telegram.bot_says(7, "1. Luna Marlowe").await;
    assert!(!before["text"].as_str().unwrap().contains('★'));
    let part = folder.path().join("search.part");
    std::fs::copy(component(COORDINATOR, "marked/search"), &part).unwrap();
    std::fs::rename(part, folder.path().join("search.wasm")).unwrap();
    worker.says(&["plugin published", "1.0.0+marked"]).await;
    telegram.write(7, "luna marlowe").await;
    telegram.bot_says(7, "1. Luna Marlowe ★").await;
    assert!(worker.alive());
}
