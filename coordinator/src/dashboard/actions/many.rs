//! Carries out what was counted and confirmed.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State as Shared;
use futures::{StreamExt, stream};
use queue::admin::ReplayError;
use queue::{TaskId, TaskQueue, TaskType};

use super::change::{Done, Refused, record, told};
use crate::dashboard::audit::{self, Entry};
use crate::dashboard::guard::Asked;
use crate::dashboard::plans::{Plan, Work};
use crate::dashboard::state::State;
use crate::dashboard::words::count;

/// Changes that are under way at the same time.
const AT_ONCE: usize = 16;
const GONE: &str = "What was counted is too old, or was done already. Count again.";

/// Carries out what was counted.
pub(crate) async fn carry_out(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let id = asked.field("plan");
    let plan = state.plans.find(asked.viewer(), id, Instant::now());
    let plan = plan.ok_or(Refused::Form(GONE))?;
    let target = format!("{}: {}", plan.of, plan.count());
    let queue = record(&state, &asked, plan.verb(), &target).await?.clone();
    if state.plans.take(asked.viewer(), id, Instant::now()).is_none() {
        return Err(Refused::Form(GONE));
    }
    // A task of its own: it goes on, and is recorded, when the browser does not wait for the answer.
    let working = tokio::spawn({
        let plan = Arc::clone(&plan);
        let viewer = asked.viewer().clone();
        let from = asked.from();
        async move {
            let note = work(&queue, &plan).await;
            let outcome = format!("{}: {note}", plan.of);
            let entry = Entry::new(&viewer, from, "done", &outcome);
            if let Err(error) = audit::record(&queue, &entry).await {
                tracing::warn!(error = %error, "the outcome of a change was not recorded");
            }
            note
        }
    });
    let note = working.await.unwrap_or_else(|_| "It was interrupted".to_owned());
    Ok(told(&state, &asked, format!("{note}."), &plan.back).await)
}

/// Does the work, and says how much was done.
async fn work(queue: &TaskQueue, plan: &Plan) -> String {
    let (past, outcomes) = match plan.work.clone() {
        Work::Replay(letters) => ("replayed", replay(queue, letters).await),
        Work::Discard(letters) => ("discarded", discard(queue, letters).await),
        Work::Cancel(ids) => ("cancelled", cancel(queue, ids).await),
    };
    let how_many = |outcome| outcomes.iter().filter(|found| **found == outcome).count() as u64;
    let mut note = format!("{} {past}", count(how_many(Outcome::Done), "was", "were"));
    let gone = how_many(Outcome::Gone);
    if gone > 0 {
        note.push_str(&format!("; {} already", count(gone, "was gone", "were gone")));
    }
    let failed = how_many(Outcome::Failed);
    if failed > 0 {
        let stay = count(failed, "stays", "stay");
        note.push_str(&format!("; {stay}, because Redis has a problem or the queue is full"));
    }
    note
}

/// What became of one task or dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Somebody else was faster.
    Gone,
    Failed,
}

impl Outcome {
    /// Of an answer of Redis: none when it refused.
    fn of(changed: Option<bool>) -> Self {
        match changed {
            Some(true) => Self::Done,
            Some(false) => Self::Gone,
            None => Self::Failed,
        }
    }
}

async fn replay(queue: &TaskQueue, letters: Vec<(TaskType, String)>) -> Vec<Outcome> {
    let replay = |(task_type, entry): (TaskType, String)| {
        let queue = queue.clone();
        async move {
            match queue.replay(&task_type, &entry).await {
                Ok(_) => Outcome::Done,
                Err(ReplayError::NotFound { .. }) => Outcome::Gone,
                Err(_) => Outcome::Failed,
            }
        }
    };
    stream::iter(letters).map(replay).buffer_unordered(AT_ONCE).collect().await
}

async fn discard(queue: &TaskQueue, letters: Vec<(TaskType, String)>) -> Vec<Outcome> {
    let discard = |(task_type, entry): (TaskType, String)| {
        let queue = queue.clone();
        async move { Outcome::of(queue.discard(&task_type, &entry).await.ok()) }
    };
    stream::iter(letters).map(discard).buffer_unordered(AT_ONCE).collect().await
}

async fn cancel(queue: &TaskQueue, ids: Vec<TaskId>) -> Vec<Outcome> {
    let cancel = |id: TaskId| {
        let queue = queue.clone();
        async move { Outcome::of(queue.cancel(&id).await.ok()) }
    };
    stream::iter(ids).map(cancel).buffer_unordered(AT_ONCE).collect().await
}
