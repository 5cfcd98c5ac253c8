//! Sentinels whose master dies, freezes, or hands over.

use std::time::Duration;

use test_kit::TestSentinel;

#[tokio::test]
async fn a_replica_becomes_master_after_the_master_was_killed() {
    let mut redis = TestSentinel::start().await;
    let first = redis.master();
    assert_eq!(redis.ask(first, &["SET", "key", "value"]), "OK");
    redis.replicated().await;

    redis.kill_sentinel(0);
    assert_eq!(redis.kill_master(), first);
    // As on a machine that is too busy to run them. With default settings they would do nothing for 30 s.
    let held_up = [1, 2];
    held_up.iter().for_each(|index| redis.freeze_sentinel(*index));
    tokio::time::sleep(Duration::from_secs(3)).await;
    held_up.iter().for_each(|index| redis.thaw(redis.sentinel(*index)));
    let second = redis.wait_for_failover(first).await;
    assert_ne!(second, first);
    assert_eq!(redis.ask(second, &["GET", "key"]), "value");

    redis.revive(first);
    redis.revive_sentinel(0);
    redis.settled().await;
    // On a very busy machine there may have been another failover, but in the end there is one master.
    let third = redis.master();
    let fourth = redis.fail_over().await;
    assert_ne!(fourth, third);
    assert_eq!(redis.ask(fourth, &["GET", "key"]), "value");
}

#[tokio::test]
async fn a_frozen_master_is_replaced_and_comes_back_as_a_replica() {
    let redis = TestSentinel::start().await;
    let old = redis.freeze_master();
    let new = redis.wait_for_failover(old).await;
    assert_ne!(new, old);

    assert_eq!(redis.ask(new, &["SET", "key", "value"]), "OK");
    redis.thaw(old);
    redis.settled().await;
    redis.replicated().await;
    assert_eq!(redis.ask(old, &["GET", "key"]), "value");
}
