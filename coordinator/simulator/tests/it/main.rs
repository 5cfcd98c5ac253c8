//! The simulator is as strict as Telegram: what Telegram refuses is refused, in its words.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper reports failure by panicking"
)]

use std::time::Duration;

use serde_json::{Value, json};
use simulator::Simulator;
use tokio_util::sync::{CancellationToken, DropGuard};

mod groups;
mod limits;
mod media;
mod menus;

struct Telegram {
    base: String,
    http: reqwest::Client,
    _stop: DropGuard,
}

impl Telegram {
    async fn start() -> Self {
        Self::start_as(Simulator::new("1:T")).await
    }

    async fn start_as(simulator: Simulator) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(simulator::serve(listener, simulator, stop.clone()));
        Self { base, http: reqwest::Client::new(), _stop: stop.drop_guard() }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let sent = self.http.post(format!("{}{path}", self.base)).json(body).send().await.unwrap();
        sent.json().await.unwrap_or_default()
    }

    /// Calls a method; gives `result`, or the error's code and description.
    async fn call(&self, method: &str, params: Value) -> Result<Value, (i64, String)> {
        let answer = self.post(&format!("/bot1:T/{method}"), &params).await;
        if answer["ok"] == true {
            return Ok(answer["result"].clone());
        }
        let description = answer["description"].as_str().unwrap().to_owned();
        Err((answer["error_code"].as_i64().unwrap(), description))
    }

    #[track_caller]
    fn check(result: &Result<Value, (i64, String)>, code: i64, part: &str) {
        let (found, description) = result.as_ref().unwrap_err();
        assert!(*found == code && description.contains(part), "{found} {description}");
    }

    async fn person_writes(&self, text: &str) {
        self.post("/sim/messages", &json!({"chat_id": 7, "text": text})).await;
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn polled(&self) -> bool {
        self.get("/sim/stats").await["polling"] == true
    }

    /// The updates that wait, without their numbers.
    async fn waiting(&self) -> Vec<Value> {
        let updates = self.call("getUpdates", json!({})).await.unwrap();
        updates.as_array().unwrap().clone()
    }

    async fn updates(&self, offset: i64) -> Vec<i64> {
        let updates = self.call("getUpdates", json!({"offset": offset})).await.unwrap();
        let updates = updates.as_array().unwrap().iter();
        updates.map(|update| update["update_id"].as_i64().unwrap()).collect()
    }
}

#[tokio::test]
async fn updates_stay_until_a_later_offset_confirms_them() {
    let telegram = Telegram::start().await;
    for text in ["a", "b", "c"] {
        telegram.person_writes(text).await;
    }
    let all = telegram.updates(0).await;
    assert_eq!(all.len(), 3);
    assert_eq!(telegram.updates(0).await, all, "fetching confirms nothing");
    let from_second = all.get(1..).unwrap();
    assert_eq!(telegram.updates(from_second[0]).await, from_second);
    assert_eq!(telegram.updates(0).await, from_second, "the first is forgotten");
    assert_eq!(telegram.updates(-1).await, from_second[1..], "only the last is kept");
}

