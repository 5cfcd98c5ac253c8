//! Redis with TLS and the users of the shipped ACL file, which have only the rights that it lists.

use test_kit::{Process, TestRedis};

use crate::support::{Telegram, coordinator_command, real_worker_command};

/// The shipped file's users with their placeholder passwords.
const COORDINATOR: (&str, &str) = ("coordinator", "change-me-coordinator");
const WORKER: (&str, &str) = ("worker", "change-me-worker");

#[tokio::test]
async fn a_conversation_works_over_tls_with_the_shipped_users() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = std::fs::read_to_string(test_kit::root().join("docs/redis.acl")).unwrap();
    let acl = folder.path().join("redis.acl");
    std::fs::write(&acl, format!("{shipped}user watcher on >watch -@all +acl|log\n")).unwrap();
    let redis = TestRedis::start_secured(&acl);
    let telegram = Telegram::start().await;
    let url = |(user, password): (&str, &str)| redis.secured_url(user, password);
    let folder = tempfile::tempdir().unwrap();
    let mut worker = real_worker_command(&redis, folder.path());
    worker.args(["--redis-url", &url(WORKER), "--redis-ca"]).arg(redis.ca());
    let worker = Process::start_until(&mut worker, "ready: ").await;
    let mut coordinator = coordinator_command(&redis, &telegram);
    coordinator.env("REDIS_URL", url(COORDINATOR)).env("REDIS_CA", redis.ca());
    let coordinator = Process::start_until(&mut coordinator, "coordinator ready").await;
    telegram.write(7, "luna marlow").await;
    let results = telegram.bot_says(7, "1. Luna Marlowe").await;
    telegram.press(7, 7, &results, "Luna Marlowe").await;
    let items = telegram.bot_says(7, "Page 1 of 10").await;
    telegram.press(7, 7, &items, "Load more").await;
    telegram.bot_says(7, "Page 2 of 10").await;
    telegram.write(7, "/settings").await;
    let settings = telegram.bot_says(7, "Language").await;
    telegram.press(7, 7, &settings, "Deutsch").await;
    telegram.bot_says(7, "Sprache: Deutsch").await;
    let mut stats = std::process::Command::new(crate::support::COORDINATOR);
    stats.args(["queue", "stats"]).env("REDIS_URL", url(COORDINATOR)).env("REDIS_CA", redis.ca());
    let stats = stats.output().unwrap();
    assert!(stats.status.success(), "{}", String::from_utf8_lossy(&stats.stderr));
    let refused = std::process::Command::new("redis-cli")
        .args(["-u", &url(("watcher", "watch")), "--cacert"])
        .arg(redis.ca())
        .args(["ACL", "LOG"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&refused.stdout).trim(), "", "what the rights do not allow");
    for log in [worker.log(), coordinator.log()] {
        assert!(!log.contains("NOPERM") && !log.contains("permission"), "{log}");
        assert!(!log.contains("change-me"), "a password is in the log");
    }
}

#[tokio::test]
async fn without_the_certificate_nothing_is_trusted_and_the_password_stays_out_of_the_error() {
    let acl = test_kit::root().join("docs/redis.acl");
    let redis = TestRedis::start_secured(&acl);
    let telegram = Telegram::start().await;
    let mut coordinator = coordinator_command(&redis, &telegram);
    coordinator.env("REDIS_URL", redis.secured_url(COORDINATOR.0, COORDINATOR.1));
    let coordinator = Process::start(&mut coordinator);
    coordinator.says(&["cannot reach Redis"]).await;
    assert!(!coordinator.log().contains("change-me"), "{}", coordinator.log());
}

#[tokio::test]
async fn a_password_that_is_refused_ends_the_start_for_waiting_does_not_mend_it() {
    let acl = test_kit::root().join("docs/redis.acl");
    let redis = TestRedis::start_secured(&acl);
    let telegram = Telegram::start().await;
    let mut coordinator = coordinator_command(&redis, &telegram);
    coordinator
        .env("REDIS_URL", redis.secured_url(COORDINATOR.0, "hush"))
        .env("REDIS_CA", redis.ca());
    let mut coordinator = Process::start(&mut coordinator);
    coordinator.says(&["stopped by an error", "cannot reach Redis"]).await;
    test_kit::eventually("its end", async || (!coordinator.alive()).then_some(())).await;
    assert!(!coordinator.log().contains("hush"), "{}", coordinator.log());
}
