//! Coordinators and Redis are killed: every accepted update is answered once.

use std::time::Duration;

use coordinator::chat::address::SessionKey;
use coordinator::keys::CoordinatorKeys;
use coordinator::session_store::SessionStore;
use serde_json::json;
use test_kit::{TestRedis, eventually};

use crate::support::{Telegram, coordinator, queue_on, scripted_worker};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_confirmed_only_when_its_task_is_in_redis() {
    let mut redis = TestRedis::start_durable();
    let telegram = Telegram::start().await;
    let running = coordinator(&redis, &telegram).await;
    telegram.write(7, "/start").await;
    telegram.bot_says(7, "Welcome").await;
    redis.kill();
    let update = telegram.write(7, "luna").await;
    running.says(&["trying again"]).await;
    let confirmed = telegram.stats().await["confirmed_offset"].as_i64().unwrap();
    assert!(confirmed <= update, "{confirmed} is behind update {update}, whose task is nowhere");
    redis.revive();
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    telegram.bot_said_only(7, &["Welcome", "The luna"]).await;
    eventually("the confirmation", async || {
        let confirmed = telegram.stats().await["confirmed_offset"].as_i64().unwrap();
        (update < confirmed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_a_coordinator_is_killed_its_question_is_answered_once() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::from_millis(10)).await;
    let mut running = coordinator(&redis, &telegram).await;
    // From before the update is read to after the answer is sent.
    for (chat, after_ms) in [0, 1, 2, 4, 7, 11, 16, 25].into_iter().enumerate() {
        let chat = i64::try_from(chat).unwrap() + 1;
        telegram.write(chat, "luna").await;
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        running.kill();
        running = coordinator(&redis, &telegram).await;
        telegram.bot_says(chat, "The luna").await;
    }
    for chat in 1..=8 {
        let events = telegram.transcript(chat).await;
        let messages = telegram.bot_messages(chat).await;
        let answers = messages
            .iter()
            .filter(|message| message["text"].as_str().unwrap().contains("The luna"))
            .count();
        assert_eq!(answers, 1, "chat {chat}: {events:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_killed_coordinator_had_in_hand_is_shown_by_another() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let first = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "Looking for luna").await;
    // The edit hangs for longer than the test takes.
    let hang = json!({"method": "editMessageText", "fault": "delay", "delay_ms": 100_000});
    telegram.fault(hang).await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    eventually("the edit under way", async || {
        telegram.stats().await["calls"]["editmessagetext"].as_u64().filter(|calls| *calls > 0)
    })
    .await;
    first.kill();
    let _second = coordinator(&redis, &telegram).await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coordinators_share_the_work_and_one_takes_over_when_the_other_is_killed() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let first = coordinator(&redis, &telegram).await;
    first.says(&["polling for updates"]).await;
    let second = coordinator(&redis, &telegram).await;
    for chat in 1..=10 {
        telegram.write(chat, "luna").await;
    }
    for chat in 1..=10 {
        telegram.bot_said_only(chat, &["The luna"]).await;
    }
    first.kill();
    telegram.write(11, "luna").await;
    let taken_over = async {
        second.says(&["polling for updates"]).await;
        telegram.bot_said_only(11, &["The luna"]).await;
    };
    let promised = Duration::from_secs(10);
    assert!(tokio::time::timeout(promised, taken_over).await.is_ok(), "nobody took over in time");
    let stats = telegram.stats().await;
    assert_eq!(stats["errors"]["409"], json!(null), "they never fought over the updates");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_takes_over_while_the_other_still_polls_is_no_other_program() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let first = coordinator(&redis, &telegram).await;
    first.says(&["polling for updates"]).await;
    // Its turn comes when the lease is lost, as after a time in which Redis took no writes.
    let second = coordinator(&redis, &telegram).await;
    let queue = queue_on(&redis).await;
    let lease = queue.keys().poller_lease("123456");
    // Both may renew it; as often as it takes.
    eventually("the other one polls, and their calls meet", async || {
        let mut connection = queue.connection();
        let gone: i64 = redis::cmd("DEL").arg(&lease).query_async(&mut connection).await.unwrap();
        assert!(gone <= 1);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stats = telegram.stats().await;
        let met = stats["errors"]["409"].as_u64().unwrap_or(0) > 0;
        (met && second.log().contains("polling for updates")).then_some(())
    })
    .await;
    // Their turns are over when one has polled for longer than a lease.
    tokio::time::sleep(Duration::from_secs(8)).await;
    for log in [first.log(), second.log()] {
        assert!(!log.contains("another program polls"), "{log}");
    }
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_coordinator_hands_over_at_once() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let first = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "The luna").await;
    assert_eq!(first.terminate(), Some(0));
    let holder: Option<String> = {
        let queue = queue_on(&redis).await;
        redis::cmd("GET")
            .arg(queue.keys().poller_lease("123456"))
            .query_async(&mut queue.connection())
            .await
            .unwrap()
    };
    assert_eq!(holder, None, "the right to fetch updates is free");
    let _second = coordinator(&redis, &telegram).await;
    telegram.write(7, "noor").await;
    telegram.bot_said_only(7, &["The luna", "The noor"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_coordinator_had_forgotten_and_not_stopped_is_stopped_by_the_next() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "Looking for luna").await;
    telegram.write(7, "/settings").await;
    let settings = telegram.bot_says(7, "Settings").await;
    telegram.press(7, 7, &settings, "Forget me").await;
    let sure = telegram.bot_says(7, "This deletes").await;
    // So far had come who died with the press in hand; Telegram brings it again.
    let sessions = SessionStore::new(queue_on(&redis).await);
    sessions.forget(SessionKey { chat_id: 7, user_id: 7 }).await.unwrap();
    telegram.press(7, 7, &sure, "Yes, delete").await;
    // No worker runs: it is stopped, or it waits on.
    telegram.bot_said_only(7, &["Stopped", "Deleted"]).await;
    let session = sessions.load(SessionKey { chat_id: 7, user_id: 7 }).await.unwrap();
    assert_eq!((session.to_stop(), session.pending), (Vec::new(), Vec::new()));
}
