//! Each trouble has its sentence.

use queue::{PluginChange, PluginEvent, TypeStats};

use super::tasks::GROWN_OVER;
use super::*;
use crate::dashboard::past::tests::minute;
use crate::dashboard::trend::{LastDead, NEWS_FOR, Since};
use crate::fixtures::{quiet_type, worker};

fn snapshot(of: TypeStats) -> Snapshot {
    let workers = vec![worker("w")];
    Snapshot { at: 1_000, types: vec![of], workers, ..Snapshot::default() }
}

/// The problems, each as one text.
fn said(now: &Snapshot, past: &Past, trend: &mut Trend) -> Vec<String> {
    let found = judge(now, past, None, trend);
    found.iter().map(|problem| format!("{}. {}", problem.what, problem.why)).collect()
}

#[track_caller]
fn says(now: &Snapshot, parts: &[&str]) {
    let said = said(now, &Past::default(), &mut Trend::default());
    assert_eq!(said.len(), parts.len(), "{said:?}");
    for (said, part) in said.iter().zip(parts) {
        assert!(said.contains(part), "{said} has no `{part}`");
    }
}

#[test]
fn nothing_is_said_of_what_is_well() {
    says(&snapshot(quiet_type()), &[]);
}

#[test]
fn answers_that_wait_are_said() {
    says(&snapshot(TypeStats { replies: 61, ..quiet_type() }), &["61 answers wait to be sent"]);
}

#[test]
fn the_worst_is_said_first_with_its_beginning() {
    let paused = snapshot(TypeStats { paused: true, ..quiet_type() });
    let mut trend = Trend::default();
    let said = judge(&paused, &Past::default(), Some("another webhook"), &mut trend);
    assert_eq!(said[0].what, "No messages arrive from Telegram");
    assert_eq!((said[1].severity, said[1].since.or_earlier), (Severity::Warn, true));
    let later = Snapshot { at: 61_000, ..paused };
    let said = judge(&later, &Past::default(), None, &mut trend);
    assert_eq!(said[0].since, Since { at: 1_000, or_earlier: true });
}

#[test]
fn trouble_of_redis_is_said_and_nothing_else_is_guessed() {
    let away = Snapshot { unread: Some("connection refused".to_owned()), ..Snapshot::default() };
    says(&away, &["Redis does not answer. connection refused"]);
    let full = Snapshot { refused: Some("it is full".to_owned()), ..snapshot(quiet_type()) };
    says(&full, &["Redis refuses writes. it is full"]);
}

#[test]
fn each_state_of_a_type_has_a_sentence() {
    let paused = TypeStats { paused: true, ready: 2, ..quiet_type() };
    says(&snapshot(paused), &["search is paused. 2 tasks wait for it."]);
    let unoffered = TypeStats { offered: false, ready: 1, ..quiet_type() };
    says(&snapshot(unoffered), &["No worker offers search. 1 task waits for it."]);
    says(&snapshot(TypeStats { offered: false, ..quiet_type() }), &[]);
    says(&snapshot(TypeStats { stuck: 1, active: 1, ..quiet_type() }), &["1 task is stuck"]);
    let slow = TypeStats { oldest_ms: 90_000, ready: 1, ..quiet_type() };
    says(&snapshot(slow), &["search is slow. A question has no answer after 1 min 30 s"]);
}

#[test]
fn what_fails_is_said_with_its_code_its_reason_and_its_first_minute() {
    let minutes = (10..=20).map(|n| match n {
        0..15 => minute(n, "search", 9, 1),
        15 => minute(n, "search", 0, 0),
        _ => minute(n, "search", 1, 4),
    });
    let past = Past { at: 20 * 60_000 + 9, minutes: minutes.collect(), ..Past::default() };
    let mut trend = Trend::default();
    let reason = "the forum answers 429".to_owned();
    let last = LastDead {
        at: 20 * 60_000,
        code: "plugin-failed".to_owned(),
        reason,
        failed_request: None,
    };
    trend.dead.insert("search".parse().unwrap(), last);
    let now = snapshot(TypeStats { dead: 9, oldest_ms: 90_000, ready: 1, ..quiet_type() });
    let now = Snapshot { at: past.at, ..now };
    let found = judge(&now, &past, None, &mut trend);
    assert_eq!(found.len(), 1, "one cause, one sentence: {found:?}");
    assert_eq!(found[0].what, "search fails: 20 of the last 25");
    assert_eq!(found[0].why, "Most have the code plugin-failed.");
    assert_eq!(found[0].reason.as_deref(), Some("the forum answers 429"));
    assert_eq!((found[0].since.at, found[0].since.or_earlier), (16 * 60_000, false));
    let server = "https://forum.example answered 429".to_owned();
    trend.dead.values_mut().for_each(|last| last.failed_request = Some(server.clone()));
    let found = judge(&now, &past, None, &mut trend);
    let why = "Most have the code plugin-failed. https://forum.example answered 429: it wants fewer requests, \
        so set a rate limit on the page Types.";
    assert_eq!(found[0].why, why);
    let all_bad = Past { minutes: vec![minute(20, "search", 0, 9)], ..past };
    let found = judge(&now, &all_bad, None, &mut trend);
    assert!(found[0].since.or_earlier, "what was before is not known");
}

