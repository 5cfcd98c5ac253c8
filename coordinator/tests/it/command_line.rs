//! An operator at the command line.

use coordinator::keys::CoordinatorKeys;
use std::process::Command;
use std::time::Duration;

use queue::{FailureCode, Finish, TaskResult, TaskType};
use serde_json::{Value, json};
use test_kit::{Process, TestRedis, eventually};

use crate::support::{
    COORDINATOR, Telegram, coordinator, coordinator_command, queue_on, scripted_worker,
};

/// Runs `coordinator ARGUMENTS` and returns its exit code and output.
async fn run(redis: &TestRedis, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(COORDINATOR);
    command.args(arguments).env("REDIS_URL", redis.url()).env_remove("TELEGRAM_BOT_TOKEN");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

async fn run_json(redis: &TestRedis, arguments: &[&str]) -> Value {
    let (code, said) = run(redis, arguments).await;
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_submitted_by_hand_and_its_result_printed() {
    let redis = TestRedis::start();
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let submit = ["submit", "search_creator", r#"{"query":"luna"}"#, "--wait"];
    let result = run_json(&redis, &submit).await;
    assert_eq!(result["data"]["creators"][0]["name"], "The luna");
    let (code, said) = run(&redis, &["submit", "get_random_creator", "--wait"]).await;
    assert_eq!(code, 1, "a failed task is a failure: {said}");
    let (code, said) = run(&redis, &["submit", "search_creator", "[1]", "--wait"]).await;
    assert!(code == 1 && said.contains("must be a JSON object"), "{said}");
    let (code, said) = run(&redis, &["submit", "No Such", "{}"]).await;
    assert!(code == 64 && said.contains("is not a task type"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_task_is_seen_cancelled_and_its_sender_told() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let _worker = scripted_worker(&redis, Duration::from_secs(600)).await;
    telegram.write(7, "luna").await;
    let stuck = eventually("a stuck task", async || {
        let stats = run_json(&redis, &["queue", "stats", "--stuck-after", "1", "--json"]).await;
        let types = stats["types"].as_array().unwrap().clone();
        types.into_iter().find(|row| row["stuck"] == 1)
    })
    .await;
    assert_eq!((&stuck["task_type"], &stuck["offered"]), (&json!("search_creator"), &json!(true)));
    assert!(stuck["oldest_ms"].as_u64().unwrap() > 1_000);
    let (_, table) = run(&redis, &["queue", "stats", "--stuck-after", "1"]).await;
    assert!(table.contains("script 1.0.0"), "{table}");
    let listed = run_json(&redis, &["queue", "list", "search_creator", "--json"]).await;
    let task = &listed["tasks"][0];
    assert_eq!(task["status"], "processing");
    let id = task["task_id"].as_str().unwrap();
    assert_eq!(run(&redis, &["queue", "cancel", id]).await.0, 0);
    telegram.bot_said_only(7, &["✋ Stopped."]).await;
    let shown = run_json(&redis, &["queue", "show", id]).await;
    assert_eq!(shown["status"], "cancelled");
    assert_eq!(run(&redis, &["queue", "cancel", id]).await.0, 2, "it has ended");
    assert_eq!(run(&redis, &["queue", "show", "{search_creator}nothing"]).await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_type_waits_until_it_is_resumed() {
    let redis = TestRedis::start();
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    assert_eq!(run(&redis, &["queue", "pause", "search_creator"]).await.0, 0);
    let submit = ["submit", "search_creator", r#"{"query":"luna"}"#];
    let (_, id) = run(&redis, &submit).await;
    let waiting = [&submit[..], &["--wait", "--timeout", "1"]].concat();
    assert_eq!(run(&redis, &waiting).await.0, 2, "no result while it is paused");
    assert!(run(&redis, &["queue", "stats"]).await.1.contains("paused"));
    assert_eq!(run(&redis, &["queue", "resume", "search_creator"]).await.0, 0);
    let shown = eventually("the result", async || {
        let shown = run_json(&redis, &["queue", "show", id.trim()]).await;
        (shown["status"] == "completed").then_some(shown)
    })
    .await;
    assert_eq!(shown["result"]["success"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_type_are_set_and_shown() {
    let redis = TestRedis::start();
    let limit = ["queue", "limit", "search_creator"];
    let (code, said) = run(&redis, &limit).await;
    assert!(code == 0 && said.contains("rate         off"), "{said}");
    let set = [&limit[..], &["--rate", "1/h", "--max-active", "3", "--json"]].concat();
    let shown = run_json(&redis, &set).await;
    assert_eq!(
        (&shown["limits"]["rate"], &shown["limits"]["max_active"]),
        (&json!("1/h"), &json!(3))
    );
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let submit = ["submit", "search_creator", r#"{"query":"luna"}"#, "--wait", "--timeout"];
    assert_eq!(run(&redis, &[&submit[..], &["15"]].concat()).await.0, 0);
    assert_eq!(run(&redis, &[&submit[..], &["1"]].concat()).await.0, 2, "the rate is used up");
    assert!(run(&redis, &["queue", "stats"]).await.1.contains("1/h"));
    let off = [&limit[..], &["--rate", "off", "--max-active", "off"]].concat();
    let (_, said) = run(&redis, &off).await;
    assert!(said.contains("rate         off") && said.contains("max-active   off"), "{said}");
    assert_eq!(run(&redis, &[&submit[..], &["15"]].concat()).await.0, 0);
    for junk in [["--rate", "5"], ["--rate", "0/s"], ["--max-active", "0"]] {
        let (code, said) = run(&redis, &[&limit[..], &junk].concat()).await;
        assert!(code == 64 && said.contains("off"), "{junk:?}: {code} {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_sets_the_configured_rates_also_where_redis_takes_them_later() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut command = coordinator_command(&redis, &telegram);
    command.env("RATE_LIMITS", "search_creator=30/min");
    let _coordinator = Process::start_until(&mut command, "coordinator ready").await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually("the rate", async || {
        let (_, said) = run(&redis, &["queue", "limit", "search_creator"]).await;
        said.contains("30/min").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_drained_and_takes_tasks_again() {
    let redis = TestRedis::start();
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let says = async |part: &str| {
        eventually(part, async || {
            let (_, said) = run(&redis, &["queue", "stats"]).await;
            said.contains(part).then_some(())
        })
        .await;
    };
    says("script: 0 of 32 running; script").await;
    assert_eq!(run(&redis, &["queue", "drain", "nobody"]).await.0, 2);
    assert_eq!(run(&redis, &["queue", "drain", "script"]).await.0, 0);
    says("running, drained; script").await;
    assert_eq!(run(&redis, &["queue", "drain", "script", "--off"]).await.0, 0);
    says("script: 0 of 32 running; script").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_listed_and_replayed_once() {
    let redis = TestRedis::start();
    let queue = queue_on(&redis).await;
    let kind: TaskType = "search_creator".parse().unwrap();
    let params = json!({"query": "luna"}).as_object().unwrap().clone();
    let task = queue::Task::new(kind.clone(), 7, params);
    queue.submit_task(&task).await.unwrap();
    let lease = queue.claim(std::slice::from_ref(&kind), "w", 1).await.unwrap().remove(0);
    let failed = TaskResult::failure(FailureCode::PluginFailed, "no");
    queue.store_result(lease, Finish::Failed, failed).await.unwrap();
    // Also when status and result are gone, which stay for five minutes.
    let mut forget = redis::cmd("DEL");
    for kept in ["result", "status"] {
        forget.arg(format!("freefans:tasks:{kept}:{}", task.task_id));
    }
    let gone: u8 = forget.query_async(&mut queue.connection()).await.unwrap();
    assert_eq!(gone, 2);
    let shown = run_json(&redis, &["queue", "show", task.task_id.as_str()]).await;
    assert_eq!(shown["dead"]["task"]["params"]["query"], "luna");
    assert_eq!(shown["dead"]["result"]["error"], "no");
    let dead = run_json(&redis, &["queue", "list", "search_creator", "--dead", "--json"]).await;
    assert_eq!(dead["dead"][0]["result"]["metadata"]["code"], "plugin-failed");
    let entry = dead["dead"][0]["entry"].as_str().unwrap();
    assert_eq!(run(&redis, &["queue", "replay", "search_creator", entry]).await.0, 0);
    assert_eq!(run(&redis, &["queue", "replay", "search_creator", entry]).await.0, 2);
    assert_eq!(queue.queue_size(&kind).await.unwrap(), 1);
    let (code, said) = run(&redis, &["queue", "list", "search_creator", "--dead"]).await;
    assert!(code == 0 && said.contains("0 dead letters"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_command_is_listed_and_gives_it_up() {
    let redis = TestRedis::start();
    assert_eq!(
        run(&redis, &["commands", "list"]).await,
        (0, "no plugin has a command\n".to_owned())
    );
    let queue = queue_on(&redis).await;
    let key = queue.keys().command_owners();
    let hours = 3;
    let seen =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let noted = format!("{}|dice", seen - hours * 3_600);
    let connection = &mut queue.connection();
    let () =
        redis::cmd("HSET").arg(key).arg("roll").arg(noted).query_async(connection).await.unwrap();
    let (_, listed) = run(&redis, &["commands", "list"]).await;
    assert_eq!(listed, "/roll: plugin dice, seen 3 h ago\n");
    let listed = run_json(&redis, &["commands", "list", "--json"]).await;
    assert_eq!(listed["commands"]["roll"]["plugin"], "dice");
    assert_eq!(
        run(&redis, &["commands", "release", "/roll"]).await,
        (0, "roll is free\n".to_owned())
    );
    assert_eq!(run(&redis, &["commands", "release", "roll"]).await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_set_to_nothing_is_not_set_but_for_who_is_answered() {
    let redis = TestRedis::start();
    let with = |names: &[&str], arguments: &[&str]| {
        let mut command = Command::new(COORDINATOR);
        command.args(arguments).env("REDIS_URL", redis.url()).env_remove("TELEGRAM_BOT_TOKEN");
        command.envs(names.iter().map(|name| (*name, "")));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let nothing = [
        "LISTEN",
        "WEBHOOK_URL",
        "WEBHOOK_LISTEN",
        "REDIS_CA",
        "LIMIT_CHAT",
        "LOG_FORMAT",
        "ADMIN_IDS",
        "QUEUE_PARTITIONS",
        "PRIVACY_FILE",
        "TELEGRAM_API_URL",
    ];
    let (code, said) = with(&nothing, &["queue", "stats"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = with(&nothing, &[]);
    assert_eq!(code, Some(64));
    assert!(said.lines().count() == 1 && said.contains("TELEGRAM_BOT_TOKEN is not set"), "{said}");
    // An operator who meant to list people would otherwise open the bot to everybody.
    for name in ["ALLOWED_IDS", "DENIED_IDS"] {
        let (code, said) = with(&[name], &[]);
        assert!(code == Some(64) && said.contains("invalid value"), "{said}");
    }
}
