//! The fleet's state: changes are fenced, components are whole, and a loss is mended without undoing anything.

use std::collections::BTreeMap;

use queue::fleet::{
    Canary, Change, Entry, Fleet, HISTORY, MAX_NAMES, Merged, Record, State, StoreError,
    WorkerReport,
};
use test_kit::TestRedis;

use crate::support::{queue, with_config};

/// A component with its SHA-256, as the fleet keeps them. The queue does not compare digests.
fn component(seed: u8) -> (String, Vec<u8>) {
    (format!("{seed:02x}").repeat(32), vec![seed; 600_000])
}

fn record(seed: u8) -> Record {
    let (digest, component) = component(seed);
    Record { digest, size: component.len() as u64, version: format!("{seed}"), ..Record::default() }
}

async fn fleet() -> (Option<TestRedis>, Fleet) {
    let (redis, queue) = queue().await;
    (redis, Fleet::new(queue))
}

/// Stores the component and pushes it over whatever is there.
async fn push(fleet: &Fleet, name: &str, record: &Record) -> Entry {
    let seed = record.version.parse().unwrap();
    fleet.store(&record.digest, &component(seed).1).await.unwrap();
    let read = fleet.state().await.unwrap();
    let change = fleet.change(name, read.entries.get(name), record).await.unwrap();
    assert!(matches!(change, Change::Done(_)), "{change:?}");
    entry(fleet, name).await
}

async fn entry(fleet: &Fleet, name: &str) -> Entry {
    fleet.state().await.unwrap().entries.remove(name).unwrap()
}

/// Forgets everything, as a server does that lost its disk. Only on a server of our own.
fn empty(redis: &TestRedis) {
    redis.ask(&["FLUSHALL"]);
}

