//! The state of a person's tasks in words: for `/status`, and for progress.

use std::sync::Arc;
use std::time::Duration;

use queue::{TaskId, TaskQueue, TaskStatus, TaskType};

use crate::chat::sanitize::safe_html;
use crate::chat::screen::Screen;
use crate::chat::session::Pending;
use crate::chat::text::{Arg, Lang};
use crate::wait_estimator::WaitEstimator;

/// Shorter waits are "a few seconds". From [`SECONDS_UP_TO`] on they are given in minutes. In seconds.
const MOMENT_UP_TO: u64 = 5;
const SECONDS_UP_TO: u64 = 90;

/// Sentences of `/status` with an estimate, and without.
const STATUS: (&str, &str) = ("status-in-line", "status-in-line-only");

/// Reads the state of tasks from the queue. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct TaskStatusReader {
    queue: TaskQueue,
    estimator: Arc<WaitEstimator>,
}

impl TaskStatusReader {
    /// Reads from `queue`, and estimates waits with `estimator`.
    pub(crate) fn new(queue: TaskQueue, estimator: Arc<WaitEstimator>) -> Self {
        Self { queue, estimator }
    }

    /// The answer to `/status`.
    pub(crate) async fn screen(&self, lang: Lang, pending: &[Pending]) -> Screen {
        let mut lines = Vec::new();
        for Pending { id, called } in pending {
            if let Some(state) = self.state(lang, id).await {
                lines.push(format!("• {}: {state}", safe_html(called, 100)));
            }
        }
        if lines.is_empty() {
            return Screen::plain(lang.text("status-none"));
        }
        Screen::plain(format!("{}\n\n{}", lang.text("status-some"), lines.join("\n")))
    }

    /// None when the task has ended, or Redis does not answer.
    async fn state(&self, lang: Lang, id: &TaskId) -> Option<String> {
        let live = self.queue.show(id).await.ok()??;
        Some(match live.status {
            TaskStatus::Processing => match live.running_ms.map(|ms| ms / 1_000) {
                Some(seconds) if seconds > 0 => {
                    lang.format("status-running-for", &[("seconds", Arg::Number(seconds))])
                }
                _ => lang.text("status-running"),
            },
            TaskStatus::Retrying => lang.text("status-again"),
            _ => match (self.tasks_before(id).await, live.task.map(|task| task.task_type)) {
                (Some(0), _) => lang.text("status-next"),
                (Some(before), Some(task_type)) => self.in_line(lang, STATUS, &task_type, before),
                _ => lang.text("status-waiting"),
            },
        })
    }

    /// How many tasks wait before it; none when it does not wait.
    pub(crate) async fn tasks_before(&self, id: &TaskId) -> Option<u64> {
        self.queue.tasks_before(id).await.ok()?
    }

    /// Whether some worker offers this type.
    pub(crate) fn is_offered(&self, task_type: &TaskType) -> bool {
        self.estimator.is_offered(task_type)
    }

    /// A sentence with a task's position and estimated wait, or the second one when the wait is unknown.
    pub(crate) fn in_line(
        &self,
        lang: Lang,
        ids: (&str, &str),
        task_type: &TaskType,
        before: u64,
    ) -> String {
        let position = ("place", Arg::Number(before + 1));
        match self.estimator.estimate(task_type, before) {
            Some(wait) => {
                let wait = in_words(lang, wait);
                lang.format(ids.0, &[position, ("wait", Arg::Text(&wait))])
            }
            None => lang.format(ids.1, &[position]),
        }
    }
}

/// A wait in words.
fn in_words(lang: Lang, wait: Duration) -> String {
    let seconds = wait.as_secs();
    if seconds < MOMENT_UP_TO {
        lang.text("wait-moment")
    } else if seconds < SECONDS_UP_TO {
        // Rounded to fives: the estimate is not more precise.
        let rounded = seconds.div_ceil(5) * 5;
        lang.format("wait-seconds", &[("seconds", Arg::Number(rounded))])
    } else {
        lang.format("wait-minutes", &[("minutes", Arg::Number(seconds.div_ceil(60)))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_as_a_person_would() {
        for (seconds, expected) in [
            (0, "a few seconds"),
            (7, "about 10 seconds"),
            (89, "about 90 seconds"),
            (90, "about 2 minutes"),
            (600, "about 10 minutes"),
        ] {
            assert_eq!(in_words(Lang::En, Duration::from_secs(seconds)), expected);
        }
    }
}
