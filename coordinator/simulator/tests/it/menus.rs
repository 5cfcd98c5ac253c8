//! Command menus and the keyboard in place of the person's own.

use serde_json::{Value, json};

use super::Telegram;

async fn set(telegram: &Telegram, name: &str, more: Value) -> Result<Value, (i64, String)> {
    let mut body = json!({"commands": [{"command": name, "description": "d"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    telegram.call("setMyCommands", body).await
}

async fn menu(telegram: &Telegram, chat: i64, language: &str) -> Value {
    let path = format!("/sim/chat?chat_id={chat}&user_id=7&language_code={language}");
    telegram.get(&path).await["commands"][0]["command"].clone()
}

#[tokio::test]
async fn the_menu_of_the_chat_and_language_is_shown() {
    let telegram = Telegram::start().await;
    set(&telegram, "everywhere", json!({})).await.unwrap();
    set(&telegram, "ueberall", json!({"language_code": "de"})).await.unwrap();
    set(&telegram, "private", json!({"scope": {"type": "all_private_chats"}})).await.unwrap();
    assert_eq!(menu(&telegram, 7, "en").await, "private");
    assert_eq!(menu(&telegram, 7, "de").await, "private", "the narrower scope comes first");
    assert_eq!(menu(&telegram, -5, "de-AT").await, "ueberall");
    assert_eq!(menu(&telegram, -5, "fr").await, "everywhere");
    set(&telegram, "mine", json!({"scope": {"type": "chat", "chat_id": 7}})).await.unwrap();
    assert_eq!(menu(&telegram, 7, "en").await, "mine");
    let asked = telegram.call("getMyCommands", json!({"language_code": "de"})).await.unwrap();
    assert_eq!(asked[0]["command"], "ueberall");
    telegram.call("deleteMyCommands", json!({"language_code": "de"})).await.unwrap();
    assert_eq!(menu(&telegram, -5, "de").await, "everywhere");
}

#[tokio::test]
async fn a_menu_has_telegrams_limits() {
    let telegram = Telegram::start().await;
    for name in ["Upper", "with-dash", "", "ä", &"x".repeat(33)] {
        Telegram::check(&set(&telegram, name, json!({})).await, 400, "BOT_COMMAND_INVALID");
    }
    let many: Vec<Value> =
        (0..101).map(|n| json!({"command": format!("c{n}"), "description": "d"})).collect();
    let many = telegram.call("setMyCommands", json!({"commands": many})).await;
    Telegram::check(&many, 400, "BOT_COMMANDS_TOO_MUCH");
    let empty = json!({"commands": [{"command": "c", "description": " "}]});
    let empty = telegram.call("setMyCommands", empty).await;
    Telegram::check(&empty, 400, "BOT_COMMAND_DESCRIPTION_INVALID");
    let language = set(&telegram, "c", json!({"language_code": "german"})).await;
    Telegram::check(&language, 400, "invalid language code");
}

#[tokio::test]
async fn a_reply_keyboard_stays_until_it_is_taken_away() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let send = async |markup: Value| {
        let message = json!({"chat_id": 7, "text": "t", "reply_markup": markup});
        telegram.call("sendMessage", message).await
    };
    let shown = async || telegram.get("/sim/chat?chat_id=7").await["reply_keyboard"].clone();
    let keyboard = json!({"keyboard": [[{"text": "🎲"}, "🔎"]], "is_persistent": true});
    let sent = send(keyboard.clone()).await.unwrap();
    let other = json!({"inline_keyboard": [[{"text": "b", "callback_data": "d"}]]});
    send(other.clone()).await.unwrap();
    assert_eq!(shown().await["rows"], json!([["🎲", "🔎"]]));
    assert_eq!(shown().await["is_persistent"], true);
    let mut both = keyboard.clone();
    both.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    Telegram::check(&send(both).await, 400, "object expected as reply markup");
    Telegram::check(&send(json!({"keyboard": [[""]]})).await, 400, "can't parse keyboard button");
    let edit = json!({
        "chat_id": 7, "message_id": sent["message_id"], "text": "x", "reply_markup": keyboard,
    });
    Telegram::check(&telegram.call("editMessageText", edit).await, 400, "inline keyboard expected");
    send(json!({"remove_keyboard": true})).await.unwrap();
    assert_eq!(shown().await, Value::Null);
}
