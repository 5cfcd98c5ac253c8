//! Between the contract and a [`Plugin`]: what [`crate::export!`] expands to calls this.

use std::sync::OnceLock;

use crate::description::{Description, Plugin};
use crate::error::Error;
use crate::log;

pub use crate::bindings;
pub use crate::bindings::freefans::plugin::types::{Descriptor, Failure, Output, Task};
use crate::bindings::freefans::plugin::types::{Retry, TaskType};

/// Made by `init`, so that no task has to. A component has one plugin.
static DESCRIPTION: OnceLock<Description> = OnceLock::new();

/// The contract's `describe`. It is asked again after `init`, when rows are known.
pub fn describe<P: Plugin>() -> Descriptor {
    let description = P::describe();
    let task_types = description.routes.iter().map(|route| TaskType {
        name: route.name.to_owned(),
        summary: route.summary.to_owned(),
        params_schema: (route.schema)().to_string(),
    });
    Descriptor {
        name: description.name.to_owned(),
        version: description.version.to_owned(),
        task_types: task_types.collect(),
        extensions: description.extensions().to_string(),
    }
}

/// The contract's `init`.
pub fn init<P: Plugin>() -> Result<(), String> {
    P::init().map_err(|error| error.to_string())?;
    DESCRIPTION.get_or_init(P::describe);
    Ok(())
}

/// The contract's `handle`.
pub fn handle<P: Plugin>(task: Task) -> Result<Output, Failure> {
    let task = crate::Task {
        id: task.id,
        task_type: task.task_type,
        user_id: task.user_id,
        params: task.params,
        attempt: task.attempt,
        time_left_ms: task.time_left_ms,
        seed: task.seed,
        traceparent: task.traceparent,
    };
    let answer = DESCRIPTION.get_or_init(P::describe).answer(&task)?;
    for cut in answer.cut() {
        log::warn(cut);
    }
    let metadata =
        serde_json::to_string(answer.metadata()).unwrap_or_else(|_error| "{}".to_owned());
    Ok(Output { data: answer.data().to_string(), metadata })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(reason) => Self::Invalid(reason),
            Error::NotFound(reason) => Self::NotFound(reason),
            Error::Retry { reason, after_ms } => Self::Retry(Retry { reason, after_ms }),
            Error::Fatal(reason) => Self::Fatal(reason),
        }
    }
}
