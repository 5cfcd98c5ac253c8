//! What a question costs: each call of the coordinator to Redis, in order.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use test_kit::{Process, TestRedis};

use crate::support::{Telegram, coordinator_command, scripted_worker};

/// Their number stands in all keys and arguments that belong to them.
const PERSON: i64 = 777_000_111;
const SOMEBODY_ELSE: i64 = 888_000_222;
/// The user as whom the coordinator connects, so that its calls can be told from the worker's.
const USER: &str = "bot";
/// Longer than it takes until a person who waits hears of progress.
const QUIET: Duration = Duration::from_millis(1_500);

async fn coordinator(redis: &TestRedis, telegram: &Telegram) -> Process {
    redis.ask(&["ACL", "SETUSER", USER, "on", "nopass", "~*", "&*", "+@all"]);
    let mut command = coordinator_command(redis, telegram);
    command.env("REDIS_URL", format!("redis://{USER}:any@127.0.0.1:{}", redis.port()));
    // A placeholder that waits for Telegram's limits takes more calls.
    command.envs([("LIMIT_OVERALL", "0"), ("LIMIT_CHAT", "0")]);
    Process::start_until(&mut command, "coordinator ready").await
}

/// Everything that the server is told from now on.
fn monitor(redis: &TestRedis) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut String::new()).unwrap();
    // Ends with the server.
    std::thread::spawn(move || {
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
            seen.lock().unwrap().push(std::mem::take(&mut line));
        }
    });
    lines
}

/// The calls of the coordinator that belong to the person, by their most telling key.
fn calls(redis: &TestRedis, lines: &[String]) -> Vec<&'static str> {
    let clients = redis.ask(&["CLIENT", "LIST"]);
    let of_coordinator: BTreeSet<&str> = clients
        .lines()
        .filter(|line| line.contains(&format!(" user={USER} ")))
        .filter_map(|line| line.split(" addr=").nth(1)?.split(' ').next())
        .collect();
    let known = [
        ("gate", "freefans:gate:pace:"),
        ("gone", "\"DEL\" \"freefans:{send}:gone:"),
        ("read the session", "\"GET\" \"freefans:session:"),
        ("session", "freefans:session:"),
        ("submit", "\"freefans:tasks:queue:{"),
        ("acknowledge", "\"freefans:tasks:replies:{"),
        ("read the ledger", "\"MGET\" \"freefans:tasks:reply:"),
        ("record", "freefans:tasks:placeholder:"),
        ("room", "freefans:{send}:all:"),
        ("arrived", "freefans:{send}:shown:"),
    ];
    // The worker's part begins with the same id.
    let id = lines.iter().find_map(|line| line.split("tasks:reply:").nth(1)?.split('"').next());
    lines
        .iter()
        .filter(|line| {
            let client = line.split("[0 ").nth(1).and_then(|rest| rest.split(']').next());
            client.is_some_and(|client| of_coordinator.contains(client))
                && (line.contains(&PERSON.to_string()) || id.is_some_and(|id| line.contains(id)))
                // Written beside, for many tasks at once; nobody waits for it.
                && !line.contains("freefans:history:")
        })
        .map(|line| {
            let call = known.iter().find(|(_, part)| line.contains(part));
            call.unwrap_or_else(|| panic!("an unknown call: {line}")).0
        })
        .collect()
}

/// What a question costs.
async fn question(redis: &TestRedis, telegram: &Telegram, name: &str) -> Vec<&'static str> {
    let lines = monitor(redis);
    telegram.write(PERSON, name).await;
    telegram.bot_says(PERSON, &format!("The {name}")).await;
    tokio::time::sleep(QUIET).await;
    let lines = lines.lock().unwrap().clone();
    calls(redis, &lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_takes_seven_round_trips() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let first = coordinator(&redis, &telegram).await;
    telegram.write(PERSON, "/start").await;
    telegram.bot_says(PERSON, "Welcome").await;
    // A script that the server does not know yet takes a second call.
    telegram.write(SOMEBODY_ELSE, "mira").await;
    telegram.bot_says(SOMEBODY_ELSE, "The mira").await;
    tokio::time::sleep(QUIET).await;
    // Side by side: the session and the note that the chat exists; the record and the session again; the last two.
    let question_asked = ["gate", "session", "gone", "submit", "room", "record"];
    let answered = ["session", "room", "arrived", "acknowledge"];
    let mut expected: Vec<&str> = question_asked.into_iter().chain(answered).collect();
    expected.sort_unstable();
    let mut calls = question(&redis, &telegram, "luna").await;
    calls.sort_unstable();
    assert_eq!(calls, expected);

    // Another process has no copy of the session: it reads it beside the gate.
    first.terminate();
    let _second = coordinator(&redis, &telegram).await;
    let mut calls = question(&redis, &telegram, "noor").await;
    calls.sort_unstable();
    expected.push("read the session");
    expected.sort_unstable();
    assert_eq!(calls, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_takes_six_round_trips() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(PERSON, "many").await;
    let found = telegram.bot_says(PERSON, "Page 1 of 2").await;
    tokio::time::sleep(QUIET).await;
    let lines = monitor(&redis);
    telegram.press(PERSON, PERSON, &found, "Number 1 ").await;
    telegram.bot_says(PERSON, "An item").await;
    tokio::time::sleep(QUIET).await;
    let lines = lines.lock().unwrap().clone();
    let mut calls = calls(&redis, &lines);
    calls.sort_unstable();
    let question_asked = ["gate", "session", "gone", "submit"];
    let answered = ["session", "room", "arrived", "acknowledge"];
    let mut expected: Vec<&str> = question_asked.into_iter().chain(answered).collect();
    expected.sort_unstable();
    assert_eq!(calls, expected);
}
