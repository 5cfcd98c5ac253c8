//! Long addresses: results are shown, however long their addresses are.

use test_kit::{Process, TestRedis};

use crate::support::{Telegram, coordinator, real_worker_command};

#[tokio::test]
async fn ten_items_with_the_longest_addresses_are_one_message_with_as_many_links_as_it_takes() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = real_worker_command(&redis, folder.path());
    let mut table = "creator_url,creator_name,title,url,type,posted_at\n".to_owned();
    for item in 0..10 {
        let url = format!("{:x<2048}", format!("https://media.example/{item}?"));
        table.push_str(&format!(
            "https://creators.example/luna-marlowe,Luna Marlowe,Item {item},{url},picture,2026-01-02\n"
        ));
    }
    std::fs::write(folder.path().join("data/content.csv"), table).unwrap();
    let _worker = Process::start_until(&mut command, "ready: ").await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna marlowe").await;
    let found = telegram.bot_says(7, "1. Luna Marlowe").await;
    telegram.press(7, 7, &found, "Luna Marlowe").await;
    let items = telegram.bot_says(7, "Item 0").await;
    for item in 0..10 {
        let title = format!("Item {item}");
        assert!(items["text"].as_str().unwrap().contains(&title), "{title}");
    }
    assert_eq!(items["html"].as_str().unwrap().matches("<a ").count(), 4);
}
