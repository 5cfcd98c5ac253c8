//! apalis with its Redis storage: `submit single|bulk N`, `work BATCH`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const BATCH: usize = 1_000;
/// Jobs that have run.
static JOBS: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Params(BTreeMap<String, Value>);

fn params() -> Params {
    let params = json!({
        "query": "alice", "limit": 10, "opts": {"fuzzy": true, "fields": ["name", "aliases"]},
        "id": "0f9d2c1e-7b1a-4c55",
    });
    Params(serde_json::from_value(params).unwrap())
}

/// Leaves the time in a file at the first and at the last counted job.
async fn noop(_: Params) -> Result<Value, BoxDynError> {
    let number = (JOBS.fetch_add(1, Ordering::Relaxed) + 1).to_string();
    for (variable, ending) in [("BENCH_FIRST", ".first"), ("BENCH_LAST", ".last")] {
        if std::env::var(variable).is_ok_and(|wanted| wanted == number) {
            let file = std::env::var("BENCH_MARKS")?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
            std::fs::write(format!("{file}.part"), now.to_string())?;
            std::fs::rename(format!("{file}.part"), format!("{file}{ending}"))?;
        }
    }
    Ok(json!({"ok": true, "hits": []}))
}

async fn storage(batch: usize) -> RedisStorage<Params> {
    let connection = apalis_redis::connect(std::env::var("BENCH_URL").unwrap()).await.unwrap();
    RedisStorage::new(connection).with_config(Config::default().queue("bench").batch_size(batch))
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["work", batch] => {
            let backend = storage(batch.parse().unwrap()).await;
            WorkerBuilder::new("bench").backend(backend).build(noop).run().await.unwrap();
        }
        ["submit", mode, tasks] => {
            let mut storage = storage(BATCH).await;
            let tasks: usize = tasks.parse().unwrap();
            let since = Instant::now();
            if *mode == "single" {
                for _ in 0..tasks {
                    storage.push(params()).await.unwrap();
                }
            } else {
                for _ in 0..tasks / BATCH {
                    storage.push_bulk((0..BATCH).map(|_| params()).collect()).await.unwrap();
                }
            }
            let per_s = tasks as f64 / since.elapsed().as_secs_f64();
            println!("RESULT {}", json!({"per_s": per_s}));
        }
        other => panic!("{other:?} is not among the commands of this program"),
    }
}
