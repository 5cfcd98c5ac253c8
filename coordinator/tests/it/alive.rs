//! What a container's health check and systemd see.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use test_kit::{Process, TestRedis, eventually};

use crate::health::{get, listening};
use crate::support::{COORDINATOR, Telegram, coordinator_command, plugin_folder, worker_command};

/// Runs `PROGRAM health ARGUMENTS` and returns its exit code and output.
async fn health(program: &Path, listen: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(program);
    command.arg("health").args(arguments).env("LISTEN", listen);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_needs_no_other_program_and_names_the_reasons() {
    let mut redis = TestRedis::start_durable();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    // A folder without a plugin.
    let worker = worker_command(&redis, folder.path());
    let (at_worker, worker) = listening(worker, "ready: ").await;
    let (at_coordinator, coordinator) =
        listening(coordinator_command(&redis, &telegram), "coordinator ready").await;
    let programs = [test_kit::program(COORDINATOR, "worker"), COORDINATOR.into()];
    for (program, listen) in programs.iter().zip([&worker, &coordinator]) {
        assert_eq!(health(program, listen, &[]).await, (0, "alive\n".to_owned()));
        // As a container is told to listen.
        let all = listen.replace("127.0.0.1", "0.0.0.0");
        assert_eq!(health(program, &all, &[]).await, (0, "alive\n".to_owned()));
        let (code, said) = health(program, listen, &["--json"]).await;
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(code == 0 && said["alive"] == true, "{said}");
        assert!(said["loops"].as_array().is_some_and(|loops| loops.len() > 1), "{said}");
    }
    let unready = "not ready: no plugin is loaded\n".to_owned();
    assert_eq!(health(&programs[0], &worker, &["--ready"]).await, (1, unready));
    assert_eq!(health(&programs[1], &coordinator, &["--ready"]).await, (0, "ready\n".to_owned()));
    redis.kill();
    eventually("a reason for each that is missing", async || {
        let (code, said) = health(&programs[0], &worker, &["--ready", "--json"]).await;
        let said: serde_json::Value = serde_json::from_str(&said).ok()?;
        let reasons = said["reasons"].as_array()?;
        (code == 1 && reasons.len() == 2 && reasons[1] == "no plugin is loaded").then_some(())
    })
    .await;
    for (program, listen) in programs.iter().zip([&worker, &coordinator]) {
        assert_eq!(health(program, listen, &[]).await.0, 0, "a restart brings no Redis back");
    }
    at_coordinator.signal("STOP");
    let asked_at = Instant::now();
    let (code, said) = health(&programs[1], &coordinator, &["--timeout", "1"]).await;
    assert!(code == 1 && said.contains("no answer from"), "{said}");
    assert!(asked_at.elapsed() < Duration::from_secs(10));
    at_coordinator.signal("CONT");
    at_worker.kill();
    let (code, said) = health(&programs[0], &worker, &[]).await;
    assert!(code == 1 && said.contains("cannot ask"), "{said}");
    let (code, said) = health(&programs[0], "", &[]).await;
    assert!(code == 1 && said.contains("set LISTEN"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_of_redis_and_telegram_makes_nothing_look_dead() {
    let mut redis = TestRedis::start_durable();
    let telegram = Telegram::start().await;
    let (_process, address) =
        listening(coordinator_command(&redis, &telegram), "coordinator ready").await;
    redis.kill();
    drop(telegram);
    // Longer than the loops wait for anything.
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        let (status, said) = get(&address, "/livez").await;
        assert_eq!((status, said.as_str()), (200, "alive\n"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut command = Command::new(COORDINATOR);
    command.args(["health", "--json", "--listen", &address]);
    let said = command.output().unwrap().stdout;
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    for turning in said["loops"].as_array().unwrap() {
        if let Some(at_most) = turning["at_most_s"].as_u64() {
            let ago = turning["turned_s_ago"].as_u64().unwrap();
            assert!(ago * 4 < at_most, "it turns during an outage: {turning}");
        }
    }
}

/// systemd's end of the socket.
struct Systemd {
    socket: UnixDatagram,
    said: Vec<String>,
}

impl Systemd {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, said: Vec::new() }
    }

    fn hear(&mut self) {
        let mut message = [0; 1_024];
        while let Ok(length) = self.socket.recv(&mut message) {
            self.said
                .extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
        }
    }

    async fn hears(&mut self, line: &str) {
        eventually(&format!("`{line}` to systemd"), async || {
            self.hear();
            self.said.iter().any(|said| said.starts_with(line)).then_some(())
        })
        .await;
    }
}

fn under_systemd(command: &mut Command, socket: &Path) -> Process {
    // A message every 200 ms.
    command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "600000").env_remove("WATCHDOG_PID");
    Process::start(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_of_ready_of_being_alive_and_of_the_end() {
    let mut redis = TestRedis::start_durable();
    let telegram = Telegram::start().await;
    redis.kill();
    let folder = tempfile::tempdir().unwrap();
    plugin_folder(folder.path());
    let commands = [coordinator_command(&redis, &telegram), worker_command(&redis, folder.path())];
    let mut running = Vec::new();
    for (number, mut command) in commands.into_iter().enumerate() {
        let socket = folder.path().join(format!("notify-{number}"));
        let mut systemd = Systemd::listen(&socket);
        let process = under_systemd(&mut command, &socket);
        systemd.hears("STATUS=waiting for Redis").await;
        systemd.hears("WATCHDOG=1").await;
        assert!(!systemd.said.contains(&"READY=1".to_owned()), "Redis is not there");
        running.push((systemd, process));
    }
    redis.revive();
    for (mut systemd, process) in running {
        systemd.hears("READY=1").await;
        process.signal("STOP");
        tokio::time::sleep(Duration::from_millis(100)).await;
        systemd.hear();
        systemd.said.clear();
        tokio::time::sleep(Duration::from_secs(1)).await;
        systemd.hear();
        assert_eq!(systemd.said, Vec::<String>::new(), "a process that hangs is silent");
        process.signal("CONT");
        systemd.hears("WATCHDOG=1").await;
        assert!(!systemd.said.contains(&"STOPPING=1".to_owned()));
        assert_eq!(process.terminate(), Some(0));
        systemd.hears("STOPPING=1").await;
    }
}
