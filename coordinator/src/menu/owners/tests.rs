use serde_json::json;
use test_kit::TestRedis;

use super::*;

fn workers(plugins: &[(&str, &[&str])]) -> Vec<WorkerRecord> {
    let plugins: Vec<_> = plugins
        .iter()
        .map(|(name, commands)| {
            let command =
                |name: &&str| json!({"name": name, "description": "Something", "task_type": "t"});
            json!({"name": name, "version": "1.0.0", "digest": "", "task_types": ["t"],
                   "commands": commands.iter().map(command).collect::<Vec<_>>()})
        })
        .collect();
    let record =
        json!({"worker": "w", "started_at": 0, "concurrency": 1, "running": 0, "plugins": plugins});
    vec![serde_json::from_value(record).unwrap()]
}

fn noted_as(owners: &[(&str, &str, u64)]) -> BTreeMap<String, OwnerRecord> {
    let noted = |(command, plugin, seen): &(&str, &str, u64)| {
        ((*command).to_owned(), OwnerRecord { plugin: (*plugin).to_owned(), seen: *seen })
    };
    owners.iter().map(noted).collect()
}

const NOW: u64 = 10 * KEEP_SECONDS;

/// Owners as `command=plugin`, news as `command:plugin:gone`.
#[track_caller]
fn decides(
    noted: &[(&str, &str, u64)],
    living: &[(&str, &[&str])],
    owners: &[&str],
    news: &[&str],
) {
    let (found, told) = decide(&noted_as(noted), &workers(living), NOW);
    let found: Vec<_> =
        found.iter().map(|(command, plugin)| format!("{command}={plugin}")).collect();
    let told: Vec<_> = told
        .iter()
        .map(|of| {
            let text = |plugin: &Option<String>| plugin.clone().unwrap_or_default();
            format!("{}:{}:{}", of.command, text(&of.plugin), text(&of.gone))
        })
        .collect();
    assert_eq!(
        (found.as_slice(), told.as_slice()),
        (
            owners.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().as_slice(),
            news.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().as_slice(),
        )
    );
}

#[test]
fn whoever_has_a_command_keeps_it() {
    let both: &[(&str, &[&str])] = &[("cubes", &["roll"]), ("dice", &["roll"])];
    decides(&[], both, &["roll=cubes"], &["roll:cubes:"]);
    decides(&[("roll", "dice", NOW)], both, &["roll=dice"], &[]);
    decides(&[("roll", "dice", NOW - NOTE_AGAIN_SECONDS)], both, &["roll=dice"], &["roll:dice:"]);
    // Also while it is away, for a week.
    let other: &[(&str, &[&str])] = &[("cubes", &["roll"])];
    decides(&[("roll", "dice", NOW - KEEP_SECONDS + 1)], other, &["roll=dice"], &[]);
    decides(&[("roll", "dice", NOW - KEEP_SECONDS)], other, &["roll=cubes"], &["roll:cubes:"]);
    decides(&[("roll", "dice", NOW - KEEP_SECONDS)], &[], &[], &["roll::"]);
    // One that lives without the command has given it up.
    let without: &[(&str, &[&str])] = &[("cubes", &["roll"]), ("dice", &[])];
    decides(&[("roll", "dice", NOW)], without, &["roll=cubes"], &["roll:cubes:dice"]);
    decides(&[("roll", "dice", NOW)], &[("dice", &[])], &[], &["roll::dice"]);
}

#[test]
fn no_newcomer_takes_the_place_of_a_command_that_is_there() {
    // As many as several plugins may have.
    let names: Vec<String> = (0..MAX_COMMANDS).map(|n| format!("z{n:02}")).collect();
    let plugins: Vec<String> = (0..MAX_COMMANDS).map(|n| format!("old{}", n / 10)).collect();
    let both = names.iter().zip(&plugins);
    let taken: Vec<(&str, &str, u64)> =
        both.map(|(name, plugin)| (name.as_str(), plugin.as_str(), NOW)).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut living: Vec<(&str, &[&str])> = vec![("aaa", &["first"])];
    living.extend(plugins.iter().map(String::as_str).step_by(10).zip(all.chunks(10)));
    let living = workers(&living);
    let (owners, news) = decide(&noted_as(&taken), &living, NOW);
    assert!(owners.len() == MAX_COMMANDS && !owners.contains_key("first"));
    assert_eq!(news, []);
}

#[tokio::test]
async fn two_coordinators_give_a_command_to_one_plugin_and_it_is_remembered() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), queue::QueueConfig::default()).await.unwrap();
    let now = now_seconds();
    let cubes = workers(&[("cubes", &["roll"])]);
    let dice = workers(&[("dice", &["roll"])]);
    // Each sees another worker first, and both look at the same time.
    let (one, two) = tokio::join!(of(&queue, &dice, now), of(&queue, &cubes, now));
    let owner = one.unwrap()["roll"].clone();
    assert_eq!(two.unwrap()["roll"], owner);
    let both = workers(&[("cubes", &["roll"]), ("dice", &["roll"])]);
    assert_eq!(of(&queue, &both, now).await.unwrap()["roll"], owner);
    let other = if owner == "dice" { &cubes } else { &dice };
    assert_eq!(of(&queue, other, now).await.unwrap()["roll"], owner, "while it is away");
    // A clock that is wrong takes nothing away: Redis' own counts.
    assert_eq!(of(&queue, other, now + 2 * KEEP_SECONDS).await.unwrap()["roll"], owner);
    assert!(release(&queue, "roll").await.unwrap());
    assert!(!release(&queue, "roll").await.unwrap());
    assert_ne!(of(&queue, other, now).await.unwrap()["roll"], owner);
}