#[test]
fn a_dead_letter_is_news_for_a_while() {
    let mut trend = Trend::default();
    let last =
        LastDead { at: 500, code: "trap".to_owned(), reason: String::new(), failed_request: None };
    trend.dead.insert("search".parse().unwrap(), last);
    let now = snapshot(TypeStats { dead: 2, ..quiet_type() });
    let texts = said(&now, &Past::default(), &mut trend);
    assert_eq!(texts, ["search has 2 dead letters. The newest has the code trap."]);
    let later = Snapshot { at: 500 + NEWS_FOR, ..now };
    assert!(said(&later, &Past::default(), &mut trend).is_empty());
}

#[test]
fn a_queue_that_grows_is_said() {
    let mut trend = Trend::default();
    trend.hour.push_back(crate::dashboard::trend::Sample { at: 0, waiting: 200 });
    let now = |ready| Snapshot { at: GROWN_OVER, ..snapshot(TypeStats { ready, ..quiet_type() }) };
    assert!(said(&now(299), &Past::default(), &mut trend).is_empty());
    let texts = said(&now(300), &Past::default(), &mut trend);
    assert!(texts[0].starts_with("The queue grows: 300 wait. 200 waited"), "{texts:?}");
}

fn event(at: u64, worker: &str, change: PluginChange) -> PluginEvent {
    PluginEvent {
        at,
        worker: worker.to_owned(),
        plugin: "content".to_owned(),
        change,
        version: Some("2.0.0".to_owned()),
        digest: None,
        other_version: Some("1.9.0".to_owned()),
        reason: Some("it is no component".to_owned()),
    }
}

#[test]
fn without_a_worker_nothing_is_answered() {
    let alone = Snapshot { workers: Vec::new(), ..snapshot(quiet_type()) };
    says(&alone, &["No worker is running"]);
}

#[test]
fn a_plugin_that_the_running_workers_refused_is_said_with_the_reason() {
    let workers = vec![worker("a"), worker("b"), worker("c")];
    let now = Snapshot { at: 9_000, workers, ..snapshot(quiet_type()) };
    let refused = |at, worker| event(at, worker, PluginChange::Refused);
    let events = vec![
        event(8_000, "c", PluginChange::Published),
        refused(7_000, "c"),
        refused(6_000, "b"),
        refused(5_000, "a"),
        refused(4_000, "of-yesterday"),
    ];
    let past = Past { events, ..Past::default() };
    let texts = said(&now, &past, &mut Trend::default());
    assert_eq!(texts.len(), 1, "{texts:?}");
    for part in ["2 workers refused version 2.0.0 of the plugin content", "it is no component"] {
        assert!(texts[0].contains(part), "{texts:?}");
    }
    let problem = &judge(&now, &past, None, &mut Trend::default())[0];
    assert_eq!((problem.since.at, problem.since.or_earlier), (5_000, false));
    let later = Snapshot { at: 9_000 + workers::NEWS_FOR, ..now };
    assert!(said(&later, &past, &mut Trend::default()).is_empty(), "no news any more");
}

#[test]
fn a_rollback_is_said_with_the_version_that_answers_now() {
    let events = vec![event(500, "w", PluginChange::RolledBack)];
    let past = Past { events, ..Past::default() };
    let texts = said(&snapshot(quiet_type()), &past, &mut Trend::default());
    assert!(texts[0].contains("rolled the plugin content back to version 1.9.0"), "{texts:?}");
}
