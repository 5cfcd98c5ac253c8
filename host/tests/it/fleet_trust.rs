//! Signatures in a fleet: the grants of settings that a trusted key has signed count, and nothing that was changed does.

use queue::TaskQueue;
use queue::fleet::{Change, Fleet, Record};
use serde_json::json;
use test_kit::TestRedis;

use crate::fleet::{Files, done, push, record, refused, status_says};
use crate::signatures::{Key, counted, probe};
use crate::support::{Folder, Process, eventually, redis, run, start_worker_with};

const ASKS: &str = "[grants]\nnet = [\"https://a.example\"]\ndata = { words = \"words.csv\" }\n";

/// A worker that follows the fleet, and takes what `key` has signed only.
async fn trusting(redis: &TestRedis, folder: &Folder, key: &Key) -> Process {
    let environment = [
        ("FLEET", "true"),
        ("TRUST", &*key.public),
        ("REQUIRE_SIGNATURES", "true"),
        ("LISTEN", "127.0.0.1:0"),
    ];
    start_worker_with(redis, folder, &environment).await
}

/// A folder without grants, with the data that the plugin reads.
fn with_words() -> Folder {
    let folder = Folder::with(&[]);
    std::fs::write(folder.path().join("words.csv"), "a\n").unwrap();
    folder
}

/// Files to push, with these settings.
fn files(settings: &str) -> Files {
    let files = Files::new();
    std::fs::write(files.settings(), settings).unwrap();
    std::fs::write(files.settings().with_file_name("words.csv"), "a\n").unwrap();
    files
}

/// Puts a signature beside the file that is pushed next.
fn sign(files: &Files, signature: &str) {
    std::fs::write(files.settings().with_file_name("probe.wasm.minisig"), signature).unwrap();
}

async fn version(queue: &TaskQueue) -> String {
    let result = run(queue, "probe_echo", json!({})).await;
    result.metadata["plugin_version"].as_str().unwrap().to_owned()
}

/// The settings that are in place on a worker.
fn placed(folder: &Folder) -> String {
    let file = crate::fleet::find(&folder.path().join("cache/fleet"), "probe.toml");
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn signed_settings_count_where_their_key_is_trusted_and_nowhere_else() {
    let (redis, queue) = redis().await;
    let key = Key::new();
    let trusts = with_words();
    let other = with_words();
    let files = files(ASKS);
    let two = probe(2);
    sign(&files, &key.sign("probe", &two, ASKS, &[]));
    done(&push(&redis, &files, &two, &[]));
    let worker = trusting(&redis, &trusts, &key).await;
    worker.says(&["plugin published", "2.0.0+marked"]).await;
    assert_eq!(version(&queue).await, "2.0.0+marked");
    assert_eq!(placed(&trusts), ASKS, "to the byte, or the signature would not fit");
    let stranger = start_worker_with(&redis, &other, &[("FLEET", "true")]).await;
    stranger.says(&["plugin of the fleet refused", "https://a.example"]).await;
    assert!(!stranger.log().contains("plugin published"), "{}", stranger.log());

    // The same component, signed again with settings that ask for more.
    let more = ASKS.replace("a.example\"", "a.example\", \"https://b.example\"");
    std::fs::write(files.settings(), &more).unwrap();
    sign(&files, &key.sign("probe", &two, &more, &[]));
    done(&push(&redis, &files, &two, &["--grant"]));
    eventually("the new settings in force", async || {
        (worker.log().matches("plugin published").count() == 2).then_some(())
    })
    .await;
    assert_eq!(placed(&trusts), more);

    // A file of the server's own is a bound.
    trusts.settings("probe", "[grants]\nnet = []\ndata = { words = \"words.csv\" }\n");
    worker.says(&["plugin of the fleet refused", "requests to \\\"https://a.example\\\""]).await;
}

#[tokio::test]
async fn what_was_changed_after_it_was_signed_is_refused_and_the_former_version_runs_on() {
    let (redis, queue) = redis().await;
    let key = Key::new();
    let foreign = Key::new();
    let folder = with_words();
    let files = files(ASKS);
    let two = probe(2);
    sign(&files, &key.sign("probe", &two, ASKS, &[]));
    done(&push(&redis, &files, &two, &[]));
    let worker = trusting(&redis, &folder, &key).await;
    worker.says(&["plugin published", "2.0.0+marked"]).await;
    let good = record(&queue).await.unwrap();

    // Whoever can write to Redis writes other settings.
    let store = Fleet::new(queue.clone());
    let state = store.state().await.unwrap();
    let settings = ASKS.replace("a.example", "b.example");
    let record = Record { settings, ..good.clone() };
    let change = store.change("probe", state.entries.get("probe"), &record).await.unwrap();
    assert!(matches!(change, Change::Done(_)), "{change:?}");
    status_says(&redis, &["refused it", "probe.toml was changed"]).await;
    assert!(counted(&worker, "signature-altered-settings").await);
    assert_eq!(placed(&folder), ASKS);

    let three = probe(3);
    let one = probe(1);
    for (code, sentence, wasm, signature) in [
        (
            "signature-foreign-key",
            "which is not trusted here",
            &three,
            foreign.sign("probe", &three, ASKS, &[]),
        ),
        (
            "signature-altered",
            "changed after it was signed",
            &three,
            key.sign("probe", &two, ASKS, &[]),
        ),
        (
            "signature-downgrade",
            "sign --rollback-from 2.0.0+marked",
            &one,
            key.sign("probe", &one, ASKS, &[]),
        ),
    ] {
        sign(&files, &signature);
        refused(&push(&redis, &files, wasm, &["--unchecked", "--grant", "--wait", "1"]));
        status_says(&redis, &["refused it", sentence]).await;
        assert!(counted(&worker, code).await, "{code}");
        assert_eq!(version(&queue).await, "2.0.0+marked", "{code}");
    }
    std::fs::remove_file(files.settings().with_file_name("probe.wasm.minisig")).unwrap();
    refused(&push(&redis, &files, &three, &["--unchecked", "--grant", "--wait", "1"]));
    status_says(&redis, &["refused it", "put probe.wasm.minisig beside it"]).await;
    assert!(counted(&worker, "signature-missing").await);
    assert_eq!(version(&queue).await, "2.0.0+marked");

    // Signed anew, it is taken.
    sign(&files, &key.sign("probe", &three, ASKS, &[]));
    done(&push(&redis, &files, &three, &["--grant", "--wait", "60"]));
    assert_eq!(version(&queue).await, "3.0.0+marked");
}
