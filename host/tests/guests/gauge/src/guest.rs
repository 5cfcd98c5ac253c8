//! The world's exports.

use std::arch::wasm32::{memory_grow, memory_size};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

#[expect(unsafe_code, reason = "generated code: the border of the sandbox is made of raw pointers")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../../wit", world: "plugin" });
    use super::Gauge;
    export!(Gauge);
}

use bindings::freefans::plugin::types::{Descriptor, Failure, Output, Task, TaskType};

const TYPES: &[&str] = &["gauge_nothing", "gauge_compute", "gauge_hold", "gauge_stain"];
/// Some tens of milliseconds.
const ROUNDS: u32 = 20_000_000;
/// Longer than any task may take: it ends with its instance.
const FOR_EVER: Duration = Duration::from_secs(86_400);
const PAGE_BYTES: usize = 64 << 10;
/// Pages that a task adds and fills: more than the host keeps mapped.
const STAINED_PAGES: usize = 32;
const STAIN: u8 = 0xa5;

/// Filled too. It starts as zeros in memory that every instance has from the start.
static CLOTH: [AtomicU8; 4 * PAGE_BYTES] = [const { AtomicU8::new(0) }; 4 * PAGE_BYTES];

struct Gauge;

impl bindings::Guest for Gauge {
    fn describe() -> Descriptor {
        let task_type = |name: &&str| TaskType {
            name: (*name).to_owned(),
            summary: "For measuring.".to_owned(),
            params_schema: r#"{"type":"object"}"#.to_owned(),
        };
        Descriptor {
            name: "gauge".to_owned(),
            version: "1.0.0".to_owned(),
            task_types: TYPES.iter().map(task_type).collect(),
            extensions: r#"{"version":1}"#.to_owned(),
        }
    }

    fn init() -> Result<(), String> {
        Ok(())
    }

    fn handle(task: Task) -> Result<Output, Failure> {
        let data = match task.task_type.as_str() {
            "gauge_nothing" => "{}".to_owned(),
            "gauge_compute" => compute(task.seed).to_string(),
            "gauge_hold" => {
                std::thread::sleep(FOR_EVER);
                "{}".to_owned()
            }
            "gauge_stain" => stain().to_string(),
            other => return Err(Failure::Invalid(format!("unknown {other}"))),
        };
        Ok(Output { data, metadata: "{}".to_owned() })
    }
}

/// A loop that cannot be shortened: each round needs the one before.
fn compute(seed: u64) -> u64 {
    let mut state = seed | 1;
    for _ in 0..ROUNDS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    state
}

/// Counts the marks of earlier tasks, then writes its own.
fn stain() -> usize {
    let mut found = 0;
    for thread in &CLOTH {
        found += usize::from(thread.swap(STAIN, Ordering::Relaxed) != 0);
    }
    let begin = memory_size(0) * PAGE_BYTES;
    if memory_grow(0, STAINED_PAGES) == usize::MAX {
        return usize::MAX;
    }
    for place in begin..begin + STAINED_PAGES * PAGE_BYTES {
        let byte = place as *mut u8;
        #[expect(unsafe_code, reason = "new memory is looked at before the allocator has it")]
        // SAFETY: the memory was just added, so these bytes exist and nothing else uses them.
        unsafe {
            found += usize::from(byte.read_volatile() != 0);
            byte.write_volatile(STAIN);
        }
    }
    found
}
