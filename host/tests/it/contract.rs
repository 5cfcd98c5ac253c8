//! What a component must be to be looked at: a file that is made to hurt is refused by name, and the worker goes on.

use serde_json::json;

use crate::support::{Folder, redis, run, start_worker};

/// A component of 9 KB with 3,000 types, one in another.
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
