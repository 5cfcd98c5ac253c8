//! A canary of the fleet: some workers try a version, and all of them get it or none does.

use std::process::{Child, Output, Stdio};

use queue::TaskQueue;
use serde_json::json;
use test_kit::TestRedis;

use crate::fleet::{
    Files, GRANTS, built, command, done, fleet, granting, push, pushed, record, refused, start,
    version,
};
use crate::support::{Folder, Process, eventually, metrics, redis, run};

/// A push with a canary, which waits for what becomes of it.
struct Pushing(Child);

impl Pushing {
    fn start(redis: &TestRedis, files: &Files, name: &str, more: &[&str]) -> Self {
        let arguments = files.push(&built(name), more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = command(redis, "fleet", &arguments);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Its output, with questions coming in until it ends.
    async fn under_load(mut self, queue: &TaskQueue) -> Output {
        let mut count = 0;
        eventually("the end of the push", async || {
            // Each number twice: two workers that take turns both get odd and even ones.
            let _ = run(queue, "probe_echo", json!({"nth": count / 2})).await;
            count += 1;
            self.0.try_wait().unwrap()
        })
        .await;
        self.0.wait_with_output().unwrap()
    }
}

/// Two workers that run the probe.
async fn two(redis: &TestRedis, files: &Files) -> ([Folder; 2], [Process; 2]) {
    let folders = [granting(), granting()];
    let [eu, us] = &folders;
    let workers = [start(redis, eu, "zone=eu").await, start(redis, us, "zone=us").await];
    pushed(redis, files, "probe", &[]);
    (folders, workers)
}

async fn decided(workers: &[Process], outcome: &str) {
    let line = format!("freefans_worker_fleet_canaries_total{{outcome=\"{outcome}\"}} 1");
    let mut times = 0;
    for worker in workers {
        times += metrics(worker).await.matches(&line).count();
    }
    assert_eq!(times, 1, "decided once");
}

#[tokio::test]
async fn a_canary_that_fails_half_its_tasks_goes_back_on_all_and_who_pushed_it_sees_it() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let (_folders, workers) = two(&redis, &files).await;
    let before = record(&queue).await.unwrap();
    std::fs::write(files.settings(), format!("{GRANTS}[config]\nfail_half = true\n")).unwrap();
    let pushing = Pushing::start(
        &redis,
        &files,
        "marked/probe",
        &["--canary", "10", "--canary-seconds", "0"],
    );
    let said = refused(&pushing.under_load(&queue).await);
    assert!(said.contains("canary 1.0.0+marked (sha256 "), "{said}");
    assert!(said.contains("on 1 of 2 workers: "), "{said}");
    assert!(
        said.contains("the canary 1.0.0+marked (sha256 ") && said.contains(" went back: "),
        "{said}"
    );
    let after = record(&queue).await.unwrap();
    assert_eq!(
        (&after.digest, &after.settings, after.canary),
        (&before.digest, &before.settings, None)
    );
    let status = done(&fleet(&redis, &["status", "--wait", "60"]));
    assert!(
        status.contains("2 of 2 workers run it") && status.contains(" went back: "),
        "{status}"
    );
    for nth in 0..20 {
        assert!(run(&queue, "probe_echo", json!({"nth": nth})).await.success);
        assert_eq!(version(&queue).await, "1.0.0");
    }
    decided(&workers, "back").await;
    let log = workers.iter().map(Process::log).collect::<String>();
    assert_eq!(log.matches("canary of the fleet goes back").count(), 1, "{log}");
    let history = done(&fleet(&redis, &["history", "probe"]));
    assert!(history.contains("about 10 % of the workers try 1.0.0+marked"), "{history}");
}

#[tokio::test]
async fn a_canary_that_does_well_goes_on_to_all() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let (_folders, workers) = two(&redis, &files).await;
    let flags = ["--canary", "zone=us", "--canary-seconds", "0", "--canary-tasks", "5"];
    let pushing = Pushing::start(&redis, &files, "marked/probe", &flags);
    let said = done(&pushing.under_load(&queue).await);
    assert!(said.contains("the canary went on to all: 0 of "), "{said}");
    let status = done(&fleet(&redis, &["status", "--wait", "60"]));
    assert!(
        status.contains("probe 1.0.0+marked") && status.contains("2 of 2 workers run it"),
        "{status}"
    );
    assert_eq!(version(&queue).await, "1.0.0+marked");
    decided(&workers, "on").await;
}

