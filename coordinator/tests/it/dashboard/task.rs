//! One task: what its plugin wrote, and a waiting attempt that starts at once.

use std::time::Duration;

use queue::history::{HistorySettings, Texts};
use queue::{FailureCode, Finish, Finished, TaskResult};
use reqwest::StatusCode;
use test_kit::eventually;

use super::{ADMIN, Dashboard, READ, queue_with, search, worker_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_waits_for_its_next_attempt_is_tried_at_once() {
    let dashboard = Dashboard::start(true).await;
    let task = dashboard.waiting_task().await;
    let queue = &dashboard.queue;
    let types = [search()];
    let lease = queue.claim(&types, "w", 1).await.unwrap().remove(0);
    let failed = TaskResult::failure(FailureCode::PluginFailed, "the forum answers 429");
    let wait = Finish::RetryAfter(Duration::from_secs(60));
    assert_eq!(queue.store_result(lease, wait, failed).await.unwrap(), Finished::Retrying);
    let path = format!("/task?id={}", task.task_id);
    let admin = dashboard.log_in(ADMIN).await;
    let page = dashboard.page(&path, &admin).await;
    assert!(page.contains("next attempt in ") && page.contains("Try now"), "{page}");
    let reader = dashboard.log_in(READ).await;
    assert!(!dashboard.page(&path, &reader).await.contains("Try now"));
    let csrf = dashboard.csrf(&admin).await;
    let try_now = async |cookie: &str, csrf: &str| {
        let fields = [("csrf", csrf), ("id", task.task_id.as_str())];
        dashboard.post("/do/try-now", cookie, &fields).await.status()
    };
    for (cookie, csrf) in [(&reader, csrf.as_str()), (&admin, "0")] {
        assert_eq!(try_now(cookie, csrf).await, StatusCode::FORBIDDEN);
    }
    assert!(queue.claim(&types, "w", 1).await.unwrap().is_empty(), "not before its time");
    assert_eq!(try_now(&admin, &csrf).await, StatusCode::SEE_OTHER);
    let page = dashboard.page(&path, &admin).await;
    assert!(page.contains("is tried as soon as a worker has room"), "{page}");
    let again =
        eventually("the next attempt", async || queue.claim(&types, "w", 1).await.unwrap().pop())
            .await;
    assert_eq!((&again.task.task_id, again.failures), (&task.task_id, 1));
    assert_eq!(try_now(&admin, &csrf).await, StatusCode::SEE_OTHER);
    let page = dashboard.page(&path, &admin).await;
    assert!(page.contains("does not wait for another attempt"), "{page}");
    let audit = dashboard.page("/audit", &admin).await;
    assert!(audit.contains("try now") && audit.contains(task.task_id.as_str()), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_plugins_log_is_shown_where_texts_are_kept() {
    let dashboard = Dashboard::start(true).await;
    let admin = dashboard.log_in(ADMIN).await;
    let failed_one = async |version: &str| {
        let path = format!("/finished?status=failed&text={version}");
        let page =
            dashboard.page(if version.is_empty() { "/finished" } else { &path }, &admin).await;
        let (_, rest) = page.split_once("/task?id=")?;
        Some(format!("/task?id={}", rest.split('"').next().unwrap()))
    };
    let worker = dashboard.worker();
    dashboard.asks("fail without texts").await;
    let path = eventually("the first task", async || failed_one("").await).await;
    let page = dashboard.page(&path, &admin).await;
    assert!(
        page.contains("HISTORY_TEXTS keeps its end") && !page.contains("info: asked"),
        "{page}"
    );
    drop(worker);
    eventually("the worker's end", async || {
        dashboard.queue.has_stopped(super::WORKER).await.unwrap().then_some(())
    })
    .await;
    let texts = HistorySettings { texts: Texts::Whole, ..HistorySettings::default() };
    let _worker = worker_of(&queue_with(&dashboard.redis, texts).await);
    dashboard.asks("fail with texts").await;
    let path = eventually("the second task", async || failed_one("with").await).await;
    let page = dashboard.page(&path, &admin).await;
    assert!(page.contains("info: asked for fail with texts\nwarn: &lt;script&gt;"), "{page}");
    let reader = dashboard.log_in(READ).await;
    let page = dashboard.page(&path, &reader).await;
    assert!(page.contains("Log of the plugin") && !page.contains("info: asked"), "{page}");
    // Its dead letter shows it too.
    let letters = dashboard.queue.dead_letters(&search(), 9).await.unwrap();
    let letter = letters.iter().max_by_key(|letter| letter.at()).unwrap();
    let page = format!("/task?type=search_creator&dead={}", letter.entry);
    let page = dashboard.page(&page, &admin).await;
    assert!(page.contains("info: asked for fail with texts"), "{page}");
}
