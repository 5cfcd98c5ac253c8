//! Telegram's limits: all coordinators keep them together, and all obey what Telegram says about a chat.

use std::time::Duration;

use chat_commands::media::{Media, MediaKind};
use clap::Parser;
use coordinator::chat::address::ChatAddress;
use coordinator::chat::screen::Screen;
use coordinator::cli::Cli;
use coordinator::keys::CoordinatorKeys;
use coordinator::telegram::bot_api::{BotApi, BotError};
use coordinator::telegram::send::{Limits, Priority, Revision, Sender};
use serde_json::{Value, json};
use test_kit::{Process, TestRedis, eventually};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Telegram, coordinator, coordinator_command, queue_on, scripted_worker};

pub(crate) fn address(chat_id: i64) -> ChatAddress {
    ChatAddress { chat_id, owner: chat_id, ..ChatAddress::default() }
}

/// A coordinator's sender, in this process.
pub(crate) async fn sender(
    redis: &TestRedis,
    telegram: &Telegram,
    limits: Limits,
) -> (Sender, DropGuard) {
    let arguments = [
        "coordinator",
        "--telegram-bot-token",
        "123456:SIMULATOR",
        "--telegram-api-url",
        telegram.address(),
    ];
    let config = Cli::try_parse_from(arguments).unwrap().serve.into_config().unwrap();
    let closing = CancellationToken::new();
    let bot = BotApi::connect(&config.token, &config.api_url, &closing).await.unwrap();
    let (sender, line) = Sender::new(bot, queue_on(redis).await, limits);
    tokio::spawn(line.run(closing.clone()));
    (sender, closing.drop_guard())
}

/// The position among all events of a chat's first event of this kind with these words.
async fn when(telegram: &Telegram, chat: i64, kind: &str, part: &str) -> Option<u64> {
    let events = telegram.transcript(chat).await;
    let found = events.iter().find(|event| {
        event["kind"] == kind && event["text"].as_str().is_some_and(|text| text.contains(part))
    });
    found.map(|event| event["seq"].as_u64().unwrap())
}