#[tokio::test]
async fn a_canary_that_its_worker_refuses_goes_back_with_the_reason() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let (_folders, _workers) = two(&redis, &files).await;
    let whole = built("marked/probe");
    let text = refused(&push(
        &redis,
        &files,
        &whole[..whole.len() / 2],
        &["--unchecked", "--canary", "zone=eu"],
    ));
    assert!(text.contains(" went back: worker-") && text.contains("refused it: "), "{text}");
    assert!(text.contains("not a usable WebAssembly component"), "{text}");
    assert_eq!(version(&queue).await, "1.0.0");
    done(&fleet(&redis, &["status", "--wait", "60"]));
}

#[tokio::test]
async fn a_person_can_end_a_canary_either_way() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let (_folders, [in_eu, in_us]) = two(&redis, &files).await;
    let flags = ["--canary", "zone=us", "--canary-tasks", "1000", "--wait", "1"];
    let text = refused(&push(&redis, &files, &built("marked/probe"), &flags));
    assert!(text.contains("not decided within 1 s"), "{text}");
    // Converged: each worker runs what it should.
    let status = done(&fleet(&redis, &["status", "--wait", "60"]));
    assert!(status.contains("2 of 2 workers run what they should"), "{status}");
    assert!(status.contains("[zone=us]: canary: runs it"), "{status}");
    assert!(!in_eu.log().contains("1.0.0+marked"), "{}", in_eu.log());
    in_us.says(&["plugin published", "1.0.0+marked"]).await;

    done(&fleet(&redis, &["rollback", "probe"]));
    done(&fleet(&redis, &["status", "--wait", "60"]));
    assert_eq!(record(&queue).await.unwrap().canary, None);
    assert_eq!(version(&queue).await, "1.0.0");

    refused(&push(&redis, &files, &built("marked/probe"), &flags));
    done(&fleet(&redis, &["promote", "probe"]));
    done(&fleet(&redis, &["status", "--wait", "60"]));
    assert_eq!(version(&queue).await, "1.0.0+marked");
    let text = refused(&fleet(&redis, &["promote", "probe"]));
    assert!(text.contains("no worker tries another version"), "{text}");
}

#[tokio::test]
async fn a_canary_outlives_a_restart_of_its_worker_and_an_emptied_redis() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let (folders, [in_eu, in_us]) = two(&redis, &files).await;
    let flags = ["--canary", "zone=us", "--canary-tasks", "1000", "--wait", "1"];
    refused(&push(&redis, &files, &built("marked/probe"), &flags));
    done(&fleet(&redis, &["status", "--wait", "60"]));
    let tried = record(&queue).await;
    in_us.terminate();
    redis.ask(&["FLUSHALL"]);
    eventually("the state", async || (record(&queue).await == tried).then_some(())).await;
    let [_, us] = &folders;
    let _again = start(&redis, us, "zone=us").await;
    let status = done(&fleet(&redis, &["status", "--wait", "60"]));
    assert!(status.contains("2 of 2 workers run what they should"), "{status}");
    drop(in_eu);
}

#[tokio::test]
async fn a_canary_leaves_workers_that_keep_the_version_before() {
    let (redis, _queue) = redis().await;
    let files = Files::new();
    let first = refused(&push(&redis, &files, &built("probe"), &["--canary", "10"]));
    assert!(first.contains("push it without --canary"), "{first}");
    let folder = granting();
    let _one = start(&redis, &folder, "zone=eu").await;
    let _shares_its_folder = start(&redis, &folder, "zone=eu").await;
    pushed(&redis, &files, "probe", &[]);
    for (who, reason) in [
        ("50", "two workers that do not share a folder"),
        ("zone=eu", "every running worker that it is for has the label"),
        ("gpu", "no running worker that it is for has the label gpu"),
        ("0", "a share is 1 to 99 percent"),
    ] {
        let text = refused(&push(&redis, &files, &built("marked/probe"), &["--canary", who]));
        assert!(text.contains(reason), "{text}");
    }
}
