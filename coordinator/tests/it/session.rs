//! Sessions in several processes at once: a copy that is out of date changes nothing.

use coordinator::chat::address::SessionKey;
use coordinator::chat::session::Session;
use coordinator::session_store::SessionStore;
use test_kit::TestRedis;

use crate::support::queue_on;

const WHO: SessionKey = SessionKey { chat_id: 7, user_id: 7 };

async fn two_processes(redis: &TestRedis) -> (SessionStore, SessionStore) {
    (SessionStore::new(queue_on(redis).await), SessionStore::new(queue_on(redis).await))
}

fn see(url: &str) -> impl FnMut(&mut Session) {
    move |session| session.keep_seen(url)
}

#[tokio::test]
async fn changes_of_two_processes_are_all_kept() {
    let redis = TestRedis::start();
    let (first, second) = two_processes(&redis).await;
    let mut expected = Vec::new();
    for number in 0..10 {
        let url = number.to_string();
        let sessions = if number % 3 == 0 { &first } else { &second };
        sessions.update(WHO, see(&url)).await.unwrap();
        expected.push(url);
    }
    let changes = (10..18).map(|number| {
        let sessions = if number % 2 == 0 { &first } else { &second };
        async move { sessions.update(WHO, see(&number.to_string())).await.unwrap() }
    });
    futures::future::join_all(changes).await;
    let mut seen = first.load(WHO).await.unwrap().seen;
    let later = seen.split_off(expected.len());
    assert_eq!(seen, expected);
    assert_eq!(later.len(), 8, "{later:?}");
}

#[tokio::test]
async fn what_changes_nothing_is_said_of_the_stored_session() {
    let redis = TestRedis::start();
    let (first, second) = two_processes(&redis).await;
    first.update(WHO, see("a")).await.unwrap();
    second.update(WHO, see("b")).await.unwrap();
    let seen = first.update(WHO, |session| session.seen.clone()).await.unwrap();
    assert_eq!(seen, ["a", "b"]);
    first.update(WHO, see("c")).await.unwrap();
    second.forget(WHO).await.unwrap();
    let seen = first.update(WHO, |session| session.seen.clone()).await.unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn a_copy_from_before_a_failover_overwrites_nothing() {
    let redis = TestRedis::start();
    let (first, second) = two_processes(&redis).await;
    first.update(WHO, see("a")).await.unwrap();
    let key = "freefans:session:7:7";
    let behind = redis.ask(&["GET", key]);
    first.update(WHO, see("lost by the failover")).await.unwrap();
    redis.ask(&["SET", key, behind.trim_end()]);
    second.update(WHO, see("b")).await.unwrap();
    first.update(WHO, see("c")).await.unwrap();
    assert_eq!(second.load(WHO).await.unwrap().seen, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_session_that_is_gone_or_unreadable_begins_anew() {
    let redis = TestRedis::start();
    let (first, _) = two_processes(&redis).await;
    let key = "freefans:session:7:7";
    for lost in ["", "{", "[]", r#"{"version":0,"rev":3}"#] {
        first.update(WHO, see("old")).await.unwrap();
        match lost {
            "" => redis.ask(&["DEL", key]),
            text => redis.ask(&["SET", key, text]),
        };
        first.update(WHO, see("new")).await.unwrap();
        assert_eq!(first.load(WHO).await.unwrap().seen, ["new"], "after {lost:?}");
        redis.ask(&["DEL", key]);
    }
    redis.ask(&["RPUSH", key, "no text"]);
    first.update(WHO, see("new")).await.unwrap();
    assert_eq!(first.load(WHO).await.unwrap().seen, ["new"]);
}

#[tokio::test]
async fn a_session_read_in_advance_is_changed_in_one_call() {
    let redis = TestRedis::start();
    let (first, second) = two_processes(&redis).await;
    first.update(WHO, see("a")).await.unwrap();
    second.prefetch(WHO).await;
    redis.ask(&["CONFIG", "RESETSTAT"]);
    second.update(WHO, see("b")).await.unwrap();
    let info = redis.ask(&["INFO", "commandstats"]);
    assert!(info.contains("cmdstat_evalsha:calls=1,"), "{info}");
    // The script's own.
    assert!(info.contains("cmdstat_get:calls=1,"), "{info}");
    assert_eq!(first.load(WHO).await.unwrap().seen, ["a", "b"]);
}
