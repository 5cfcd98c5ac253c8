//! Looks at the queue again and again, so that the beginning of a problem is known also when nobody looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use queue::{TaskQueue, TaskType};
use tokio_util::sync::CancellationToken;

use super::figures::{READ_AT_MOST, Snapshot};
use super::health;
use super::letters;
use super::state::State;
use super::trend::{LastDead, Sample};

/// [`super::trend`] keeps an hour of samples.
const EVERY: Duration = Duration::from_secs(5);

/// Takes samples until `shutdown`.
pub(super) async fn watch_until(state: Arc<State>, shutdown: CancellationToken) {
    loop {
        look(&state).await;
        if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

async fn look(state: &State) {
    let figures = state.figures.now(state.queue()).await;
    let past = state.past.now(state.queue()).await;
    if let (Some(queue), None) = (state.queue(), &figures.unread) {
        let dead = tokio::time::timeout(READ_AT_MOST, last_dead(queue, &figures)).await;
        let missing = state.trend().missing.clone();
        let missing = tokio::time::timeout(READ_AT_MOST, missing.look(queue, &figures)).await;
        let mut trend = state.trend();
        trend.add(Sample { at: figures.at, waiting: figures.waiting() });
        if let Ok(Some(dead)) = dead {
            trend.dead = dead;
        }
        if let Ok(missing) = missing {
            trend.missing = missing;
        }
    }
    // So that the beginning of a problem is right, also when nobody looks.
    let updates = state.sources.problem.borrow().clone();
    health::judge(&figures, &past, updates.as_deref(), &mut state.trend());
}

/// The last dead letter of each type that has some; none when Redis does not answer.
async fn last_dead(queue: &TaskQueue, figures: &Snapshot) -> Option<BTreeMap<TaskType, LastDead>> {
    let mut dead = BTreeMap::new();
    for of in figures.types.iter().filter(|of| of.dead > 0) {
        let Some(letter) = queue.dead_letters(&of.task_type, 1).await.ok()?.pop() else { continue };
        let reason = letters::reason(&letter).to_owned();
        let code = letters::Group::of(&letter).code;
        let failed_request = letter.failed_request().map(str::to_owned);
        let last = LastDead { at: letter.at(), code, reason, failed_request };
        dead.insert(of.task_type.clone(), last);
    }
    Some(dead)
}
