//! The shipped plugins in a real worker.

use serde_json::json;

use crate::support::{Folder, redis, run, start_worker, task};

#[tokio::test]
async fn a_name_with_a_typing_mistake_is_found_and_its_content_paged() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["search", "content"])).await;
    let found = run(&queue, "search_creator", json!({"query": "luna marlow"})).await;
    let luna = &found.data["creators"][0];
    assert_eq!(luna["name"], "Luna Marlowe");
    let alias = run(&queue, "search_creator", json!({"query": "MoonlitLuna"})).await;
    assert_eq!(alias.data["creators"][0]["name"], "Luna Marlowe");
    assert_eq!(alias.data["exact_match"], true);

    let whose = json!({"creator_name": luna["name"], "creator_url": luna["url"]});
    let first = run(&queue, "load_content", whose.clone()).await;
    let directory = &first.data["content_directory"];
    assert_eq!(directory["items"].as_array().unwrap().len(), 10);
    assert_eq!((&directory["page"], &directory["total_items"]), (&json!(1), &luna["item_count"]));
    let mut more = whose;
    more["current_content"] = directory.clone();
    let more = run(&queue, "load_more_pages", more).await;
    let items = more.data["content_directory"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 40, "three more pages behind the first");
    let ids: std::collections::BTreeSet<&str> =
        items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 40, "no item twice");
}

#[tokio::test]
async fn a_random_creator_has_enough_items_and_is_not_the_one_just_seen() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["search"])).await;
    let first = run(&queue, "get_random_creator", json!({"min_items": 60})).await;
    let seen = &first.data["creator_url"];
    for _ in 0..5 {
        let params = json!({"min_items": 60, "exclude": [seen]});
        let next = run(&queue, "get_random_creator", params).await;
        assert_ne!(next.data["creator_url"], *seen);
        assert!(next.data["item_count"].as_u64().unwrap() >= 60);
    }
    let none = run(&queue, "get_random_creator", json!({"min_items": 1_000_000})).await;
    assert_eq!(none.code(), Some("not-found"));
    assert!(none.error.unwrap().contains("no creator with at least 1000000 items"));
}

#[tokio::test]
async fn a_name_is_found_however_it_is_written_and_the_answer_says_how_well() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["search"])).await;
    for (query, name, exact) in [
        ("jose_lindqvist", "José Lindqvist", true),
        ("BjorkGarrow", "Bjørk Garrow", true),
        ("pinewood duo", "Harbour & Pine", true),
        ("jose lidnqvist", "José Lindqvist", false),
        ("nightingale bjork", "Bjørk Nightingale", false),
        ("bjork garow", "Bjørk Garrow", false),
    ] {
        let found = run(&queue, "search_creator", json!({"query": query})).await.data;
        let first = &found["creators"][0];
        assert_eq!(first["name"], name, "{query}: {found}");
        let flags = (&found["exact_match"], &found["fuzzy_match"]);
        assert_eq!(flags, (&json!(exact), &json!(!exact)), "{query}");
        assert_eq!(first["score"] == 1.0, exact, "{query}: {first}");
    }
    let first_name = run(&queue, "search_creator", json!({"query": "rafe", "limit": 50})).await;
    assert_eq!(first_name.metadata["needs_selection"], true, "several have it");
    let hopeless = run(&queue, "search_creator", json!({"query": "qzxj wvkq"})).await;
    assert!(hopeless.success);
    assert_eq!(hopeless.data["creators"], json!([]));
    assert_eq!(hopeless.metadata["needs_selection"], false);
}

#[tokio::test]
async fn an_edited_catalogue_is_searched_without_a_failed_task_in_between() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let _worker = start_worker(&redis, &folder).await;
    folder.add_creator("Brand New");
    crate::support::eventually("the new catalogue", async || {
        let found = run(&queue, "search_creator", json!({"query": "brand new"})).await;
        assert!(found.success, "{:?}", found.error);
        (found.data["exact_match"] == true).then_some(())
    })
    .await;
}

