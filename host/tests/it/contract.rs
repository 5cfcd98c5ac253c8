//! The plugin contract: a component of an old release runs, and a malicious file is refused with its code while the worker
//! continues.

use serde_json::json;

use crate::support::{Folder, fixture, redis, run, start_worker};

/// A component of 9 KB with 3,000 nested types.
fn deep_types() -> Vec<u8> {
    let mut types = vec![1];
    for _ in 1..3_000 {
        types.extend([0x41, 1, 0x01]); // A component type of one declaration, a type.
    }
    types.extend([0x41, 0]);
    let size = types.len();
    let low = |part: usize| u8::try_from(part & 0x7f).unwrap();
    let length = [low(size) | 0x80, low(size >> 7)];
    [b"\0asm\x0d\0\x01\0\x07".as_slice(), &length, &types].concat()
}

#[tokio::test]
async fn a_file_that_would_take_the_compilers_whole_stack_is_refused() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    folder.put("deep", &deep_types());
    let mut worker = start_worker(&redis, &folder).await;
    worker
        .says(&["plugin refused", "plugin-shape", "more than 16 levels of types within types"])
        .await;
    assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
    assert!(worker.alive());
}

#[tokio::test]
async fn a_component_of_the_first_release_runs_with_all_that_it_was_promised() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&[]);
    folder.put("frozen", &std::fs::read(fixture("contract-1.0.0.wasm")).unwrap());
    folder.settings(
        "frozen",
        "[grants]\ncache = true\ndata = { table = \"data/creators.csv\" }\n[config]\ngreeting = \"hello\"\n",
    );
    let worker = start_worker(&redis, &folder).await;
    let result = run(&queue, "frozen_all", json!({"say": "luna"})).await;
    let bytes = std::fs::metadata(folder.path().join("data/creators.csv")).unwrap().len();
    assert!(result.success, "{result:?}");
    assert_eq!(
        result.data,
        json!({
            "params": {"say": "luna"}, "prepared": 1, "greeting": "hello", "bytes": bytes,
            "stored": true, "found": true, "user": 7, "attempt": 1,
        })
    );
    assert_eq!(result.metadata["frozen"], true);
    assert_eq!(result.metadata["plugin_version"], "1.0.0");
    worker.says(&["plugin says", "frozen says hello"]).await;
    for (task_type, code, words) in [
        ("frozen_invalid", "invalid-params", "ask differently"),
        ("frozen_missing", "not-found", "nothing there"),
        ("frozen_retry", "retries-exhausted", "busy"),
        ("frozen_fatal", "plugin-failed", "never"),
    ] {
        let result = run(&queue, task_type, json!({})).await;
        assert_eq!(result.code(), Some(code), "{result:?}");
        assert_eq!(result.error.as_deref(), Some(words));
    }
    let refused = run(&queue, "frozen_all", json!({"say": 7})).await;
    assert_eq!(refused.code(), Some("invalid-params"));
}

#[tokio::test]
async fn what_the_host_says_of_a_task_is_the_hosts_alone() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["probe"])).await;
    let metadata = json!({
        "attempt": 9, "code": "not-found", "limits": ["log-limit"], "peak_memory_bytes": 0, "plugin": "x",
        "plugin_digest": "x", "plugin_version": "x", "queue_ms": "x", "retryable": true, "run_ms": "x",
        "worker": "x", "needs_selection": true,
    });
    let result = run(&queue, "probe_echo", json!({"metadata": metadata})).await;
    assert!(result.success, "{result:?}");
    assert_eq!(result.code(), None);
    assert_eq!(result.metadata["needs_selection"], true);
    for (name, forged) in metadata.as_object().unwrap() {
        assert!(
            name == "needs_selection" || result.metadata.get(name) != Some(forged),
            "{name} is the plugin's: {result:?}"
        );
    }
    for absent in ["code", "limits", "retryable"] {
        assert!(!result.metadata.contains_key(absent), "{absent}: {result:?}");
    }
}
