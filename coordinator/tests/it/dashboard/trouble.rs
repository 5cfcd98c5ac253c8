//! The first sentence of the overview, while something is wrong.

use queue::{PluginChange, PluginEvent, WorkerRecord};
use test_kit::{Browser, eventually};

use super::browser::picture;
use super::{Dashboard, WORKER};

/// Waits until the overview's sentence contains `part`, and takes a picture of it.
async fn says(browser: &Browser, name: &str, part: &str) {
    eventually(&format!("`{part}` in the sentence"), async || {
        let sentence = "return document.querySelector('[aria-label=Health]')?.innerText ?? ''";
        let said = browser.runs(sentence).await;
        said.as_str().unwrap().contains(part).then_some(())
    })
    .await;
    picture(browser, name).await;
}

fn worker(name: &str) -> WorkerRecord {
    WorkerRecord { worker: name.to_owned(), concurrency: 4, ..WorkerRecord::default() }
}

fn refused(at: u64, worker: &str) -> PluginEvent {
    PluginEvent {
        at,
        worker: worker.to_owned(),
        plugin: "content".to_owned(),
        change: PluginChange::Refused,
        version: None,
        digest: None,
        other_version: None,
        reason: Some("it is no component".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sentence_says_what_is_wrong() {
    let mut dashboard = Dashboard::start(false).await;
    let browser = Browser::start().await;
    let task = dashboard.waiting_task().await;
    browser.open(&dashboard.url("/")).await;
    says(&browser, "no-worker", "No worker is running, since").await;
    dashboard.queue.cancel(&task.task_id).await.unwrap();
    let working = dashboard.worker();
    says(&browser, "well", "All is well").await;
    // One that was there and says nothing any more.
    dashboard.queue.announce_worker(&worker("worker-killed")).await.unwrap();
    eventually("both workers", async || {
        dashboard.page("/workers", "").await.contains("worker-killed").then_some(())
    })
    .await;
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = u64::try_from(at.as_millis()).unwrap();
    dashboard.queue.note_plugin_event(&refused(at, WORKER)).await.unwrap();
    says(&browser, "refused", "1 worker refused a new version of the plugin content").await;
    says(&browser, "refused", "it is no component").await;
    says(&browser, "missing", "missing, since").await;
    for n in 0..30 {
        dashboard.asks(&n.to_string()).await;
    }
    for n in 0..20 {
        dashboard.asks(&format!("fail {n}")).await;
    }
    says(&browser, "failing", "search_creator fails: 20 of the last 50").await;
    says(&browser, "failing", "The last one said: “the forum answers 429”").await;
    dashboard.redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    says(&browser, "full", "Redis refuses writes, since").await;
    dashboard.redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    drop(working);
    dashboard.redis.kill();
    says(&browser, "away", "Redis does not answer, since").await;
}
