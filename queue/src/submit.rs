//! Submitting: each task id is accepted once; one call may submit many tasks.

mod batch;
mod ingress;
mod progress;
mod resubmit;
mod result;
mod status;

use futures::{StreamExt, stream};

use crate::client::task_queue::TaskQueue;
use crate::error::SubmitError;
use crate::redis::scripts::unknown_reply;
use crate::submit::batch::MAX_BATCH;
use crate::task::lane::indexes_by_lane;
use crate::task::{Lane, SubmitOptions, Task};

pub use batch::Submitted;
pub use ingress::drain_ingress;
pub(crate) use ingress::ingress_until;
pub use progress::Progress;
pub use resubmit::confirm_until;

/// Calls of one batch at once: Redis runs one while we write the next.
const CALLS_AT_ONCE: usize = 2;

impl TaskQueue {
    /// Accepts a task. The same id is accepted once, however often it is submitted.
    ///
    /// # Errors
    ///
    /// - [`SubmitError::QueueFull`], [`SubmitError::UserLimit`][]: try later.
    /// - [`SubmitError::TooLarge`][], [`SubmitError::ForeignId`][]: do not try again.
    /// - [`SubmitError::Redis`][]: the task may have been accepted; submit it again.
    ///
    /// # Examples
    ///
    /// The id is derived from the cause, so submitting twice is safe.
    ///
    /// ```no_run
    /// use queue::{Lane, QueueConfig, SubmitError, Submitted, Task, TaskId, TaskQueue, TaskType};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = TaskQueue::connect("redis://127.0.0.1:6379", QueueConfig::default()).await?;
    /// let echo: TaskType = "echo".parse()?;
    /// let params = serde_json::Map::from_iter([("text".to_owned(), "hello".into())]);
    /// let mut task = Task::new(echo.clone(), 7, params);
    /// task.task_id = TaskId::from_cause(&Lane::whole(&echo), "order 12");
    /// match queue.submit_task(&task).await {
    ///     Ok(Submitted::New { ahead }) => println!("accepted; {ahead} tasks are waiting before it"),
    ///     Ok(Submitted::Already) => println!("accepted before"),
    ///     Ok(Submitted::Duplicate { of }) => println!("the same as {of}"),
    ///     Err(SubmitError::QueueFull { pending, .. }) => println!("{pending} tasks are waiting; try later"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn submit_task(&self, task: &Task) -> Result<Submitted, SubmitError> {
        self.submit_with(task, SubmitOptions::default()).await
    }

    /// Accepts a task with a priority band, after a delay, or only if it is no duplicate.
    ///
    /// # Errors
    ///
    /// As [`TaskQueue::submit_task`].
    pub async fn submit_with(
        &self,
        task: &Task,
        options: SubmitOptions,
    ) -> Result<Submitted, SubmitError> {
        let envelope = self.envelope(task)?;
        let bytes = envelope.len();
        let lane = task.lane();
        self.register_lane(&lane).await.map_err(SubmitError::Redis)?;
        let batch = [(task, envelope, options)];
        let mut replica = self.replica_wait(&lane);
        let mut first_reply = None;
        loop {
            let mut replies = self.submit_batch(&lane, &batch).await?.into_iter();
            let submitted = match (first_reply, replies.next().unwrap_or_else(missing_reply)?) {
                // This write repeats an earlier one, which was still there.
                (Some(first_reply), Submitted::Already) => first_reply,
                (_, submitted) => submitted,
            };
            if submitted.is_accepted() {
                self.resubmit_buffer(|buffer| buffer.add(task, options, bytes));
            }
            if replica.is_safe().await.map_err(SubmitError::Redis)? {
                return Ok(submitted);
            }
            first_reply = Some(submitted);
        }
    }

    /// Accepts many tasks. Returns one answer per task in the same order; a refused task does not affect the others.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Redis`]: some tasks may have been accepted. Submitting all of them again is safe.
    pub async fn submit_tasks(
        &self,
        tasks: &[(Task, SubmitOptions)],
    ) -> Result<Vec<Result<Submitted, SubmitError>>, SubmitError> {
        let mut results: Vec<Option<Result<Submitted, SubmitError>>> = Vec::new();
        results.resize_with(tasks.len(), || None);
        for (lane, members) in indexes_by_lane(tasks.iter().map(|(task, _)| task.lane())) {
            self.register_lane(&lane).await.map_err(SubmitError::Redis)?;
            let mut batches = stream::iter(members.chunks(MAX_BATCH))
                .map(|members| self.submit_members(&lane, tasks, members))
                .buffered(CALLS_AT_ONCE);
            while let Some(submitted) = batches.next().await {
                for (index, submitted) in submitted? {
                    if let Some(slot) = results.get_mut(index) {
                        *slot = Some(submitted);
                    }
                }
            }
        }
        Ok(results.into_iter().map(|result| result.unwrap_or_else(missing_reply)).collect())
    }

    /// Submits those tasks whose indexes are `members`, all of one lane, in one call.
    async fn submit_members(
        &self,
        lane: &Lane,
        tasks: &[(Task, SubmitOptions)],
        members: &[usize],
    ) -> Result<Vec<(usize, Result<Submitted, SubmitError>)>, SubmitError> {
        let mut results = Vec::with_capacity(members.len());
        let mut indexes = Vec::with_capacity(members.len());
        let mut batch = Vec::with_capacity(members.len());
        for &index in members {
            let Some((task, options)) = tasks.get(index) else { continue };
            match self.envelope(task) {
                Ok(envelope) => {
                    indexes.push(index);
                    batch.push((task, envelope, *options));
                }
                Err(error) => results.push((index, Err(error))),
            }
        }
        let replica = self.replica_wait(lane);
        let replies = self.submit_batch(lane, &batch).await?;
        for ((index, submitted), (task, envelope, options)) in
            indexes.into_iter().zip(replies).zip(&batch)
        {
            if submitted.as_ref().is_ok_and(Submitted::is_accepted) {
                self.resubmit_buffer(|buffer| buffer.add(task, *options, envelope.len()));
            }
            results.push((index, submitted));
        }
        replica.wait_once().await.map_err(SubmitError::Redis)?;
        Ok(results)
    }
}

/// For a task without a reply of the script.
fn missing_reply() -> Result<Submitted, SubmitError> {
    Err(SubmitError::Redis(unknown_reply("submit.lua", "")))
}
