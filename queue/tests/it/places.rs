//! The same promises on every kind of Redis: the suite runs again in a Cluster, behind Sentinel, and over TLS with the
//! rights of the shipped users and no right more.

use std::path::Path;
use std::process::Command;

use test_kit::{TestCluster, TestRedis, TestSentinel};

use crate::support::{CA, URL};

/// Runs all tests that take the server they are given; this very program does it.
fn run_suite(url: &str, ca: Option<&Path>) {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite.env(URL, url).args(["--test-threads", "4"]);
    for module in ["ingress::", "lease::", "outbox::", "partitions::", "submit::", "worker::"] {
        suite.arg(module);
    }
    if let Some(ca) = ca {
        suite.env(CA, ca);
    }
    let ran = suite.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    // A filter that finds nothing passes as well.
    let passed = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed > 25, "{said}");
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
    // The suite submits and works in one process, so its user has the rights of both, and those of its own looks.
    let rights = |user: &str| {
        let line = shipped.lines().find(|line| line.starts_with(&format!("user {user} "))).unwrap();
        let (_, commands) = line.split_once("-@all ").unwrap();
        commands.to_owned()
    };
    let acl = format!(
        "user default off\nuser suite on >secret resetkeys ~freefans:* resetchannels &freefans:* -@all {} {} +ttl +xlen\n",
        rights("coordinator"),
        rights("worker"),
    );
    let file = folder.path().join("suite.acl");
    std::fs::write(&file, acl).unwrap();
    let redis = TestRedis::start_secured(&file);
    run_suite(&redis.secured_url("suite", "secret"), Some(&redis.ca()));
}
