//! The latest request wins, however late an earlier edit arrives and whichever coordinator sends it.

use coordinator::keys::CoordinatorKeys;
use std::time::Duration;

use coordinator::chat::address::SessionKey;
use coordinator::chat::screen::Screen;
use coordinator::chat::session::Session;
use coordinator::session_store::SessionStore;
use coordinator::telegram::bot_api::BotError;
use coordinator::telegram::send::{EditOutcome, Limits, Priority, Revision};
use serde_json::{Value, json};
use test_kit::{Process, TestRedis, eventually};

use crate::limits::{address, sender};
use crate::support::{Telegram, coordinator_command, queue_on, scripted_worker};

const PERSON: i64 = 7;
/// Longer than an edit waits for older ones in flight.
const SLOW_MS: u64 = 2_500;
/// What the person sees of a creator, and of the second page of the results.
const CONTENT: &str = "An item";
const SECOND_PAGE: &str = "Page 2 of 2";

/// A coordinator without rate limits: waiting for a limit would already put the edits in order.
async fn coordinator(redis: &TestRedis, telegram: &Telegram) -> Process {
    let mut command = coordinator_command(redis, telegram);
    command.envs([("LIMIT_OVERALL", "0"), ("LIMIT_CHAT", "0"), ("LIMIT_GROUP", "0")]);
    Process::start_until(&mut command, "coordinator ready").await
}

/// The first page of results. It has two kinds of buttons: a creator, whose content comes as an answer, and the next page.
async fn found_many(telegram: &Telegram) -> Value {
    telegram.write(PERSON, "many").await;
    telegram.bot_says(PERSON, "Page 1 of 2").await
}

/// The next edit to a text with these words reaches Telegram at once and takes effect late.
async fn slow_down(telegram: &Telegram, words: &str, delay_ms: u64) {
    let fault = json!({
        "method": "editMessageText", "fault": "delay", "delay_ms": delay_ms, "containing": words,
    });
    telegram.fault(fault).await;
}

async fn edits_called(telegram: &Telegram) -> u64 {
    telegram.stats().await["calls"]["editmessagetext"].as_u64().unwrap_or(0)
}

/// How often the message was edited to a text with these words.
async fn changed_to(telegram: &Telegram, words: &str) -> usize {
    let events = telegram.transcript(PERSON).await;
    let changes = events.iter().filter(|event| {
        event["kind"] == "edit" && event["text"].as_str().is_some_and(|text| text.contains(words))
    });
    changes.count()
}

async fn until_changed_to(telegram: &Telegram, words: &str, times: usize) {
    eventually("the late change", async || {
        (times <= changed_to(telegram, words).await).then_some(())
    })
    .await;
}

async fn until_called(telegram: &Telegram, before: u64) {
    eventually("the slow change on its way", async || {
        (before < edits_called(telegram).await).then_some(())
    })
    .await;
}

/// Presses `first`, whose edit takes effect late, then `second`. The message must show what `second` asked for.
async fn second_stands(delay_ms: u64, first: (&str, &str), second: (&str, &str)) {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let found = found_many(&telegram).await;
    let before = edits_called(&telegram).await;
    slow_down(&telegram, first.1, delay_ms).await;
    telegram.press(PERSON, PERSON, &found, first.0).await;
    until_called(&telegram, before).await;
    telegram.press(PERSON, PERSON, &found, second.0).await;
    until_changed_to(&telegram, first.1, 1).await;
    telegram.bot_said_only(PERSON, &[second.1]).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    telegram.bot_said_only(PERSON, &[second.1]).await;
}

