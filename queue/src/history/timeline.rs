//! What is known about one task, as lines in order of time.

use serde::Serialize;

use crate::admin::LiveTask;
use crate::history::record::{FinishedTask, Step, StepKind};
use crate::task::{TaskStatus, now_ms};

/// All that is known about one task.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// The task, while it has not ended.
    pub live: Option<LiveTask>,
    /// Its end.
    pub finished: Option<FinishedTask>,
    /// What else happened, oldest first.
    pub steps: Vec<Step>,
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineEvent {
    /// In ms since 1970.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: TimelineKind,
}

/// Kinds of [`TimelineEvent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TimelineKind {
    /// It was submitted.
    Submitted,
    /// An attempt began.
    Claimed {
        /// The worker.
        worker: String,
        /// The plugin's version, once the attempt has ended.
        version: Option<String>,
    },
    /// Something else, as it is stored.
    Step(StepKind),
    /// It ended.
    Ended {
        /// How.
        status: TaskStatus,
        /// The failure's code.
        code: Option<String>,
        /// The reason; none unless texts are kept.
        reason: Option<String>,
    },
}

impl Timeline {
    /// Its lines, oldest first.
    pub fn events(&self) -> Vec<TimelineEvent> {
        let mut events = Vec::new();
        let mut push = |at, what| events.push(TimelineEvent { at, what });
        if let Some(task) = &self.finished {
            push(task.submitted_at, TimelineKind::Submitted);
            if let Some(at) = task.claimed_at {
                let worker = task.worker.clone().unwrap_or_default();
                push(at, TimelineKind::Claimed { worker, version: task.version.clone() });
            }
        } else if let Some(task) = self.live.as_ref().and_then(|live| live.task.as_ref()) {
            push(task.submitted_at, TimelineKind::Submitted);
        }
        if let Some(LiveTask { worker: Some(worker), running_ms: Some(ms), .. }) = &self.live {
            let what = TimelineKind::Claimed { worker: worker.clone(), version: None };
            push(now_ms().saturating_sub(*ms), what);
        }
        for step in &self.steps {
            match &step.what {
                StepKind::Retried { worker, claimed_at, version, .. } => {
                    let worker = worker.clone();
                    let version = version.clone();
                    push(*claimed_at, TimelineKind::Claimed { worker, version });
                }
                StepKind::WorkerLost { worker, claimed_at } => {
                    let worker = worker.clone();
                    push(*claimed_at, TimelineKind::Claimed { worker, version: None });
                }
                StepKind::Delivered { .. } | StepKind::Undeliverable => {}
            }
            push(step.at, TimelineKind::Step(step.what.clone()));
        }
        if let Some(task) = &self.finished {
            let reason = task.error.clone();
            let status = task.status;
            let code = task.code.clone();
            push(task.ended_at, TimelineKind::Ended { status, code, reason });
        }
        // Stable: what has the same time stays in the order of a task's life, except that the answer follows the end.
        events.sort_by_key(|event| (event.at, order(&event.what)));
        events
    }
}

/// The order of what has the same time.
fn order(what: &TimelineKind) -> u8 {
    match what {
        TimelineKind::Submitted => 0,
        TimelineKind::Claimed { .. } => 1,
        TimelineKind::Step(StepKind::Retried { .. } | StepKind::WorkerLost { .. }) => 2,
        TimelineKind::Ended { .. } => 3,
        TimelineKind::Step(StepKind::Delivered { .. } | StepKind::Undeliverable) => 4,
    }
}
