//! Pausing and limiting a task type.

use std::sync::Arc;

use axum::extract::State as Shared;
use queue::{Rate, TypeLimit};

use super::change::{Done, Refused, record, task_type, told};
use crate::dashboard::guard::Asked;
use crate::dashboard::state::State;

/// Largest limit of a type.
const MOST: u64 = 1_000_000;

/// Pauses or resumes a type.
pub(crate) async fn pause(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let task_type = task_type(&asked)?;
    let (paused, action, note) = match asked.field("paused") {
        "1" => (true, "pause", "is paused"),
        "0" => (false, "resume", "goes on"),
        _ => return Err(Refused::Form("Pause or resume?")),
    };
    let queue = record(&state, &asked, action, task_type.as_str()).await?;
    queue.set_paused(&task_type, paused).await?;
    Ok(told(&state, &asked, format!("{task_type} {note}."), "/types").await)
}

/// Sets a limit of a type.
pub(crate) async fn limit(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let task_type = task_type(&asked)?;
    let name = asked.field("limit");
    if name == "rate" {
        return rate(&state, &asked).await;
    }
    let limit = match name {
        "max_active" => TypeLimit::MaxActive,
        "max_pending" => TypeLimit::MaxPending,
        "user_cap" => TypeLimit::UserCap,
        _ => return Err(Refused::Form("There is no such limit.")),
    };
    let most = match asked.field("most").trim() {
        "" => None,
        text => {
            let most = text.parse().ok().filter(|most| (1..=MOST).contains(most));
            Some(most.ok_or(Refused::Form(
                "A limit is a number from 1 to 1,000,000. To stop a type, pause it.",
            ))?)
        }
    };
    let shown = most.map_or_else(|| "default".to_owned(), |most| most.to_string());
    let queue = record(&state, &asked, "limit", &format!("{task_type} {name} = {shown}")).await?;
    queue.set_type_limit(&task_type, limit, most).await?;
    let note = format!("{name} of {task_type}: {shown}.");
    Ok(told(&state, &asked, note, "/types").await)
}

/// Sets how many tasks of a type start in a time.
async fn rate(state: &State, asked: &Asked) -> Done {
    let task_type = task_type(asked)?;
    let rate = match asked.field("most").trim() {
        "" => None,
        text => Some(text.parse::<Rate>().map_err(|_invalid| {
            Refused::Form("A rate looks like 30/min, 2/s or 100/h. To stop a type, pause it.")
        })?),
    };
    let shown = rate.map_or_else(|| "no limit".to_owned(), |rate| rate.to_string());
    let queue = record(state, asked, "limit", &format!("{task_type} rate = {shown}")).await?;
    queue.set_rate_limit(&task_type, rate).await?;
    Ok(told(state, asked, format!("rate of {task_type}: {shown}."), "/types").await)
}
