//! Groups: who the bot hears, where its answers go, and what happens to the group or the bot in it.

use serde_json::{Value, json};

use super::Telegram;

async fn says(telegram: &Telegram, who: i64, what: Value) -> Value {
    let mut body = json!({"chat_id": -5, "user_id": who, "first_name": format!("P{who}")});
    body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    telegram.post("/sim/messages", &body).await
}

#[tokio::test]
async fn in_a_group_the_bot_hears_only_what_is_meant_for_it() {
    let telegram = Telegram::start().await;
    let talk = says(&telegram, 7, json!({"text": "just talk"})).await;
    assert_eq!(talk["update_id"], Value::Null);
    for (text, heard) in [
        ("/help", true),
        ("/help@freefans_bot", true),
        ("/help@other_bot", false),
        ("what does @FreeFans_bot say", true),
        ("what does @other_bot say", false),
        ("me@freefans_bot.example", false),
    ] {
        let written = says(&telegram, 7, json!({"text": text})).await;
        assert_eq!(written["update_id"].is_i64(), heard, "{text}");
    }
    let sent = telegram.call("sendMessage", json!({"chat_id": -5, "text": "Yes?"})).await.unwrap();
    let reply = json!({"text": "luna", "reply_to": sent["message_id"]});
    assert!(says(&telegram, 8, reply).await["update_id"].is_i64(), "an answer to the bot");
    let to_a_person = json!({"text": "luna", "reply_to": talk["message_id"]});
    assert!(says(&telegram, 8, to_a_person).await["update_id"].is_null());
    let update = telegram.waiting().await.pop().unwrap()["message"].clone();
    assert_eq!(update["from"]["first_name"], "P8");
    assert_eq!(update["reply_to_message"]["text"], "Yes?");
    assert_eq!(update["reply_to_message"]["from"]["is_bot"], true);
}

#[tokio::test]
async fn people_have_names_and_languages_that_stay() {
    let telegram = Telegram::start().await;
    let ann = json!({"text": "/start", "username": "ann", "language_code": "de"});
    says(&telegram, 7, ann).await;
    telegram.post("/sim/messages", &json!({"chat_id": 7, "text": "hi"})).await;
    let nobody = json!({"chat_id": 8, "text": "hi", "language_code": ""});
    telegram.post("/sim/messages", &nobody).await;
    let waiting = telegram.waiting().await;
    let from = &waiting[1]["message"]["from"];
    assert_eq!((&from["username"], &from["language_code"]), (&json!("ann"), &json!("de")));
    assert_eq!(waiting[1]["message"]["chat"]["first_name"], "P7");
    assert_eq!(waiting[2]["message"]["from"]["language_code"], Value::Null);
}

#[tokio::test]
async fn an_answer_names_its_question_and_stays_in_its_topic() {
    let telegram = Telegram::start().await;
    telegram.post("/sim/chats", &json!({"chat_id": -5, "title": "Fans", "forum": true})).await;
    let asked = says(&telegram, 7, json!({"text": "/help", "thread": 3})).await;
    let update = telegram.waiting().await.remove(0)["message"].clone();
    assert_eq!(
        (&update["message_thread_id"], &update["is_topic_message"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(
        (&update["chat"]["is_forum"], &update["chat"]["title"]),
        (&json!(true), &json!("Fans"))
    );
    let send = async |more: Value| {
        let mut message = json!({"chat_id": -5, "text": "t"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        telegram.call("sendMessage", message).await
    };
    let sent =
        send(json!({"reply_parameters": {"message_id": asked["message_id"]}})).await.unwrap();
    assert_eq!(sent["message_thread_id"], 3);
    assert_eq!(sent["reply_to_message"]["message_id"], asked["message_id"]);
    let lost = json!({"reply_parameters": {"message_id": 999}});
    Telegram::check(&send(lost).await, 400, "message to be replied not found");
    let lost =
        json!({"reply_parameters": {"message_id": 999, "allow_sending_without_reply": true}});
    assert_eq!(send(lost).await.unwrap()["reply_to_message"], Value::Null);
    let nowhere = send(json!({"message_thread_id": 4})).await;
    Telegram::check(&nowhere, 400, "message thread not found");
}

#[tokio::test]
async fn who_shuts_the_bot_out_is_not_written_to_until_they_let_it_in() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    says(&telegram, 7, json!({"text": "/help"})).await;
    let stands = async |chat: i64, standing: &str| {
        let body = json!({"chat_id": chat, "user_id": 7, "standing": standing});
        telegram.post("/sim/presence", &body).await;
        telegram.call("sendMessage", json!({"chat_id": chat, "text": "t"})).await
    };
    Telegram::check(&stands(7, "kicked").await, 403, "bot was blocked by the user");
    Telegram::check(&stands(-5, "kicked").await, 403, "bot was kicked from the supergroup chat");
    Telegram::check(&stands(-5, "left").await, 403, "bot is not a member of the supergroup chat");
    assert!(says(&telegram, 7, json!({"text": "/help"})).await["update_id"].is_null());
    stands(7, "member").await.unwrap();
    let waiting = telegram.waiting().await;
    let changes: Vec<_> =
        waiting.iter().filter(|update| update["my_chat_member"].is_object()).collect();
    assert_eq!(changes.len(), 4);
    assert_eq!(changes[3]["my_chat_member"]["old_chat_member"]["status"], "kicked");
    assert_eq!(changes[3]["my_chat_member"]["new_chat_member"]["status"], "member");
}

#[tokio::test]
async fn a_group_that_becomes_a_supergroup_says_where_it_is_now() {
    let telegram = Telegram::start().await;
    says(&telegram, 7, json!({"text": "/help"})).await;
    telegram.post("/sim/migrations", &json!({"chat_id": -5, "user_id": 7, "to": -1005})).await;
    let message = json!({"chat_id": -5, "text": "t"});
    let refused = telegram.post("/bot1:T/sendMessage", &message).await;
    assert_eq!(
        (&refused["error_code"], &refused["parameters"]["migrate_to_chat_id"]),
        (&json!(400), &json!(-1005))
    );
    telegram.call("sendMessage", json!({"chat_id": -1005, "text": "t"})).await.unwrap();
    let waiting = telegram.waiting().await;
    assert_eq!(waiting[1]["message"]["migrate_to_chat_id"], -1005);
    assert_eq!(waiting[2]["message"]["migrate_from_chat_id"], -5);
    assert_eq!(waiting[2]["message"]["chat"]["type"], "supergroup");
}
