//! A cluster that loses a master, freezes one, and moves a slot.

use test_kit::TestCluster;

#[tokio::test]
async fn a_key_is_there_after_its_master_was_killed() {
    let mut cluster = TestCluster::start().await;
    let old = cluster.owner("key");
    assert_eq!(cluster.ask(old, &["SET", "key", "value"]), "OK");
    cluster.replicated(old).await;

    cluster.kill(old);
    let new = cluster.wait_for_owner_change("key", old).await;
    assert_eq!((new, cluster.owner("key")), (old + 3, new));
    assert_eq!(cluster.ask(new, &["GET", "key"]), "value");
    cluster.settled().await;

    cluster.revive(old);
    cluster.settled().await;
    assert_eq!(cluster.owner("key"), new);
    assert_eq!(cluster.fail_over("key").await, old);
    assert_eq!(cluster.ask(old, &["GET", "key"]), "value");
}

#[tokio::test]
async fn a_frozen_master_is_replaced_and_comes_back_as_a_replica() {
    let cluster = TestCluster::start().await;
    let old = cluster.owner("key");
    cluster.freeze(old);
    let new = cluster.wait_for_owner_change("key", old).await;
    assert_ne!(new, old);

    cluster.thaw(old);
    cluster.settled().await;
    assert_eq!(cluster.owner("key"), new);
    assert!(cluster.ask(old, &["ROLE"]).starts_with("slave"));
}

#[tokio::test]
async fn a_slot_moves_and_can_be_seen_half_moved() {
    let cluster = TestCluster::start().await;
    let from = cluster.owner("{a}1");
    let slot = cluster.slot("{a}1");
    let to = (from + 1) % 3;
    for key in ["{a}1", "{a}2"] {
        assert_eq!(cluster.ask(from, &["SET", key, "value"]), "OK");
    }

    cluster.begin_moving_slot("{a}1", to);
    cluster.move_key("{a}1", to);
    let ask = format!("ASK {slot} 127.0.0.1:{}", cluster.port(to));
    assert_eq!(cluster.ask(from, &["GET", "{a}1"]), ask);
    assert_eq!(cluster.ask(from, &["GET", "{a}2"]), "value");
    assert!(cluster.ask(from, &["MGET", "{a}1", "{a}2"]).starts_with("TRYAGAIN"));
    assert_eq!(cluster.owner("{a}1"), from);

    cluster.finish_moving_slot("{a}1", to).await;
    assert_eq!(cluster.owner("{a}1"), to);
    assert_eq!(cluster.ask(to, &["MGET", "{a}1", "{a}2"]), "value\nvalue");
    let moved = format!("MOVED {slot} 127.0.0.1:{}", cluster.port(to));
    assert_eq!(cluster.ask(from, &["GET", "{a}2"]), moved);

    cluster.move_slot("{a}1", from).await;
    assert_eq!(cluster.owner("{a}1"), from);
    assert_eq!(cluster.ask_all_masters(&["DBSIZE"]).len(), 3);
}