const OPEN: (&str, &str) = ("Number 1 ", CONTENT);
const TURN_THE_PAGE: (&str, &str) = ("Next", SECOND_PAGE);

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_arrives_late_does_not_cover_the_page_that_was_asked_for_since() {
    second_stands(300, OPEN, TURN_THE_PAGE).await;
    second_stands(SLOW_MS, OPEN, TURN_THE_PAGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_arrives_late_does_not_cover_the_answer_that_was_asked_for_since() {
    second_stands(300, TURN_THE_PAGE, OPEN).await;
    // A page delays its chat's updates for at most 10 s.
    second_stands(11_500, TURN_THE_PAGE, OPEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_coordinator_left_on_its_way_does_not_cover_what_was_asked_for_since() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let first = coordinator(&redis, &telegram).await;
    let found = found_many(&telegram).await;
    let before = edits_called(&telegram).await;
    // Another coordinator polls some seconds after the first one died.
    slow_down(&telegram, CONTENT, 12_000).await;
    telegram.press(PERSON, PERSON, &found, OPEN.0).await;
    until_called(&telegram, before).await;
    first.kill();
    let _second = coordinator(&redis, &telegram).await;
    telegram.press(PERSON, PERSON, &found, TURN_THE_PAGE.0).await;
    telegram.bot_said_only(PERSON, &[SECOND_PAGE]).await;
    until_changed_to(&telegram, CONTENT, 1).await;
    telegram.bot_said_only(PERSON, &[SECOND_PAGE]).await;
}

/// Goes to the last question before one's data is deleted, and returns its message.
async fn about_to_be_forgotten(telegram: &Telegram) -> Value {
    telegram.write(PERSON, "/settings").await;
    let settings = telegram.bot_says(PERSON, "Settings").await;
    telegram.press(PERSON, PERSON, &settings, "Forget me").await;
    telegram.bot_says(PERSON, "This deletes").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_on_its_way_when_the_person_was_forgotten_does_not_stay() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let sure = about_to_be_forgotten(&telegram).await;
    let before = edits_called(&telegram).await;
    slow_down(&telegram, "The luna", 6_000).await;
    telegram.write(PERSON, "luna").await;
    until_called(&telegram, before).await;
    telegram.press(PERSON, PERSON, &sure, "Yes, delete").await;
    telegram.bot_says(PERSON, "Deleted").await;
    until_changed_to(&telegram, "The luna", 1).await;
    telegram.bot_said_only(PERSON, &["Deleted", "Stopped"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_whose_coordinator_died_is_not_repeated_to_a_person_who_was_forgotten() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(PERSON, "/start").await;
    telegram.bot_says(PERSON, "Welcome").await;
    let queue = queue_on(&redis).await;
    let sessions = SessionStore::new(queue.clone());
    let who = SessionKey { chat_id: PERSON, user_id: PERSON };
    let turn = sessions.update(who, |session| session.turn_of(4_000_000_000)).await.unwrap();
    // This test is the coordinator that died after it had submitted the task.
    let lane = queue.lane_of(&"search_creator".parse().unwrap(), PERSON);
    let params = serde_json::Map::from_iter([("query".to_owned(), json!("noor"))]);
    let mut task = queue::Task::in_lane(&lane, PERSON, params);
    task.reply_to = Some(json!({
        "chat_id": PERSON, "user_id": PERSON, "turn": turn,
        "question": {"kind": "search", "query": "noor"},
    }));
    sessions.forget(who).await.unwrap();
    queue.submit_task(&task).await.unwrap();
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    telegram.bot_said_only(PERSON, &["Welcome", "Stopped"]).await;
    let said = telegram.transcript(PERSON).await;
    assert!(!json!(said).to_string().contains("noor"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_know_of_each_others_changes() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let (first, _first) = sender(&redis, &telegram, Limits::new(0, 0, 0)).await;
    let (second, _second) = sender(&redis, &telegram, Limits::new(0, 0, 0)).await;
    telegram.write(PERSON, "hello").await;
    let address = address(PERSON);
    let say = |text: &str| Screen::plain(text.to_owned());
    let message = first.send(&address, &say("Looking"), Priority::Answer).await.unwrap();
    let answer = move |turn| Revision::answer(message, turn);
    let later = say("later");
    let no = say("no");
    let shown = first.edit(&address, answer(2), &later, Priority::Answer, false).await;
    assert_eq!(shown, Ok(EditOutcome::Shown));
    let overtaken = Ok(EditOutcome::Superseded { by: 2 });
    for older in [answer(1), Revision::progress(message, 1), Revision::progress(message, 2)] {
        for beside in [false, true] {
            let edited = second.edit(&address, older, &no, Priority::Answer, beside).await;
            assert_eq!(edited, overtaken, "{older:?}");
            let sent = second.send_instead(&address, older, &no, Priority::Answer, beside);
            assert_eq!(sent.await, overtaken, "{older:?}");
        }
    }
    let same = second.edit(&address, answer(2), &later, Priority::Answer, false).await;
    assert_eq!(same, Ok(EditOutcome::Shown), "it says so already");

    slow_down(&telegram, "slow", 1_000).await;
    let before = edits_called(&telegram).await;
    let slow = tokio::spawn(async move {
        first.edit(&address, answer(3), &Screen::plain("slow"), Priority::Answer, false).await
    });
    until_called(&telegram, before).await;
    let newest = say("newest");
    let edit = |beside| second.edit(&address, answer(4), &newest, Priority::Answer, beside);
    assert_eq!(edit(false).await, Ok(EditOutcome::Busy));
    assert_eq!(edit(true).await, Ok(EditOutcome::Beside));
    assert_eq!(edit(false).await, Ok(EditOutcome::Busy), "not the last yet");
    assert_eq!(slow.await.unwrap(), Ok(EditOutcome::Shown));
    telegram.bot_said_only(PERSON, &["slow"]).await;
    eventually("the end of the slow one", async || {
        (edit(false).await == Ok(EditOutcome::Shown)).then_some(())
    })
    .await;
    telegram.bot_said_only(PERSON, &["newest"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_no_message_is_changed() {
    for limits in [Limits::new(30, 1, 20), Limits::new(0, 0, 0)] {
        let mut redis = TestRedis::start_durable();
        let telegram = Telegram::start().await;
        let (sender, _stop) = sender(&redis, &telegram, limits).await;
        telegram.write(PERSON, "hello").await;
        let say = |text: &str| Screen::plain(text.to_owned());
        let message = sender.send(&address(PERSON), &say("Hello"), Priority::Answer).await.unwrap();
        redis.kill();
        let address = address(PERSON);
        let revision = Revision::answer(message, 1);
        let changed = say("Changed");
        let edit = || sender.edit(&address, revision, &changed, Priority::Answer, true);
        let told = edit().await;
        assert!(matches!(told, Err(BotError::RetryAfter(_))), "{told:?}");
        telegram.bot_said_only(PERSON, &["Hello"]).await;
        // New messages are still sent.
        sender.send(&address, &say("More"), Priority::Answer).await.unwrap();
        redis.revive();
        eventually("the change", async || (edit().await == Ok(EditOutcome::Shown)).then_some(()))
            .await;
        telegram.bot_said_only(PERSON, &["Changed", "More"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_go_on_when_a_session_is_lost() {
    let redis = TestRedis::start();
    let queue = queue_on(&redis).await;
    let sessions = SessionStore::new(queue.clone());
    let who = SessionKey { chat_id: PERSON, user_id: PERSON };
    let key = queue.keys().session(&who.to_string());
    let mut update_id = 0;
    let mut turn = async || {
        update_id += 1;
        sessions.update(who, |session: &mut Session| session.turn_of(update_id)).await.unwrap()
    };
    let mut last = turn().await;
    for lost in ["", "{", r#"{"version":0,"rev":3,"turns":3}"#, "[]"] {
        let now = turn().await;
        assert_eq!(now, last + 1, "before {lost:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
        match lost {
            "" => redis.ask(&["DEL", &key]),
            json => redis.ask(&["SET", &key, json]),
        };
        last = turn().await;
        assert!(now < last, "after {lost:?}: {now} and then {last}");
    }
}
