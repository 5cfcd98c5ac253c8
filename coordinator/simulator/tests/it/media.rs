//! Pictures, videos, albums, stickers.

use serde_json::{Value, json};

use super::Telegram;

#[tokio::test]
async fn a_picture_is_sent_by_address_and_changed_with_its_caption() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let photo = json!({
        "chat_id": 7, "photo": "https://m.example/1.jpg", "caption": "<b>One</b>", "parse_mode": "HTML",
    });
    let sent = telegram.call("sendPhoto", photo).await.unwrap();
    assert_eq!((&sent["caption"], &sent["text"]), (&json!("One"), &Value::Null));
    assert!(sent["photo"][0]["file_id"].is_string());
    let edit = async |method: &str, more: Value| {
        let mut body = json!({"chat_id": 7, "message_id": sent["message_id"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        telegram.call(method, body).await
    };
    let text = edit("editMessageText", json!({"text": "x"})).await;
    Telegram::check(&text, 400, "there is no text in the message to edit");
    edit("editMessageCaption", json!({"caption": "Two"})).await.unwrap();
    let media = json!({"media": {"type": "video", "media": "https://m.example/2.mp4"}});
    assert!(edit("editMessageMedia", media.clone()).await.unwrap()["video"].is_object());
    let again = edit("editMessageMedia", media).await;
    Telegram::check(&again, 400, "message is not modified");
    let long = edit("editMessageCaption", json!({"caption": "x".repeat(1_025)})).await;
    Telegram::check(&long, 400, "message caption is too long");
    let local = json!({"chat_id": 7, "photo": "/etc/passwd"});
    Telegram::check(
        &telegram.call("sendPhoto", local).await,
        400,
        "wrong file identifier/HTTP URL",
    );
}

#[tokio::test]
async fn an_album_has_two_to_ten_parts_under_one_name() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let send = async |parts: usize| {
        let part = |n| json!({"type": "photo", "media": format!("https://m.example/{n}.jpg")});
        let media: Vec<Value> = (0..parts).map(part).collect();
        telegram.call("sendMediaGroup", json!({"chat_id": 7, "media": media})).await
    };
    let album = send(3).await.unwrap();
    let names: Vec<&Value> =
        album.as_array().unwrap().iter().map(|message| &message["media_group_id"]).collect();
    assert!(names.len() == 3 && names.iter().all(|name| name.is_string() && *name == names[0]));
    assert_eq!(send(1).await.unwrap()[0]["media_group_id"], Value::Null, "one alone is no album");
    Telegram::check(&send(0).await, 400, "there are no messages to send");
    Telegram::check(&send(11).await, 400, "too many messages to send as an album");
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_refused_as_telegram_does() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    for (fault, words) in [
        ("wrong_content", "wrong type of the web page content"),
        ("no_content", "failed to get HTTP URL content"),
    ] {
        let fault = json!({"method": "sendPhoto", "fault": fault, "containing": "broken"});
        telegram.post("/sim/faults", &fault).await;
        let photo =
            |name: &str| json!({"chat_id": 7, "photo": format!("https://m.example/{name}")});
        telegram.call("sendPhoto", photo("fine")).await.unwrap();
        Telegram::check(&telegram.call("sendPhoto", photo("broken")).await, 400, words);
    }
}

#[tokio::test]
async fn forms_with_parts_are_read_and_files_are_not_taken() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let send = async |disposition: &str| {
        let body = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n\
             --xyz\r\nContent-Disposition: form-data; {disposition}\r\n\r\nhttps://m.example/1\r\n--xyz--\r\n"
        );
        let request = telegram
            .http
            .post(format!("{}/bot1:T/sendPhoto", telegram.base))
            .header("content-type", "multipart/form-data; boundary=xyz")
            .body(body);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(send("name=\"photo\"").await["ok"], true);
    let file = send("name=\"photo\"; filename=\"a.jpg\"").await;
    assert!(file["description"].as_str().unwrap().contains("no uploaded files"), "{file}");
}

#[tokio::test]
async fn people_send_pictures_and_stickers_too() {
    let telegram = Telegram::start().await;
    telegram
        .post("/sim/messages", &json!({"chat_id": 7, "photo": true, "text": "who is it"}))
        .await;
    telegram.post("/sim/messages", &json!({"chat_id": 7, "sticker": "🙂"})).await;
    let waiting = telegram.waiting().await;
    assert_eq!(waiting[0]["message"]["caption"], "who is it");
    assert!(waiting[0]["message"]["photo"].is_array());
    assert_eq!(waiting[1]["message"]["sticker"]["emoji"], "🙂");
    assert_eq!(waiting[1]["message"]["text"], Value::Null);
}