#[tokio::test]
async fn a_push_is_read_as_it_was_written_and_the_component_is_whole() {
    let (_redis, fleet) = fleet().await;
    assert_eq!(fleet.state().await.unwrap(), State::default());
    let pushed = Record {
        settings: "[config]\na = \"x|y\"\n".to_owned(),
        labels: vec!["zone=eu".to_owned()],
        ..record(1)
    };
    let entry = push(&fleet, "search", &pushed).await;
    assert_eq!(entry.record, pushed);
    let state = fleet.state().await.unwrap();
    assert_eq!(state.revision, fleet.revision().await.unwrap());
    assert_eq!(state.revision, Some(entry.at));
    let (digest, bytes) = component(1);
    assert_eq!(fleet.fetch(&digest, bytes.len() as u64).await.unwrap(), Some(bytes.clone()));
    assert_eq!(fleet.fetch(&digest, bytes.len() as u64 - 1).await.unwrap(), None);
    assert_eq!(fleet.fetch(&digest, bytes.len() as u64 + 300_000).await.unwrap(), None);
    assert_eq!(fleet.fetch(&component(2).0, 5).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_pushes_at_once_one_wins_and_the_other_is_told_what_changed() {
    let (_redis, fleet) = fleet().await;
    let first = push(&fleet, "search", &record(1)).await;
    for seed in [2, 3] {
        let (digest, bytes) = component(seed);
        fleet.store(&digest, &bytes).await.unwrap();
    }
    let two = record(2);
    let three = record(3);
    let (one, other) = tokio::join!(
        fleet.change("search", Some(&first), &two),
        fleet.change("search", Some(&first), &three)
    );
    let changes = [one.unwrap(), other.unwrap()];
    let won = changes.iter().filter(|change| matches!(change, Change::Done(_))).count();
    assert_eq!(won, 1, "{changes:?}");
    let now = entry(&fleet, "search").await;
    assert!(changes.contains(&Change::Changed(Some(Box::new(now)))), "{changes:?}");
    // Nor may somebody push who thinks that there is none yet.
    let late = fleet.change("search", None, &record(1)).await.unwrap();
    assert!(matches!(late, Change::Changed(Some(_))), "{late:?}");
}

#[tokio::test]
async fn a_record_whose_component_lacks_a_piece_is_refused() {
    let (_redis, fleet) = fleet().await;
    assert_eq!(fleet.change("search", None, &record(1)).await.unwrap(), Change::Incomplete);
    let (digest, bytes) = component(1);
    fleet.store(&digest, &bytes[..300_000]).await.unwrap();
    assert_eq!(fleet.change("search", None, &record(1)).await.unwrap(), Change::Incomplete);
    assert_eq!(fleet.state().await.unwrap(), State::default());
}

#[tokio::test]
async fn the_history_and_the_number_of_names_are_bounded() {
    let (_redis, fleet) = fleet().await;
    for _ in 0..HISTORY + 5 {
        push(&fleet, "search", &record(1)).await;
    }
    let history = fleet.history("search").await.unwrap();
    assert_eq!(history.len(), HISTORY);
    assert_eq!(history[0], entry(&fleet, "search").await);
    for number in 1..MAX_NAMES {
        let name = format!("n{number}");
        let change = fleet.change(&name, None, &record(1)).await.unwrap();
        assert!(matches!(change, Change::Done(_)), "{number}: {change:?}");
    }
    assert_eq!(fleet.change("more", None, &record(1)).await.unwrap(), Change::Full);
    push(&fleet, "search", &record(2)).await;
}

#[tokio::test]
async fn pieces_without_a_record_expire_and_those_of_the_state_do_not() {
    let (redis, fleet) = fleet().await;
    let Some(redis) = redis else { return }; // It asks the server about keys.
    let ttl = |digest: &str| {
        let key = queue::Keys::default().fleet_artefact(digest);
        redis.ask(&["PTTL", &key]).trim().parse::<i64>().unwrap()
    };
    let (digest, bytes) = component(1);
    fleet.store(&digest, &bytes).await.unwrap();
    assert!(ttl(&digest) > 0);
    push(&fleet, "search", &record(1)).await;
    assert_eq!(ttl(&digest), -1);
    // Stored once more, it is still needed.
    fleet.store(&digest, &bytes).await.unwrap();
    assert_eq!(ttl(&digest), -1);
    push(&fleet, "search", &record(2)).await;
    fleet.collect(2_000_000).await.unwrap();
    assert_eq!(ttl(&digest), -1, "the quota has room for both");
    assert_eq!(fleet.collect(700_000).await.unwrap(), 600_000);
    assert!(ttl(&digest) > 0, "the older one goes");
    assert_eq!(ttl(&component(2).0), -1, "what the state names stays");
    // A rollback to it before it is gone keeps it.
    push(&fleet, "search", &record(1)).await;
    assert_eq!(ttl(&digest), -1);
}

#[tokio::test]
async fn a_component_that_would_fill_the_server_is_refused_with_the_numbers() {
    let (redis, fleet) = fleet().await;
    let Some(redis) = redis else { return }; // It limits the server's memory.
    redis.ask(&["CONFIG", "SET", "maxmemory", "2500000"]);
    let error = fleet.store(&"ab".repeat(32), &vec![1; 2_000_000]).await.unwrap_err();
    assert!(matches!(error, StoreError::NoRoom { most: 2_500_000, .. }), "{error}");
    assert!(error.to_string().contains("2000000 more"), "{error}");
    let error = fleet.store(&"ab".repeat(32), &vec![1; 65 << 20]).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
}

/// What a worker knows that has read the state.
async fn known(fleet: &Fleet) -> State {
    fleet.state().await.unwrap()
}

#[tokio::test]
async fn an_emptied_redis_is_filled_again_and_a_later_push_wins() {
    let (redis, fleet) = fleet().await;
    let Some(redis) = redis else { return }; // It empties the server.
    push(&fleet, "search", &record(1)).await;
    push(&fleet, "content", &record(2)).await;
    let before = known(&fleet).await;
    empty(&redis);
    assert_eq!(fleet.revision().await.unwrap(), None);
    let after = push(&fleet, "search", &record(3)).await;
    assert_ne!(Some(&after.at.era), before.revision.as_ref().map(|seen| &seen.era));
    let stored = fleet.revision().await.unwrap();
    let (digest, bytes) = component(2);
    fleet.store(&digest, &bytes).await.unwrap();
    let merge = || fleet.merge(stored.as_ref(), before.revision.as_ref(), &before.entries);
    assert_eq!(merge().await.unwrap(), Merged::Done(1));
    // The second worker is told that the first has changed the state.
    assert_eq!(merge().await.unwrap(), Merged::Changed);
    assert_eq!(entry(&fleet, "search").await, after, "it was pushed after the loss");
    assert_eq!(entry(&fleet, "content").await, before.entries["content"]);
    let again = fleet.revision().await.unwrap();
    let merged = fleet.merge(again.as_ref(), before.revision.as_ref(), &before.entries).await;
    assert_eq!(merged.unwrap(), Merged::Done(0), "there is nothing more to put back");
    assert_eq!(fleet.revision().await.unwrap(), again);
    assert_eq!(fleet.history("content").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_removed_does_not_come_back_from_a_worker_that_missed_it() {
    let (redis, fleet) = fleet().await;
    let Some(redis) = redis else { return }; // It empties the server.
    push(&fleet, "search", &record(1)).await;
    let missed = known(&fleet).await;
    let removed = Record { removed: true, ..record(1) };
    let read = entry(&fleet, "search").await;
    fleet.change("search", Some(&read), &removed).await.unwrap();
    let knows = known(&fleet).await;
    // In either order.
    for order in [[&missed, &knows], [&knows, &missed]] {
        empty(&redis);
        for State { revision: seen, entries } in order {
            let stored = fleet.revision().await.unwrap();
            fleet.merge(stored.as_ref(), seen.as_ref(), entries).await.unwrap();
        }
        assert!(entry(&fleet, "search").await.record.removed);
    }
}

#[tokio::test]
async fn a_server_with_an_older_state_gets_the_newer_one_back() {
    let (_redis, fleet) = fleet().await;
    let old = push(&fleet, "search", &record(1)).await;
    push(&fleet, "search", &record(2)).await;
    let new = known(&fleet).await;
    // As if a replica that missed the last push had taken over.
    let back = BTreeMap::from([("search".to_owned(), old)]);
    let later = fleet.merge(new.revision.as_ref(), new.revision.as_ref(), &back).await.unwrap();
    assert_eq!(later, Merged::Done(0), "an older record never wins");
    assert_eq!(entry(&fleet, "search").await, new.entries["search"]);
    let mut seen = new.revision.clone().unwrap();
    seen.number += 10;
    let merged = fleet.merge(new.revision.as_ref(), Some(&seen), &new.entries).await.unwrap();
    assert_eq!(merged, Merged::Done(0));
    let now = fleet.revision().await.unwrap().unwrap();
    assert_ne!(now.era, seen.era, "the other workers compare as well");
    assert!(now.number > seen.number);
}

#[tokio::test]
async fn records_that_cannot_be_read_cost_only_themselves() {
    let (redis, fleet) = fleet().await;
    let Some(redis) = redis else { return }; // It writes by hand.
    push(&fleet, "search", &record(1)).await;
    let keys = queue::Keys::default();
    for (name, text) in [("a", "nonsense"), ("b", "e|1|x|{}"), ("../c", "e|1|x|{}")] {
        redis.ask(&["HSET", &keys.fleet_state(), name, text]);
    }
    let names: Vec<String> = known(&fleet).await.entries.into_keys().collect();
    assert_eq!(names, ["search"]);
    let entry = push(&fleet, "a", &record(2)).await;
    assert_eq!(entry.record, record(2), "a push replaces what nobody can read");
}

#[tokio::test]
async fn a_canary_needs_its_component_and_both_outlive_a_loss_and_the_quota() {
    let (redis, queue) = queue().await;
    let Some(redis) = redis else { return };
    let fleet = Fleet::new(queue.clone());
    let first = push(&fleet, "search", &record(1)).await;
    let canary = Canary {
        record: record(2),
        labels: vec!["gpu".to_owned()],
        folders: Vec::new(),
        percent: 0,
        tasks: 20,
        seconds: 0,
    };
    let tried = Record { canary: Some(Box::new(canary)), ..record(1) };
    let change = fleet.change("search", Some(&first), &tried).await.unwrap();
    assert_eq!(change, Change::Incomplete);
    let (digest, bytes) = component(2);
    fleet.store(&digest, &bytes).await.unwrap();
    let change = fleet.change("search", Some(&first), &tried).await.unwrap();
    assert!(matches!(change, Change::Done(_)), "{change:?}");
    let stays = |seed| redis.ask(&["PTTL", &queue.keys().fleet_artefact(&component(seed).0)]);
    assert_eq!(fleet.collect(0).await.unwrap(), 1_200_000);
    assert_eq!((stays(1).trim(), stays(2).trim()), ("-1", "-1"));

    let state = fleet.state().await.unwrap();
    empty(&redis);
    for seed in [1, 2] {
        let (digest, bytes) = component(seed);
        fleet.store(&digest, &bytes).await.unwrap();
    }
    let merged = fleet.merge(None, state.revision.as_ref(), &state.entries).await.unwrap();
    assert_eq!(merged, Merged::Done(1));
    assert_eq!(entry(&fleet, "search").await.record, tried);
    assert_eq!((stays(1).trim(), stays(2).trim()), ("-1", "-1"));
}

#[tokio::test]
async fn a_report_is_read_until_its_worker_ends() {
    let (_redis, queue) = with_config(crate::support::quick()).await;
    let fleet = Fleet::new(queue);
    let report = WorkerReport {
        worker: "w".to_owned(),
        host: "h".to_owned(),
        labels: vec!["gpu".to_owned()],
        ..WorkerReport::default()
    };
    fleet.report(&report).await.unwrap();
    assert_eq!(fleet.reports().await.unwrap(), [report]);
    fleet.forget("w").await.unwrap();
    assert_eq!(fleet.reports().await.unwrap(), []);
}
