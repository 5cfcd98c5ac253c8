//! What all changes share: they are recorded before they are made, and what concerns many tasks is counted and asked first.

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use queue::{TaskId, TaskQueue, TaskType};

use crate::dashboard::audit::{self, Entry};
use crate::dashboard::guard::Asked;
use crate::dashboard::layout;
use crate::dashboard::plans::Work;
use crate::dashboard::state::State;

/// Most tasks or dead letters that are counted, and so changed, at a time: a few seconds' work for Redis, beside the tasks.
pub(crate) const COUNTED_AT_MOST: usize = 2_000;

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The form is not one of ours, or says something impossible.
    Form(&'static str),
    /// What is asked cannot be done now.
    Forbidden(String),
    /// Redis does not answer, or refuses.
    Redis(String),
}

impl From<queue::RedisError> for Refused {
    fn from(error: queue::RedisError) -> Self {
        Self::Redis(ops::chain::chain(&error).to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, title, why) = match self {
            Self::Form(why) => (StatusCode::BAD_REQUEST, "Not done", why.to_owned()),
            Self::Forbidden(why) => (StatusCode::CONFLICT, "Not done", why),
            Self::Redis(why) => {
                (StatusCode::BAD_GATEWAY, "Perhaps not done: Redis has a problem", why)
            }
        };
        let page = layout::bare(
            title,
            &maud::html! {
                h1 { (title) }
                p .card.health.bad role="alert" { (why) }
                p { a .button.plain href="/" { "Overview" } }
            },
        );
        (status, page).into_response()
    }
}

/// A change that was made, or why it was not.
pub(crate) type Done = Result<Response, Refused>;

pub(super) fn task_type(asked: &Asked) -> Result<TaskType, Refused> {
    asked.field("type").parse().map_err(|_invalid| Refused::Form("This is not a task type."))
}

pub(super) fn task_id(asked: &Asked) -> Result<TaskId, Refused> {
    asked.field("id").parse().map_err(|_invalid| Refused::Form("This is not the id of a task."))
}

pub(super) fn queue(state: &State) -> Result<&TaskQueue, Refused> {
    state.queue().ok_or_else(|| Refused::Redis("it was not reached yet".to_owned()))
}

/// Records a change before it is made. Returns the queue to make it in.
pub(super) async fn record<'a>(
    state: &'a State,
    asked: &Asked,
    action: &str,
    target: &str,
) -> Result<&'a TaskQueue, Refused> {
    let queue = queue(state)?;
    let entry = Entry::new(asked.viewer(), asked.from(), action, target);
    let recorded = audit::record(queue, &entry).await;
    recorded.map_err(|error| {
        Refused::Redis(format!("the change cannot be recorded, so it was not made: {error}"))
    })?;
    Ok(queue)
}

/// Goes to a page that tells what was done.
pub(super) async fn told(state: &State, asked: &Asked, note: String, page: &str) -> Response {
    state.figures.renew().await;
    state.tell(asked.viewer(), note);
    Redirect::to(page).into_response()
}

/// Goes to the question.
pub(super) fn ask(state: &State, asked: &Asked, work: Work, of: String, back: String) -> Response {
    let id = state.plans.keep(asked.viewer(), work, of, back, Instant::now());
    Redirect::to(&format!("/plan?id={id}")).into_response()
}
