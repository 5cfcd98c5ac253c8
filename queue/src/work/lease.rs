//! A claimed task and the right to finish it.

use std::time::Duration;

use tokio::time::Instant;

use crate::task::Task;

/// A task that a worker holds. Only the holder's token can finish it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// What to do.
    pub task: Task,
    /// Fences a late holder: it changes with every claim.
    pub(crate) token: String,
    /// How often it failed before.
    pub failures: u32,
    /// How often a worker died holding it.
    pub crashes: u32,
    /// When the person is told at the latest, by this process's clock.
    pub deadline: Instant,
    /// When the lease ends unless it is renewed, by this process's clock, counted from before the claim was sent:
    /// never later than in Redis.
    pub ends_at: Instant,
    /// Claimed before there was room for it: it is recorded as running only once it starts.
    pub(crate) read_ahead: bool,
}

impl Lease {
    /// A lease that no queue knows of: to try a task out.
    pub fn offline(task: Task, time: Duration) -> Self {
        let deadline = Instant::now() + time;
        let token = String::new();
        Self {
            task,
            token,
            failures: 0,
            crashes: 0,
            deadline,
            ends_at: deadline,
            read_ahead: false,
        }
    }

    /// What is left until the deadline.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// How a worker ends its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// With an answer.
    Done,
    /// With a failure that is final.
    Failed,
    /// With a failure that may pass; tried again after the delay when that is still before the deadline.
    RetryAfter(Duration),
    /// Because somebody cancelled it.
    Cancelled,
    /// Without having run: back to the queue, no attempt used.
    Requeue,
}

/// What became of a finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The result is stored.
    Stored,
    /// It will be tried again.
    Retrying,
    /// It is back in the queue.
    Requeued,
    /// The lease had passed to somebody else, or the task had ended: the result was refused.
    Stale,
}

/// What a renewal says about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It runs on.
    Renewed,
    /// It runs on, and somebody asked to cancel the task.
    CancelRequested,
    /// It is somebody else's now; the work must stop.
    Lost,
    /// The server refuses to renew anything, and so to give it to anybody else. After that it gives holders a lease's time.
    Refused,
}
