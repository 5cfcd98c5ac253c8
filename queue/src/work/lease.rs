//! Leases: the right to run a task and to finish it.

use std::time::Duration;

use tokio::time::Instant;

use crate::task::Task;

/// A claimed task. Only the token in its lease can finish it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The task.
    pub task: Task,
    /// Fencing token: changes with every claim, so a late holder is refused.
    pub(crate) token: String,
    /// Failed attempts before this one.
    pub failures: u32,
    /// Workers that died while running it.
    pub crashes: u32,
    /// The task's deadline, by this process's clock.
    pub deadline: Instant,
    /// When the lease ends unless it is renewed, by this process's clock, counted from before the claim was sent:
    /// never later than in Redis.
    pub ends_at: Instant,
    /// Claimed before there was room for it: it is recorded as running only once it starts.
    pub(crate) read_ahead: bool,
}

impl Lease {
    /// A lease without a queue, to try out a task.
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

    /// Time left until the deadline.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// How a worker ends its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// With an answer.
    Done,
    /// With a final failure.
    Failed,
    /// With a temporary failure: a retry after the delay if that is before the deadline, else a final failure.
    RetryAfter(Duration),
    /// Because it was cancelled.
    Cancelled,
    /// Without a run: back to the queue; no attempt is used.
    Requeue,
}

/// The outcome of a finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The result is stored.
    Stored,
    /// The task will be retried.
    Retrying,
    /// The task is back in the queue.
    Requeued,
    /// Another worker has the lease, or the task has ended: the result was refused.
    Stale,
}

/// The outcome of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The lease was extended.
    Renewed,
    /// The lease was extended, and the task's cancellation was requested.
    CancelRequested,
    /// Another worker has the lease, or the task has ended: the work must stop.
    Lost,
    /// The server refuses all writes, so no other worker can claim the task. When it accepts writes again, all leases are
    /// extended by one lease time.
    Refused,
}
