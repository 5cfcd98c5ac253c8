//! The suite runs again in a Cluster, behind Sentinel, and over TLS with exactly the permissions of the shipped users.

use std::path::Path;
use std::process::Command;

use test_kit::{TestCluster, TestRedis, TestSentinel};

use crate::support::{CA, URL};

/// Runs the tests that accept a given server, by starting this test program again.
fn run_suite(url: &str, ca: Option<&Path>) {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite.env(URL, url).args(["--test-threads", "4"]);
    for module in
        ["fleet::", "ingress::", "lease::", "outbox::", "partitions::", "submit::", "worker::"]
    {
        suite.arg(module);
    }
    if let Some(ca) = ca {
        suite.env(CA, ca);
    }
    let ran = suite.output().unwrap();
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{output}\n{}", String::from_utf8_lossy(&ran.stderr));
    // A run without matching tests succeeds too.
    let passed = output.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed > 25, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_in_a_cluster() {
    let cluster = TestCluster::start().await;
    run_suite(&cluster.url(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_behind_sentinel() {
    let sentinel = TestSentinel::start().await;
    run_suite(&sentinel.url(), None);
}

#[test]
fn the_suite_holds_over_tls_with_the_shipped_rights() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = std::fs::read_to_string(test_kit::root().join("docs/redis.acl")).unwrap();
    // The suite is submitter and worker in one process, so its user has the permissions of both, and those that the tests use.
    let rights = |user: &str| {
        let line = shipped.lines().find(|line| line.starts_with(&format!("user {user} "))).unwrap();
        let (_, commands) = line.split_once("-@all ").unwrap();
        commands.to_owned()
    };
    let acl = format!(
        "user default off\nuser suite on >secret resetkeys ~freefans:* resetchannels &freefans:* -@all {} {} {} +ttl +xlen\n",
        rights("coordinator"),
        rights("worker"),
        rights("fleet"),
    );
    let file = folder.path().join("suite.acl");
    std::fs::write(&file, acl).unwrap();
    let redis = TestRedis::start_secured(&file);
    run_suite(&redis.secured_url("suite", "secret"), Some(&redis.ca()));
}