#[test]
fn bad_rows_are_told_by_line_and_the_others_are_found() {
    let folder = Folder::with(&["search"]);
    let csv = b"\xef\xbb\xbfname;url;items\r\n\"Ann\r\nLee\";https://c.example/ann;7\r\nBo;ftp://c.example/bo\r\n;https://c.example/x\r\n\xff;https://c.example/y\r\nCy;https://c.example/cy;about 90\r\n";
    std::fs::write(folder.path().join("data/creators.csv"), csv).unwrap();
    let worker = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_worker"));
        let file = folder.path().join("search.wasm");
        command.args(["plugins", arguments[0]]).arg(file).args(&arguments[1..]);
        let output =
            command.env("PLUGIN_CACHE", "none").env_remove("EXTENDED_SEARCH_URL").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let told = worker(&["inspect"]);
    for part in [
        "said by `init`:",
        "line 4: the address does not begin with https:// or http://",
        "line 5: no name",
        "line 6: not valid UTF-8",
        "line 7: the number of items is no whole number",
        "2 creators with 2 names; 3 rows skipped; 1 row kept without their number of items",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let facts: serde_json::Value = serde_json::from_str(&worker(&["inspect", "--json"])).unwrap();
    assert_eq!(facts["plugin"]["told"].as_array().unwrap().len(), 5);
    let params = r#"{"query":"ann lee"}"#;
    let found = worker(&["run", "--task-type", "search_creator", "--params", params]);
    assert!(found.contains("https://c.example/ann"), "{found}");
}

#[tokio::test]
async fn what_is_not_configured_says_what_to_set() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["search"])).await;
    let result = run(&queue, "search_simpcity", json!({"query": "x"})).await;
    assert_eq!(result.code(), Some("plugin-failed"));
    assert!(result.error.unwrap().starts_with("not configured: set `extended_search_url`"));
}

#[tokio::test]
async fn missing_and_wrong_params_are_refused_with_their_place() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["search"])).await;
    for (params, part) in [
        (json!({}), "\"query\" is a required property"),
        (json!({"query": 7}), "params/query: 7 is not of type \"string\""),
        (json!({"query": "x", "limit": 0}), "params/limit"),
        (json!({"query": "x".repeat(201)}), "params/query"),
        (json!({"query": ""}), "at least one letter or digit"),
        (json!({"query": " !? "}), "at least one letter or digit"),
    ] {
        let result = run(&queue, "search_creator", params.clone()).await;
        assert_eq!(result.code(), Some("invalid-params"), "{params}");
        let error = result.error.unwrap();
        assert!(error.contains(part), "{params}: {error}");
    }
}

#[tokio::test]
async fn two_workers_with_different_plugins_answer_what_each_can() {
    let (redis, queue) = redis().await;
    let searching = start_worker(&redis, &Folder::with(&["search"])).await;
    let loading = start_worker(&redis, &Folder::with(&["content"])).await;
    assert_ne!(searching.id(), loading.id());
    let found = run(&queue, "search_creator", json!({"query": "luna"})).await;
    let whose = json!({
        "creator_name": "Luna Marlowe", "creator_url": "https://creators.example/luna-marlowe",
    });
    let loaded = run(&queue, "load_content", whose).await;
    assert!(found.success && loaded.success);
    assert_eq!(found.metadata["plugin"], "search");
    assert_eq!(loaded.metadata["plugin"], "content");
    assert_ne!(found.metadata["worker"], loaded.metadata["worker"]);
}

#[tokio::test]
async fn a_result_carries_who_ran_it_and_what_it_took() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["search"])).await;
    let result = run(&queue, "search_creator", json!({"query": "luna"})).await;
    assert_eq!(result.metadata["plugin_version"], "1.0.0");
    assert_eq!(result.metadata["plugin_digest"].as_str().unwrap().len(), 64);
    assert_eq!(result.metadata["attempt"], 1);
    assert!(result.metadata.contains_key("needs_selection"), "the plugin's own word");
    for number in ["queue_ms", "run_ms", "peak_memory_bytes"] {
        assert!(result.metadata[number].is_u64(), "{number}");
    }
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_loses_nothing() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let first = start_worker(&redis, &folder).await;
    let slow = task("probe_sleep", &json!({"ms": 1_500}));
    queue.submit_task(&slow).await.unwrap();
    crate::support::eventually("the start", async || {
        let status = queue.task_status(&slow.task_id).await.unwrap();
        (status == Some(queue::TaskStatus::Processing)).then_some(())
    })
    .await;
    first.kill();
    let _second = start_worker(&redis, &folder).await;
    let result = queue.get_result(&slow.task_id, std::time::Duration::from_secs(30)).await.unwrap();
    let result = result.unwrap();
    assert!(result.success, "{result:?}");
    assert_eq!(result.metadata["attempt"], 2);
}

#[tokio::test]
async fn a_terminated_worker_finishes_its_task_and_exits_cleanly() {
    let (redis, queue) = redis().await;
    let worker = start_worker(&redis, &Folder::with(&["probe"])).await;
    let slow = task("probe_sleep", &json!({"ms": 800}));
    queue.submit_task(&slow).await.unwrap();
    crate::support::eventually("the start", async || {
        let status = queue.task_status(&slow.task_id).await.unwrap();
        (status == Some(queue::TaskStatus::Processing)).then_some(())
    })
    .await;
    assert_eq!(worker.terminate(), Some(0));
    let result = queue.get_result(&slow.task_id, std::time::Duration::ZERO).await.unwrap();
    assert!(result.unwrap().success);
}