#[tokio::test]
async fn only_one_poll_and_no_poll_beside_a_webhook() {
    let telegram = Telegram::start().await;
    let waiting = telegram.call("getUpdates", json!({"timeout": 30}));
    let replacing = async {
        while !telegram.polled().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        telegram.call("getUpdates", json!({})).await.unwrap();
    };
    let (replaced, ()) = tokio::join!(waiting, replacing);
    Telegram::check(&replaced, 409, "terminated by other getUpdates request");
    telegram.call("setWebhook", json!({"url": "https://bot.example/hook"})).await.unwrap();
    Telegram::check(&telegram.call("getUpdates", json!({})).await, 409, "webhook is active");
    telegram.call("deleteWebhook", json!({})).await.unwrap();
    telegram.call("getUpdates", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_webhook_needs_tls_a_usual_port_and_a_plain_secret() {
    let telegram = Telegram::start().await;
    let set = async |url: &str, secret: &str| {
        telegram.call("setWebhook", json!({"url": url, "secret_token": secret})).await
    };
    Telegram::check(&set("http://127.0.0.1:9/hook", "s").await, 400, "An HTTPS URL");
    Telegram::check(&set("https://bot.example:9000/", "s").await, 400, "only on ports 80, 88");
    Telegram::check(&set("https://bot.example/", "a b").await, 400, "unallowed characters");
    set("https://bot.example:8443/", "a-b_C1").await.unwrap();
    let here = Telegram::start_as(Simulator::new("1:T").with_http_webhooks()).await;
    here.call("setWebhook", json!({"url": "http://127.0.0.1:9/hook"})).await.unwrap();
}

#[tokio::test]
async fn only_the_kinds_of_updates_that_are_asked_for_come() {
    let telegram = Telegram::start().await;
    telegram.call("getUpdates", json!({"allowed_updates": ["my_chat_member"]})).await.unwrap();
    telegram.person_writes("unheard").await;
    telegram.post("/sim/presence", &json!({"chat_id": 7, "standing": "kicked"})).await;
    let waiting = telegram.waiting().await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["my_chat_member"]["new_chat_member"]["status"], "kicked");
}

#[tokio::test]
async fn messages_have_telegrams_limits() {
    let telegram = Telegram::start().await;
    let send =
        async |text: &str| telegram.call("sendMessage", json!({"chat_id": 7, "text": text})).await;
    Telegram::check(&send("hello").await, 400, "chat not found");
    telegram.person_writes("hi").await;
    send(&"x".repeat(4_096)).await.unwrap();
    Telegram::check(&send(&"x".repeat(4_097)).await, 400, "message is too long");
    // Counted in UTF-16 units: this letter has two.
    Telegram::check(&send(&"𝄞".repeat(2_049)).await, 400, "message is too long");
    Telegram::check(&send(" \n").await, 400, "message text is empty");
    let html = json!({"chat_id": 7, "text": "<b>open", "parse_mode": "HTML"});
    Telegram::check(&telegram.call("sendMessage", html).await, 400, "can't parse entities");
    // An address is not seen and has a bound of its own.
    let links = async |count: usize| {
        let link = format!("<a href=\"https://a.example/{}\">x</a> ", "y".repeat(982));
        let html = json!({"chat_id": 7, "text": link.repeat(count), "parse_mode": "HTML"});
        telegram.call("sendMessage", html).await
    };
    links(9).await.unwrap();
    Telegram::check(&links(10).await, 400, "ENTITIES_TOO_LONG");
}

#[tokio::test]
async fn buttons_have_telegrams_limits() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let send = async |button: Value| {
        let markup = json!({"inline_keyboard": [[button]]});
        let message = json!({"chat_id": 7, "text": "t", "reply_markup": markup});
        telegram.call("sendMessage", message).await
    };
    send(json!({"text": "b", "callback_data": "x".repeat(64)})).await.unwrap();
    let long = send(json!({"text": "b", "callback_data": "x".repeat(65)})).await;
    Telegram::check(&long, 400, "BUTTON_DATA_INVALID");
    let url = send(json!({"text": "b", "url": "javascript:x"})).await;
    Telegram::check(&url, 400, "Wrong HTTP URL");
    Telegram::check(&send(json!({"text": "b"})).await, 400, "Text buttons are unallowed");
    let long =
        send(json!({"text": "b", "url": format!("https://a.example/{}", "x".repeat(11_000))}));
    Telegram::check(&long.await, 400, "reply markup is too long");
}

#[tokio::test]
async fn edits_say_when_nothing_changes_and_reach_only_the_bots_messages() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let sent = telegram.call("sendMessage", json!({"chat_id": 7, "text": "one"})).await.unwrap();
    let edit = async |id: &Value, text: &str| {
        let params = json!({"chat_id": 7, "message_id": id, "text": text});
        telegram.call("editMessageText", params).await
    };
    let id = &sent["message_id"];
    edit(id, "two").await.unwrap();
    Telegram::check(&edit(id, "two").await, 400, "message is not modified");
    Telegram::check(&edit(&json!(1), "x").await, 400, "message can't be edited");
    Telegram::check(&edit(&json!(999), "x").await, 400, "message to edit not found");
    let markup = json!({"chat_id": 7, "message_id": id});
    let same = telegram.call("editMessageReplyMarkup", markup).await;
    Telegram::check(&same, 400, "message is not modified");
}

#[tokio::test]
async fn a_press_is_answered_once_and_only_real_buttons_can_be_pressed() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let markup = json!({"inline_keyboard": [[{"text": "b", "callback_data": "d"}]]});
    let message = json!({"chat_id": 7, "text": "t", "reply_markup": markup});
    let sent = telegram.call("sendMessage", message).await.unwrap();
    let press = async |data: &str| {
        let body = json!({"chat_id": 7, "message_id": sent["message_id"], "data": data});
        telegram.post("/sim/callbacks", &body).await
    };
    assert_eq!(press("forged").await, Value::Null);
    let id = press("d").await["callback_query_id"].clone();
    let answer = json!({"callback_query_id": id});
    telegram.call("answerCallbackQuery", answer.clone()).await.unwrap();
    let notes = telegram.get("/sim/events?chat_id=7").await;
    let note = notes["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&note["kind"], &note["user_id"]), (&json!("callback_answer"), &json!(7)));
    let again = telegram.call("answerCallbackQuery", answer).await;
    Telegram::check(&again, 400, "query is too old");
}

#[tokio::test]
async fn bad_days_come_on_demand_with_the_seconds_to_wait() {
    let telegram = Telegram::start().await;
    telegram.person_writes("hi").await;
    let fault = json!({"method": "sendMessage", "fault": "429", "retry_after": 3});
    telegram.post("/sim/faults", &fault).await;
    let message = json!({"chat_id": 7, "text": "t"});
    let flood = telegram.post("/bot1:T/sendMessage", &message).await;
    assert_eq!(flood["parameters"]["retry_after"], 3);
    telegram.call("sendMessage", message).await.unwrap();
    let elsewhere = json!({"method": "sendMessage", "fault": "500", "chat_id": 8});
    telegram.post("/sim/faults", &elsewhere).await;
    telegram.call("sendMessage", json!({"chat_id": 7, "text": "t"})).await.unwrap();
    let stranger = telegram.post("/bot2:X/getMe", &json!({})).await;
    assert_eq!(stranger["error_code"], 401);
    Telegram::check(&telegram.call("noSuchMethod", json!({})).await, 404, "Not Found");
}
