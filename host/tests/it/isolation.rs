//! Instances share slots of memory one after the other: no task sees what an earlier one wrote.

use serde_json::json;

use crate::support::{Folder, redis, run, start_worker_with};

#[tokio::test]
async fn a_task_finds_its_memory_as_if_no_other_had_run() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["gauge"]);
    // One slot or few, so that tasks follow each other in it.
    let worker = start_worker_with(&redis, &folder, &[("CONCURRENCY", "1")]).await;
    for _ in 0..10 {
        let stained = run(&queue, "gauge_stain", json!({})).await;
        assert_eq!(stained.data, json!(0), "bytes that another task wrote");
    }
    worker.kill();
}
