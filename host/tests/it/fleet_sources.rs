//! Components that Redis only names: they come from a registry or a shared folder, where the worker's operator allows it.

use std::path::Path;

use queue::TaskQueue;

use crate::fleet::{
    Files, GRANTS, built, done, fleet, granting, push, record, refused, status_says, version,
};
use crate::oci::registry::{NO_REGISTRY, TestRegistry};
use crate::support::{Folder, Process, redis, start_worker_with};

async fn allowing(redis: &test_kit::TestRedis, folder: &Folder, source: &str) -> Process {
    start_worker_with(redis, folder, &[("FLEET", "true"), ("FLEET_SOURCES", source)]).await
}

/// Whether Redis has any part of a component.
fn has_component(redis: &test_kit::TestRedis) -> bool {
    redis.ask(&["KEYS", "*artefact*"]).contains("artefact")
}

async fn source(queue: &TaskQueue) -> String {
    record(queue).await.unwrap().source.unwrap()
}

#[tokio::test]
async fn workers_fetch_from_a_registry_that_their_operator_allows() {
    let Some(registry) = TestRegistry::start() else { return eprintln!("{NO_REGISTRY}") };
    let (redis, queue) = redis().await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("probe.wasm");
    std::fs::write(&file, built("probe")).unwrap();
    let settings = place.path().join("settings.toml");
    std::fs::write(&settings, GRANTS).unwrap();
    let [file, settings] = [&file, &settings].map(|path| path.to_str().unwrap());
    let address = registry.address("team/probe:1");
    done(&fleet(&redis, &["push", file, &address, "--unchecked"]));
    done(&fleet(&redis, &["push", &address, "--settings", settings]));
    assert!(source(&queue).await.contains("team/probe@sha256:"), "a tag may move");
    assert!(!has_component(&redis));

    let allows = granting();
    let _worker = allowing(&redis, &allows, &registry.address("team")).await;
    let status = done(&fleet(&redis, &["status", "--wait", "60"]));
    assert!(status.contains("1 of 1 workers run it"), "{status}");
    assert_eq!(version(&queue).await, "1.0.0");

    let other = granting();
    let _stranger = allowing(&redis, &other, &registry.address("other")).await;
    status_says(&redis, &["refused it", "which this worker does not allow"]).await;

    // The registry is away: a worker that is new waits, and says why.
    drop(registry);
    let newcomer = granting();
    let address = source(&queue).await;
    let _new = allowing(&redis, &newcomer, address.rsplit_once("/team").unwrap().0).await;
    status_says(&redis, &["fetches the component, "]).await;
    assert_eq!(version(&queue).await, "1.0.0");
}

#[tokio::test]
async fn workers_fetch_from_a_shared_folder_and_compare_the_digest() {
    let (redis, queue) = redis().await;
    let files = Files::new();
    let shared = tempfile::tempdir().unwrap();
    let folder = shared.path().to_str().unwrap();
    done(&push(&redis, &files, &built("probe"), &["--share", folder]));
    assert!(!has_component(&redis));
    let allowed = format!("file://{}", Path::new(folder).canonicalize().unwrap().display());
    let own = granting();
    let _worker = allowing(&redis, &own, &allowed).await;
    done(&fleet(&redis, &["status", "--wait", "60"]));
    assert_eq!(version(&queue).await, "1.0.0");

    // Somebody replaces the next one before it is fetched.
    done(&push(&redis, &files, &built("marked/probe"), &["--share", folder]));
    let newest = record(&queue).await.unwrap().digest;
    let file = shared.path().join(&newest).with_extension("wasm");
    done(&fleet(&redis, &["status", "--wait", "60"]));
    assert_eq!(version(&queue).await, "1.0.0+marked");
    let mut other = built("marked/probe");
    let middle = other.len() / 2;
    other[middle] ^= 1;
    std::fs::write(&file, other).unwrap();
    let late = granting();
    let _other = allowing(&redis, &late, &allowed).await;
    status_says(&redis, &["1 of 2 workers run it", "refused it", "another digest"]).await;
    let text = refused(&push(&redis, &files, &built("probe"), &["--share", "/nowhere/at/all"]));
    assert!(text.contains("cannot use the folder /nowhere/at/all"), "{text}");
}