async fn told_to_wait(telegram: &Telegram) -> u64 {
    telegram.stats().await["errors"]["429"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coordinators_keep_the_limits_together_and_everyone_is_answered() {
    let redis = TestRedis::start();
    let telegram = Telegram::start_with_limits().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _first = coordinator(&redis, &telegram).await;
    let _second = coordinator(&redis, &telegram).await;
    for chat in 1..=50 {
        telegram.write(chat, "luna").await;
    }
    for chat in 1..=50 {
        telegram.bot_said_only(chat, &["The luna"]).await;
    }
    assert_eq!(told_to_wait(&telegram).await, 0, "Telegram never had to ask to wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_in_one_chat_is_answered_in_order_and_within_its_limit() {
    let redis = TestRedis::start();
    let telegram = Telegram::start_with_limits().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    for name in ["ann", "ben", "cat"] {
        telegram.write(7, name).await;
    }
    telegram.bot_said_only(7, &["The ann", "The ben", "The cat"]).await;
    assert_eq!(told_to_wait(&telegram).await, 0, "Telegram never had to ask to wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_overtakes_the_placeholders_that_wait() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = Process::start_until(
        coordinator_command(&redis, &telegram).env("LIMIT_OVERALL", "2"),
        "coordinator ready",
    )
    .await;
    telegram.write(1, "luna").await;
    telegram.bot_says(1, "Looking for luna").await;
    for chat in 2..=9 {
        telegram.write(chat, "noor").await;
    }
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    for chat in 2..=9 {
        telegram.bot_says(chat, "The noor").await;
    }
    let answered = when(&telegram, 1, "edit", "The luna").await.unwrap();
    let mut behind = 0;
    for chat in 2..=9 {
        let placed = when(&telegram, chat, "bot_message", "Looking for noor").await.unwrap();
        behind += u32::from(answered < placed);
    }
    assert!(behind >= 3, "the answer waited for all but {behind} of eight placeholders");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_to_a_chat_while_telegram_asks_to_wait_with_it() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let none = Limits::new(0, 0, 0);
    let (first, _first) = sender(&redis, &telegram, Limits::new(30, 1, 20)).await;
    let (second, _second) = sender(&redis, &telegram, none).await;
    for chat in [7, 8] {
        telegram.write(chat, "hello").await;
    }
    let hello = Screen::plain("Hello");
    telegram.fault(json!({"method": "sendMessage", "fault": "429", "retry_after": 600})).await;
    let wait = |told: &Result<i64, BotError>| match told {
        Err(BotError::RetryAfter(wait)) => *wait,
        other => panic!("{other:?}"),
    };
    let told = first.send(&address(7), &hello, Priority::Answer).await;
    assert_eq!(wait(&told), Duration::from_secs(600));
    for sender in [&first, &second] {
        let told = sender.send(&address(7), &hello, Priority::Answer).await;
        assert!(Duration::from_secs(500) < wait(&told), "the rest of the ten minutes");
        sender.send(&address(8), &hello, Priority::Answer).await.unwrap();
    }
    let calls = telegram.stats().await["calls"]["sendmessage"].as_u64().unwrap();
    assert_eq!(calls, 3, "the one that was refused, and two to the other chat");

    // Another chat is told to wait too: the limit is the bot's.
    telegram
        .fault(json!({"method": "sendMessage", "fault": "429", "retry_after": 600, "count": 2}))
        .await;
    telegram.write(9, "hello").await;
    wait(&first.send(&address(8), &hello, Priority::Answer).await);
    wait(&second.send(&address(9), &hello, Priority::Answer).await);
    telegram.clear_faults().await;
    telegram.write(10, "hello").await;
    for sender in [&first, &second] {
        wait(&sender.send(&address(10), &hello, Priority::Answer).await);
    }
    assert_eq!(telegram.bot_messages(10).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_less_of_its_chats_limit_does_not_overtake_what_came_before() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    // Three messages within three seconds.
    let (sender, _stop) = sender(&redis, &telegram, Limits::new(30, 1, 20)).await;
    telegram.write(7, "show").await;
    let to = address(7);
    let say = |text: &str| Screen::plain(text.to_owned());
    for text in ["first", "second"] {
        sender.send(&to, &say(text), Priority::Reply).await.unwrap();
    }
    // The rest of the three seconds is short enough to be waited for.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let pictures = ["a", "b"].map(|name| Media {
        kind: MediaKind::Photo,
        url: format!("https://c.example/{name}.jpg"),
        caption: None,
    });
    // There is room for the text, and none for two pictures.
    let later = say("third");
    let (album, text) =
        futures::join!(sender.album(&to, &pictures), sender.send(&to, &later, Priority::Reply));
    album.unwrap();
    text.unwrap();
    let messages = telegram.bot_messages(7).await;
    let last = messages.last().unwrap();
    assert_eq!((messages.len(), &last["text"]), (5, &json!("third")), "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_dropped_where_there_is_no_room() {
    let redis = TestRedis::start();
    let telegram = Telegram::start_with_limits().await;
    let (sender, _stop) = sender(&redis, &telegram, Limits::new(30, 1, 20)).await;
    telegram.write(7, "hello").await;
    let say = |text: &str| Screen::plain(text.to_owned());
    let message = sender.send(&address(7), &say("Looking"), Priority::Placeholder).await.unwrap();
    let half = sender
        .edit(&address(7), Revision::progress(message, 1), &say("Half"), Priority::Progress, false)
        .await;
    assert_eq!(half, Err(BotError::RateLimited), "the answer may come at any time");
    sender
        .edit(&address(7), Revision::answer(message, 1), &say("Found"), Priority::Answer, false)
        .await
        .unwrap();
    telegram.bot_said_only(7, &["Found"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_comes_in_several_messages_with_the_buttons_under_the_last() {
    use coordinator::chat::screen::Button;
    let redis = TestRedis::start();
    let telegram = Telegram::start_with_limits().await;
    let (sender, _stop) = sender(&redis, &telegram, Limits::new(30, 1, 20)).await;
    telegram.write(7, "hello").await;
    let line = "A line of <i>some</i> length &amp; no meaning.\n";
    let html = format!("<b>{}</b>The end", line.repeat(400));
    let open = Button::open("Open", "https://a.example").unwrap();
    let screen = Screen { html, buttons: vec![vec![open]], ..Screen::default() };
    let last = sender.send(&address(7), &screen, Priority::Reply).await.unwrap();
    let messages = telegram.bot_messages(7).await;
    assert!(messages.len() > 3, "{}", messages.len());
    let text: Vec<&str> =
        messages.iter().map(|message| message["text"].as_str().unwrap().trim()).collect();
    let whole = "A line of some length & no meaning.\n".repeat(400);
    assert_eq!(text.join("\n"), format!("{whole}The end"));
    let with_buttons: Vec<&Value> =
        messages.iter().filter(|message| message["buttons"] != json!([])).collect();
    assert_eq!(with_buttons.len(), 1);
    assert_eq!(with_buttons[0]["message_id"], last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_shut_the_bot_out_is_left_alone_until_it_writes_again() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.fault(json!({"method": "sendMessage", "fault": "403"})).await;
    telegram.write(7, "luna").await;
    let calls = async || telegram.stats().await["calls"]["sendmessage"].as_u64().unwrap_or(0);
    eventually("the refusal", async || (calls().await == 1).then_some(())).await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let queue = queue_on(&redis).await;
    let replies = queue.keys().replies(&"search_creator".parse().unwrap());
    eventually("the end of its answer", async || {
        let mut connection = queue.connection();
        let waiting: u64 =
            redis::cmd("XLEN").arg(&replies).query_async(&mut connection).await.unwrap();
        let counted: Option<u64> = redis::cmd("HGET")
            .arg(queue.keys().meta(&"search_creator".parse().unwrap()))
            .arg("undeliverable")
            .query_async(&mut connection)
            .await
            .unwrap();
        (waiting == 0 && counted == Some(1)).then_some(())
    })
    .await;
    assert_eq!(calls().await, 1, "the answer was not even tried");
    telegram.write(7, "noor").await;
    telegram.bot_said_only(7, &["The noor"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_messages_go_on_slowly() {
    let mut redis = TestRedis::start_durable();
    let telegram = Telegram::start_with_limits().await;
    let (sender, _stop) = sender(&redis, &telegram, Limits::new(30, 1, 20)).await;
    for chat in 1..=12 {
        telegram.write(chat, "hello").await;
    }
    redis.kill();
    let hello = Screen::plain("Hello");
    for chat in 1..=12 {
        sender.send(&address(chat), &hello, Priority::Answer).await.unwrap();
    }
    for _ in 0..3 {
        sender.send(&address(1), &hello, Priority::Answer).await.unwrap();
    }
    assert_eq!(telegram.bot_messages(1).await.len(), 4);
    assert_eq!(told_to_wait(&telegram).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_was_blocked_does_not_knock_until_it_is_let_in() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "Looking for luna").await;
    let stand = async |standing: &str| {
        telegram.post("/sim/presence", &json!({"chat_id": 7, "standing": standing})).await;
        eventually("the news", async || {
            (telegram.stats().await["pending_updates"] == 0).then_some(())
        })
        .await;
    };
    stand("kicked").await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let queue = queue_on(&redis).await;
    let meta = queue.keys().meta(&"search_creator".parse().unwrap());
    eventually("the end of its answer", async || {
        let mut connection = queue.connection();
        let mut ask = redis::cmd("HGET");
        ask.arg(&meta).arg("undeliverable");
        let counted: Option<u64> = ask.query_async(&mut connection).await.unwrap();
        (counted == Some(1)).then_some(())
    })
    .await;
    assert_eq!(telegram.stats().await["calls"]["editmessagetext"], Value::Null, "it knew");
    stand("member").await;
    telegram.write(7, "noor").await;
    telegram.bot_says(7, "The noor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_becomes_a_supergroup_takes_its_questions_and_sessions_along() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let old = -7;
    let new = -1_000_000_000_007_i64;
    let person = 7;
    telegram.post("/sim/chats", &json!({"chat_id": old, "basic": true})).await;
    let write = async |chat: i64, text: &str| {
        let body = json!({"chat_id": chat, "user_id": person, "text": text});
        telegram.post("/sim/messages", &body).await;
    };
    write(old, "/search@freefans_bot luna").await;
    telegram.bot_says(old, "Looking for luna").await;
    let migration = json!({"chat_id": old, "user_id": person, "to": new});
    telegram.post("/sim/migrations", &migration).await;
    write(new, "/status@freefans_bot").await;
    // The pending task is in the session of the old group.
    telegram.bot_says(new, "luna").await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    // Its placeholder stayed in the old group, so the answer is a new message.
    let results = telegram.bot_says(new, "The luna").await;
    // The results went into the session of the new group, although the question came from the old one.
    telegram.press(new, person, &results, "The luna").await;
    telegram.bot_says(new, "An item").await;
}

/// Says for 5 s, as a coordinator does, that a placeholder is about to be sent.
async fn announce_placeholder(queue: &queue::TaskQueue, id: &queue::TaskId) {
    let key = queue.keys().placing(id);
    let () = queue.write_even_when_full("SET", key, (1, "EX", 5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_for_the_placeholder_for_which_another_coordinator_waits_for_room() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "/start").await;
    telegram.bot_says(7, "Welcome").await;
    // This test is the other coordinator, with a question of this chat, until it dies.
    let queue = queue_on(&redis).await;
    let lane = queue.lane_of(&"search_creator".parse().unwrap(), 7);
    let params = serde_json::Map::from_iter([("query".to_owned(), json!("luna"))]);
    let mut task = queue::Task::in_lane(&lane, 7, params);
    task.reply_to = Some(json!({
        "chat_id": 7, "user_id": 7, "question": {"kind": "search", "query": "luna"},
    }));
    announce_placeholder(&queue, &task.task_id).await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    queue.submit_task(&task).await.unwrap();
    // Longer than the delivery waits for a placeholder that no coordinator has announced.
    for _ in 0..8 {
        announce_placeholder(&queue, &task.task_id).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(telegram.bot_messages(7).await.len(), 1, "the greeting");
    }
    telegram.bot_said_only(7, &["Welcome", "The luna"]).await;
}
