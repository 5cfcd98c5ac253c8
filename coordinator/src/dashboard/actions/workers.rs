//! Draining a worker: it takes no more tasks, and goes on with those that it runs.

use std::sync::Arc;

use axum::extract::State as Shared;

use super::change::{Done, Refused, record, told};
use crate::dashboard::guard::Asked;
use crate::dashboard::state::State;

/// Drains a worker, or lets it take tasks again.
pub(crate) async fn drain(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let worker = asked.field("worker");
    let (drained, action, note) = match asked.field("drained") {
        "1" => (true, "drain", "takes no more tasks, within 5 s"),
        "0" => (false, "undrain", "takes tasks again, within 5 s"),
        _ => return Err(Refused::Form("Drain, or take tasks again?")),
    };
    let queue = record(&state, &asked, action, worker).await?;
    let note = if queue.set_drained(worker, drained).await? {
        format!("{worker} {note}.")
    } else {
        "There is no such worker any more.".to_owned()
    };
    Ok(told(&state, &asked, note, "/workers").await)
}
