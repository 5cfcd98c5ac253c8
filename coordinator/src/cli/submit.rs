//! `coordinator submit`.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use queue::{DistributedWorkerRegistry, SubmitOptions, Task, TaskType};
use serde_json::{Map, Value};

use super::outcome::Outcome;
use super::print;
use super::queue_args::QueueArgs;

/// Submits a task by hand.
#[derive(Debug, clap::Args)]
pub struct Submit {
    #[command(flatten)]
    redis: QueueArgs,
    /// The task type.
    task_type: TaskType,
    /// The params, a JSON object.
    #[arg(default_value = "{}")]
    params: String,
    /// The sender's user id.
    #[arg(long, default_value_t = 0)]
    user_id: i64,
    /// Wait for the result and print it.
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 130)]
    timeout: u64,
}

impl Submit {
    /// Submits the task, and waits for its result if asked to.
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let params: Map<String, Value> = serde_json::from_str(&self.params)
            .context("the params must be a JSON object, for instance '{\"query\":\"luna\"}'")?;
        let queue = self.redis.connect().await?;
        let task = Task::new(self.task_type, self.user_id, params);
        if !self.wait {
            queue.submit_with(&task, SubmitOptions::default()).await?;
            writeln!(out, "{}", task.task_id)?;
            return Ok(Outcome::Done);
        }
        let registry = DistributedWorkerRegistry::new(queue);
        let result = registry.execute_task(&task, Duration::from_secs(self.timeout)).await?;
        let Some(result) = result else {
            writeln!(out, "no result of {} within {} s", task.task_id, self.timeout)?;
            return Ok(Outcome::NotFound);
        };
        print::json(out, &result)?;
        Ok(if result.success { Outcome::Done } else { Outcome::Failed })
    }
}
