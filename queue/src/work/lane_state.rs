//! One lane of a worker, as the running tasks and the loops see it: its results, what it holds unstarted, and its wake-ups.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::task_queue::TaskQueue;
use crate::task::{FailureCode, Lane, TaskResult};
use crate::work::handler::{Handled, TaskHandler};
use crate::work::held::HeldLeases;
use crate::work::lease::{Finish, Lease};
use crate::work::read_ahead::RunTime;
use crate::work::room::{Permit, Room};

/// What all lanes of a worker share.
#[derive(Debug)]
pub(crate) struct Shared<H> {
    pub(crate) queue: TaskQueue,
    pub(crate) handler: Arc<H>,
    pub(crate) worker: String,
    pub(crate) concurrency: usize,
    pub(crate) held: HeldLeases,
    pub(crate) room: Room,
    /// A permit was given up.
    pub(crate) freed: Notify,
    /// The tasks that run.
    pub(crate) running: TaskTracker,
    /// No more claims; what has not started is given back.
    pub(crate) draining: CancellationToken,
    /// No more results come: the lanes end when all are stored.
    pub(crate) closing: CancellationToken,
}

/// A result that waits to be stored.
pub(super) type Unstored = (Arc<Lease>, Handled);

/// One lane, as the worker's loop and the running tasks see it.
#[derive(Debug)]
pub(crate) struct LaneState<H> {
    pub(super) shared: Arc<Shared<H>>,
    pub(super) lane: Lane,
    pub(super) run_time: RunTime,
    pub(super) ahead: Mutex<VecDeque<(Arc<Lease>, Instant)>>,
    pub(super) results: Mutex<Vec<Unstored>>,
    /// Something changed that the lane's loop must look at.
    pub(super) changed: Notify,
    /// A wake-up came that no claim has answered yet.
    pub(super) woken: AtomicBool,
    /// A plugin handles the lane's type.
    pub(super) offered: AtomicBool,
    pub(super) runners: AtomicUsize,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<H: TaskHandler> LaneState<H> {
    pub(super) fn new(shared: &Arc<Shared<H>>, lane: &Lane) -> Self {
        Self {
            shared: Arc::clone(shared),
            lane: lane.clone(),
            run_time: RunTime::new(),
            ahead: Mutex::default(),
            results: Mutex::default(),
            changed: Notify::new(),
            woken: AtomicBool::new(true),
            offered: AtomicBool::new(true),
            runners: AtomicUsize::new(0),
        }
    }

    /// There may be work.
    pub(crate) fn wake(&self) {
        self.woken.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Whether a plugin handles its type.
    pub(crate) fn is_offered(&self) -> bool {
        self.offered.load(Ordering::Relaxed)
    }

    /// Whether none of its tasks runs, or one is likely to end within milliseconds.
    pub(crate) fn is_fast(&self) -> bool {
        self.runners.load(Ordering::Relaxed) == 0 || self.run_time.ends_soon()
    }

    /// Whether a plugin handles its type from now on.
    pub(crate) fn set_offered(&self, offered: bool) {
        if self.offered.swap(offered, Ordering::Relaxed) != offered {
            self.wake();
        }
    }

    /// A result, or a task to give back, is to be stored.
    pub(crate) fn store(&self, lease: Arc<Lease>, handled: Handled) {
        lock(&self.results).push((lease, handled));
        self.changed.notify_one();
    }

    /// Gives a task back without having run it to its end.
    pub(crate) fn give_back(&self, lease: Arc<Lease>) {
        let result = TaskResult::failure(FailureCode::HostError, "the worker was stopped");
        self.store(lease, Handled::new(result, Finish::Requeue));
    }

    /// Runs a task, and then those that were read ahead, as long as no other lane waits for room.
    pub(super) async fn run_tasks(self: Arc<Self>, permit: Permit, first: Arc<Lease>) {
        let runner = Runner::new(&self.runners);
        let mut next = Some(first);
        while let Some(lease) = next {
            self.run_task(lease).await;
            if self.shared.room.is_wanted() {
                break;
            }
            tokio::task::consume_budget().await;
            next = lock(&self.ahead).pop_front().map(|(lease, _)| lease);
        }
        drop(permit);
        drop(runner);
        self.changed.notify_one();
        self.shared.freed.notify_one();
    }

    async fn run_task(&self, lease: Arc<Lease>) {
        let Some(signals) = self.shared.held.start(&lease) else { return };
        let started = Instant::now();
        let handling =
            AssertUnwindSafe(self.shared.handler.handle(&lease, signals.cancelled)).catch_unwind();
        // An abandoned task's future is dropped here, and with it whatever it ran.
        let handled = tokio::select! {
            () = signals.abandoned.cancelled() => return,
            handled = handling => handled,
        };
        self.run_time.record(started.elapsed());
        match handled {
            Ok(handled) => {
                if self.shared.held.finish(&lease) {
                    self.store(lease, handled);
                }
            }
            Err(_) => {
                // A fault of our own. The lease is no longer renewed: it ends, and the task runs elsewhere.
                tracing::error!(task_id = %lease.task.task_id, "a task's handler panicked");
                self.shared.held.remove(std::iter::once(&*lease));
            }
        }
    }
}

/// Counts a task of the runtime that runs the lane's tasks.
struct Runner<'a>(&'a AtomicUsize);

impl<'a> Runner<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
