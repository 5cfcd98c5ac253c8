//! Submitting: a task is accepted once per id, several in one call.

mod batch;
mod ingress;
mod progress;
mod resubmit;
mod result;
mod status;

use crate::client::task_queue::TaskQueue;
use crate::error::SubmitError;
use crate::redis::scripts::unknown_reply;
use crate::submit::batch::AT_ONCE;
use crate::task::lane::indexes_by_lane;
use crate::task::{SubmitOptions, Task};

pub use batch::Submitted;
pub use ingress::drain_ingress;
pub(crate) use ingress::ingress_until;
pub use progress::Progress;
pub use resubmit::confirm_until;

impl TaskQueue {
    /// Accepts a task. The same id is accepted once, however often it is submitted.
    ///
    /// # Errors
    ///
    /// - [`SubmitError::QueueFull`], [`SubmitError::UserLimit`][]: try later.
    /// - [`SubmitError::TooLarge`][], [`SubmitError::ForeignId`][]: do not try again.
    /// - [`SubmitError::Redis`][]: unknown whether it was accepted; submit it again.
    pub async fn submit_task(&self, task: &Task) -> Result<Submitted, SubmitError> {
        self.submit_with(task, SubmitOptions::default()).await
    }

    /// Accepts a task in a band, later, or only when it is no duplicate.
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
        self.remember_lane(&lane).await.map_err(SubmitError::Redis)?;
        let batch = [(task, envelope, options)];
        let mut keeping = self.keep(&lane);
        let mut before = None;
        loop {
            let mut answers = self.submit_batch(&lane, &batch).await?.into_iter();
            let submitted = match (before, answers.next().unwrap_or_else(no_answer)?) {
                // Written again, and there.
                (Some(before), Submitted::Already) => before,
                (_, submitted) => submitted,
            };
            if submitted.is_accepted() {
                self.recent(|recent| recent.remember(task, options, bytes));
            }
            if keeping.kept().await.map_err(SubmitError::Redis)? {
                return Ok(submitted);
            }
            before = Some(submitted);
        }
    }

    /// Accepts many tasks, hundreds in one call. One answer per task in the same order; one that is refused does not
    /// keep the others out.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Redis`] when Redis does not answer; some may have been accepted. Submitting all again is safe.
    pub async fn submit_tasks(
        &self,
        tasks: &[(Task, SubmitOptions)],
    ) -> Result<Vec<Result<Submitted, SubmitError>>, SubmitError> {
        let mut results: Vec<Option<Result<Submitted, SubmitError>>> = Vec::new();
        results.resize_with(tasks.len(), || None);
        for (lane, members) in indexes_by_lane(tasks.iter().map(|(task, _)| task.lane())) {
            self.remember_lane(&lane).await.map_err(SubmitError::Redis)?;
            let mut places = Vec::new();
            let mut batch = Vec::new();
            for place in members {
                let Some((task, options)) = tasks.get(place) else { continue };
                match self.envelope(task) {
                    Ok(envelope) => {
                        places.push(place);
                        batch.push((task, envelope, *options));
                    }
                    Err(error) => set(&mut results, place, Err(error)),
                }
            }
            for (places, batch) in places.chunks(AT_ONCE).zip(batch.chunks(AT_ONCE)) {
                let keeping = self.keep(&lane);
                let answers = self.submit_batch(&lane, batch).await?;
                for ((place, submitted), (task, envelope, options)) in
                    places.iter().zip(answers).zip(batch)
                {
                    if submitted.as_ref().is_ok_and(Submitted::is_accepted) {
                        self.recent(|recent| recent.remember(task, *options, envelope.len()));
                    }
                    set(&mut results, *place, submitted);
                }
                keeping.replica_has_it().await.map_err(SubmitError::Redis)?;
            }
        }
        Ok(results.into_iter().map(|result| result.unwrap_or_else(no_answer)).collect())
    }
}

/// For a task that the script said nothing about.
fn no_answer() -> Result<Submitted, SubmitError> {
    Err(SubmitError::Redis(unknown_reply("submit.lua", "")))
}

fn set<T>(slots: &mut [Option<T>], place: usize, value: T) {
    if let Some(slot) = slots.get_mut(place) {
        *slot = Some(value);
    }
}
