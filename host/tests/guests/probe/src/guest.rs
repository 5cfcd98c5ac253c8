//! The world's exports.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[expect(unsafe_code, reason = "generated code: the border of the sandbox is made of raw pointers")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../../wit", world: "plugin" });
    use super::Probe;
    export!(Probe);
}

use bindings::freefans::plugin::types::{Descriptor, Failure, Output, Retry, Task, TaskType};
use bindings::freefans::plugin::{cache, config, data, log, progress};

const TYPES: &[&str] = &[
    "probe_echo",
    "probe_sleep",
    "probe_spin",
    "probe_panic",
    "probe_memory",
    "probe_output",
    "probe_fail",
    "probe_log",
    "probe_count",
    "probe_init",
    "probe_exit",
    "probe_config",
    "probe_cache",
    "probe_data",
    "probe_progress",
    "probe_fetch",
    "probe_follow",
    "probe_read_on",
];

static CALLS: AtomicU64 = AtomicU64::new(0);
/// Drawn in `init`: the same number in two tasks means that they begin where one `init` ended.
static DRAWN: AtomicU64 = AtomicU64::new(0);

fn version() -> String {
    if cfg!(feature = "marked") { "1.0.0+marked".to_owned() } else { "1.0.0".to_owned() }
}

struct Probe;

impl bindings::Guest for Probe {
    fn describe() -> Descriptor {
        panic_when_told("describe");
        let task_type = |name: &&str| TaskType {
            name: (*name).to_owned(),
            summary: "For tests.".to_owned(),
            params_schema: json!({
                "type": "object",
                "properties": {"ms": {"type": "integer", "minimum": 0}},
            })
            .to_string(),
        };
        Descriptor {
            name: "probe".to_owned(),
            version: version(),
            task_types: TYPES.iter().map(task_type).collect(),
            extensions: r#"{"version":1}"#.to_owned(),
        }
    }

    fn init() -> Result<(), String> {
        panic_when_told("init");
        if let Some(reason) = config::get("refuse_init") {
            return Err(reason);
        }
        if let Some(text) = config::get("say_at_init") {
            println!("{text}");
        }
        DRAWN.store(RandomState::new().build_hasher().finish(), Ordering::Relaxed);
        Ok(())
    }

    fn handle(task: Task) -> Result<Output, Failure> {
        panic_when_told("handle");
        let params: Value = serde_json::from_str(&task.params)
            .map_err(|error| Failure::Invalid(error.to_string()))?;
        let number = |key: &str| params.get(key).and_then(Value::as_u64).unwrap_or(0);
        let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        if config::get("fail_half").is_some() && number("nth") % 2 == 0 {
            return Err(Failure::Fatal("one of the bad half".to_owned()));
        }
        let data = match task.task_type.as_str() {
            "probe_echo" => json!({
                "params": params, "version": version(), "attempt": task.attempt, "user_id": task.user_id,
            }),
            "probe_sleep" => {
                std::thread::sleep(Duration::from_millis(number("ms")));
                json!({"slept_ms": number("ms"), "version": version()})
            }
            "probe_spin" => {
                let started = Instant::now();
                let limit = Duration::from_millis(number("ms"));
                let forever = params.get("forever").and_then(Value::as_bool).unwrap_or(false);
                let mut turns = 0_u64;
                while forever || started.elapsed() < limit {
                    turns = turns.wrapping_add(1);
                }
                json!({"turns": turns})
            }
            "probe_panic" => std::panic::panic_any(text("message")),
            "probe_memory" => {
                let bytes =
                    usize::try_from(number("mb")).unwrap_or(usize::MAX).saturating_mul(1 << 20);
                let block = vec![1_u8; bytes];
                json!({"bytes": std::hint::black_box(block).len()})
            }
            "probe_output" => {
                json!(
                    "x".repeat(usize::try_from(number("kb")).unwrap_or(0).saturating_mul(1 << 10))
                )
            }
            "probe_fail" => {
                return Err(failure(&text("kind"), text("message"), params.get("after_ms")));
            }
            "probe_log" => {
                for line in 0..number("lines") {
                    log::write(log::Level::Info, &format!("line {line}"));
                }
                json!({})
            }
            "probe_count" => json!({"calls": CALLS.fetch_add(1, Ordering::Relaxed) + 1}),
            "probe_init" => json!({"drawn": DRAWN.load(Ordering::Relaxed).to_string()}),
            "probe_exit" => exit(i32::try_from(number("code")).unwrap_or(1)),
            "probe_config" => json!({"value": config::get(&text("key"))}),
            "probe_cache" => {
                let key = text("key");
                if let Some(value) = params.get("value").and_then(Value::as_str) {
                    cache::set(&key, value.as_bytes(), 60)
                        .map_err(|error| Failure::Fatal(format!("{error:?}")))?;
                }
                let value =
                    cache::get(&key).map_err(|error| Failure::Fatal(format!("{error:?}")))?;
                json!({"value": value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())})
            }
            "probe_data" => match data::read(&text("name")) {
                Ok(bytes) => json!({"bytes": bytes.len()}),
                Err(error) => return Err(Failure::Fatal(format!("{error:?}"))),
            },
            "probe_read_on" => {
                let mut reads = 0_u64;
                loop {
                    match data::read(&text("name")) {
                        Ok(_) => reads += 1,
                        Err(error) => {
                            return Err(Failure::Fatal(format!("{error:?} after {reads}")));
                        }
                    }
                }
            }
            "probe_progress" => {
                progress::report(&text("text"), Some(50));
                json!({})
            }
            "probe_fetch" => fetch(&text("url"))?,
            "probe_follow" => match fetch(&text("url"))?.get("location").and_then(Value::as_str) {
                Some(elsewhere) => fetch(elsewhere)?,
                None => json!({}),
            },
            other => return Err(Failure::Invalid(format!("unknown {other}"))),
        };
        let metadata = params.get("metadata").cloned().unwrap_or_else(|| json!({"probe": true}));
        Ok(Output { data: data.to_string(), metadata: metadata.to_string() })
    }
}

fn fetch(url: &str) -> Result<Value, Failure> {
    let response = freefans_plugin::http::Request::get(url).send();
    let response = response.map_err(|error| Failure::Fatal(format!("{error:?}")))?;
    Ok(json!({
        "status": response.status,
        "location": response.header("location"),
        "body": String::from_utf8_lossy(&response.body),
    }))
}

fn panic_when_told(export: &str) {
    if config::get("panic_in").is_some_and(|told| told == export) {
        std::panic::panic_any(format!("boom in {export}"));
    }
}

#[expect(clippy::exit, reason = "this is what the test is about")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

fn failure(kind: &str, message: String, after_ms: Option<&Value>) -> Failure {
    match kind {
        "invalid" => Failure::Invalid(message),
        "not-found" => Failure::NotFound(message),
        "retry" => {
            Failure::Retry(Retry { reason: message, after_ms: after_ms.and_then(Value::as_u64) })
        }
        _ => Failure::Fatal(message),
    }
}
