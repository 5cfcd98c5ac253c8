//! The flood limits over the socket; the windows themselves are tested beside their code.

use serde_json::json;
use simulator::Simulator;

use super::Telegram;

#[tokio::test]
async fn messages_and_edits_count_together_and_a_flood_says_how_long_to_wait() {
    let telegram = Telegram::start_as(Simulator::new("1:T").with_limits()).await;
    telegram.person_writes("hi").await;
    let sent = telegram.call("sendMessage", json!({"chat_id": 7, "text": "1"})).await.unwrap();
    let edit = |text: &str| json!({"chat_id": 7, "message_id": sent["message_id"], "text": text});
    telegram.call("editMessageText", edit("2")).await.unwrap();
    telegram.call("editMessageText", edit("3")).await.unwrap();
    let flood = telegram.post("/bot1:T/editMessageText", &edit("4")).await;
    assert_eq!(flood["error_code"], 429);
    assert!((1..=3).contains(&flood["parameters"]["retry_after"].as_i64().unwrap()), "{flood}");
    // What says nothing does not count.
    for _ in 0..5 {
        let typing = json!({"chat_id": 7, "action": "typing"});
        telegram.call("sendChatAction", typing).await.unwrap();
    }
}

#[tokio::test]
async fn refusals_are_told_by_phase() {
    let telegram = Telegram::start_as(Simulator::new("1:T").with_limits()).await;
    telegram.person_writes("hi").await;
    for _ in 0..4 {
        telegram.post("/bot1:T/sendMessage", &json!({"chat_id": 7, "text": "t"})).await;
    }
    let limits = telegram.get("/sim/stats").await["limits"].clone();
    assert_eq!((&limits["sent"], &limits["refusals"]), (&json!(3), &json!(1)));
    assert_eq!(limits["refused"][0]["method"], "sendMessage");
    assert_eq!(limits["refused"][0]["chat_id"], 7);
    telegram.http.delete(format!("{}/sim/stats", telegram.base)).send().await.unwrap();
    let stats = telegram.get("/sim/stats").await;
    assert_eq!((&stats["limits"]["refusals"], &stats["errors"]), (&json!(0), &json!({})));
}
