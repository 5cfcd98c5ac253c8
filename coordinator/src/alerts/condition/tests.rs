use queue::TaskType;

use super::*;
use crate::fixtures::{quiet_type, worker};

fn settings() -> AlertSettings {
    AlertSettings {
        admins: vec![7],
        look_every: Duration::from_secs(10),
        oldest: Duration::from_secs(60),
        waiting: 100,
        quiet: None,
    }
}

fn row(change: impl FnOnce(&mut TypeStats)) -> TypeStats {
    let mut row = quiet_type();
    change(&mut row);
    row
}

fn facts(queue: QueueFacts) -> Facts {
    Facts { queue: Some(queue), ..Facts::default() }
}

/// What is told about one type.
fn told(row: TypeStats) -> Option<(String, bool)> {
    let workers = vec![worker("a")];
    let queue = QueueFacts { types: vec![row], workers, ..QueueFacts::default() };
    let wrong = conditions(&facts(queue), &settings());
    assert!(wrong.len() <= 1, "{wrong:?}");
    wrong.into_iter().next().map(|condition| (condition.html, condition.urgent))
}

#[test]
fn a_queue_that_does_not_move_is_told_with_its_reason() {
    assert_eq!(told(row(|_| {})), None);
    assert_eq!(told(row(|row| row.oldest_ms = 59_999)), None);
    assert_eq!(told(row(|row| row.paused = true)), None);
    let check = |change: fn(&mut TypeStats), part: &str, urgent: bool| {
        let (html, is_urgent) = told(row(change)).unwrap();
        assert!(html.contains(part) && is_urgent == urgent, "{html}");
    };
    check(|row| (row.oldest_ms, row.ready) = (95_000, 3), "1 min 35 s old, 3 tasks wait", true);
    check(
        |row| (row.offered, row.ready) = (false, 1),
        "No worker runs <b>search</b>: 1 task waits",
        true,
    );
    check(|row| row.ready = 100, "grows: 100 tasks wait", false);
    check(
        |row| (row.paused, row.ready, row.oldest_ms) = (true, 2, 600_000),
        "is paused: 2 tasks wait, the oldest 10 min",
        false,
    );
}

#[test]
fn that_nobody_takes_tasks_is_one_cause_for_all_types() {
    let waits = |name: &str| {
        row(|row| {
            row.task_type = name.parse().unwrap();
            (row.offered, row.ready, row.oldest_ms) = (false, 2, 95_000);
        })
    };
    let told = |workers: Vec<queue::WorkerRecord>| {
        let types = vec![waits("search"), waits("load")];
        let wrong =
            conditions(&facts(QueueFacts { types, workers, ..QueueFacts::default() }), &settings());
        wrong.into_iter().map(|condition| condition.html).collect::<Vec<_>>()
    };
    assert_eq!(told(Vec::new()), ["No worker is running: 4 tasks wait."]);
    let drained = queue::WorkerRecord { drained: true, ..worker("a") };
    assert_eq!(told(vec![drained]), ["Every worker is drained: 4 tasks wait."]);
    assert_eq!(told(vec![worker("a")]).len(), 2);
    let idle = QueueFacts { types: vec![row(|_| {})], ..QueueFacts::default() };
    assert!(conditions(&facts(idle), &settings()).is_empty(), "nobody asks, nobody is woken");
}

#[test]
fn a_type_without_a_worker_and_without_tasks_is_nothing() {
    assert_eq!(told(row(|row| row.offered = false)), None);
}

#[test]
fn while_redis_cannot_be_used_it_is_the_only_cause() {
    let types = vec![row(|row| (row.oldest_ms, row.ready) = (95_000, 3))];
    let mut facts = facts(QueueFacts { types, ..QueueFacts::default() });
    facts.redis = Some("it is full <b>".to_owned());
    facts.updates = Some("a foreign webhook is set to bot.example".to_owned());
    let wrong = conditions(&facts, &settings());
    let causes: Vec<&str> = wrong.iter().map(|condition| condition.cause.as_str()).collect();
    assert_eq!(causes, ["local:redis", "local:updates"]);
    assert!(causes.iter().all(|cause| is_local(cause)));
    assert!(wrong[0].html.contains("it is full &lt;b&gt;"), "{}", wrong[0].html);
}

#[test]
fn dead_letters_are_news_for_a_while() {
    let told = |age: u64| {
        let search: TaskType = "search".parse().unwrap();
        let dead = NewestDead {
            age: Duration::from_secs(age),
            code: Some("retries-exhausted".to_owned()),
            failed_request: Some("https://forum.example answered 429".to_owned()),
        };
        let queue = QueueFacts {
            types: vec![row(|row| row.dead = 2)],
            newest_dead: BTreeMap::from([(search, dead)]),
            ..QueueFacts::default()
        };
        conditions(&facts(queue), &settings()).into_iter().next()
    };
    let condition = told(60).unwrap();
    assert!(condition.html.contains("2 dead letters") && condition.html.contains("answered 429"));
    assert!(condition.button.is_some());
    assert_eq!(told(901), None);
}

#[test]
fn a_refused_plugin_is_told_once_until_a_version_comes_into_force() {
    let event = |worker: &str, change: PluginChange| PluginEvent {
        at: 0,
        worker: worker.to_owned(),
        plugin: "search".to_owned(),
        change,
        version: Some("2.0.0".to_owned()),
        digest: None,
        other_version: Some("1.0.0".to_owned()),
        reason: Some("it traps".to_owned()),
    };
    let told = |events: Vec<PluginEvent>| {
        let workers = vec![worker("a"), worker("b")];
        let queue = QueueFacts { workers, events, ..QueueFacts::default() };
        let wrong = conditions(&facts(queue), &settings());
        wrong.into_iter().map(|condition| condition.html).collect::<Vec<_>>()
    };
    use PluginChange::{Published, Refused, RolledBack};
    let refused = told(vec![event("a", Refused), event("b", Refused), event("a", Published)]);
    assert_eq!(refused, ["A new file of plugin <b>search</b> is refused on 2 workers: it traps"]);
    let back = told(vec![event("b", RolledBack)]);
    assert_eq!(
        back,
        ["Plugin <b>search</b> was rolled back from 2.0.0 to 1.0.0 on 1 worker: it traps"]
    );
    assert!(told(vec![event("a", Published), event("a", Refused)]).is_empty(), "mended");
    assert!(told(vec![event("gone", Refused)]).is_empty(), "the worker is gone");
}
