//! The plugin that `worker plugins new` makes answers the same in every language.
//!
//! `cargo xtask languages` builds it, and prepares it in a cache that these tests use. A language whose tools it could not get is
//! passed over by name.

use std::path::{Path, PathBuf};

use queue::TaskResult;
use serde_json::{Value, json};

use crate::support::{Folder, redis, run, start_worker_with};

const LANGUAGES: [&str; 4] = ["rust", "python", "js", "c"];

/// What one language answered.
struct Answers {
    one_word: TaskResult,
    coin: TaskResult,
    no_words: TaskResult,
    unknown_param: TaskResult,
    /// To the same question, several times.
    chances: Vec<Value>,
}

#[tokio::test]
async fn every_language_answers_the_same_tasks_with_the_same_json() {
    let mut tested = 0;
    for language in LANGUAGES {
        match built(language) {
            Some(folder) => {
                check(language, &ask(&folder).await);
                tested += 1;
            }
            None => println!("skipped: {language}: not built; `cargo xtask languages` says why"),
        }
    }
    assert!(tested > 0, "no plugin was built: run `cargo xtask languages`");
}

/// Where the language's component and settings are.
fn built(language: &str) -> Option<PathBuf> {
    let folder = languages().join(language);
    folder.join("tide.wasm").is_file().then_some(folder)
}

fn languages() -> PathBuf {
    // Next to the programs, wherever the target directory is.
    let target = Path::new(env!("CARGO_BIN_EXE_worker")).ancestors().nth(2).unwrap();
    target.join("languages")
}

async fn ask(built: &Path) -> Answers {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&[]);
    folder.settings("tide", &std::fs::read_to_string(built.join("tide.toml")).unwrap());
    folder.put("tide", &std::fs::read(built.join("tide.wasm")).unwrap());
    let cache = languages().join("cache").display().to_string();
    let _worker = start_worker_with(&redis, &folder, &[("PLUGIN_CACHE", &cache)]).await;
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let mut chances = Vec::new();
    for _ in 0..5 {
        let answer = run(&queue, "tide", json!({"text": letters.join(" ")})).await;
        chances.push(answer.data["chosen"].clone());
    }
    Answers {
        one_word: run(&queue, "tide", json!({"text": "  t*a "})).await,
        coin: run(&queue, "tide", json!({})).await,
        no_words: run(&queue, "tide", json!({"text": " "})).await,
        unknown_param: run(&queue, "tide", json!({"txet": "tea"})).await,
        chances,
    }
}

#[track_caller]
fn check(language: &str, answers: &Answers) {
    let expected = json!({
        "words": ["t*a"], "chosen": "t*a",
        "view": {
            "version": 1, "text": "**Tide** chooses **t\\*a**.", "items": [{"title": "t*a"}],
            "buttons": [[{"text": "Again", "task_type": "tide", "params": {"text": "t*a"}}]],
        },
    });
    assert_eq!(answers.one_word.data, expected, "{language}");
    assert_eq!(answers.coin.data["words"], json!(["heads", "tails"]), "{language}");
    assert_eq!(answers.no_words.code(), Some("invalid-params"), "{language}");
    let reason = "Write some words to choose from, for instance: tea coffee";
    assert_eq!(answers.no_words.error.as_deref(), Some(reason), "{language}");
    assert_eq!(answers.unknown_param.code(), Some("invalid-params"), "{language}");
    // All five are the same once in 450,000 runs.
    let same = answers.chances.iter().all(|chosen| *chosen == answers.chances[0]);
    assert!(!same, "{language}: every task got the same random number: {:?}", answers.chances);
}
