//! What tasks cost that ended between two moments.

use std::time::Instant;

use anyhow::ensure;

use crate::redis::Info;

/// Workers and servers at one moment.
pub(super) struct Moment {
    pub(super) at: Instant,
    /// Tasks that have ended.
    pub(super) ended: u64,
    /// Processor time of the workers.
    pub(super) cpu_us: f64,
    pub(super) info: Info,
    /// Commands of the measuring itself.
    pub(super) asked: u64,
}

/// What happened between moments, together.
#[derive(Default)]
pub(super) struct Drained {
    pub(super) tasks: u64,
    pub(super) seconds: f64,
    cpu_us: f64,
    info: Info,
}

/// The same, of one task.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PerTask {
    pub(super) worker_us: f64,
    pub(super) redis_us: f64,
    pub(super) commands: f64,
    pub(super) scripts: f64,
    pub(super) round_trips: f64,
}

impl Drained {
    pub(super) fn add(&mut self, first: &Moment, last: &Moment) {
        self.tasks += last.ended - first.ended;
        self.seconds += (last.at - first.at).as_secs_f64();
        self.cpu_us += last.cpu_us - first.cpu_us;
        let info = last.info.since(&first.info).without(last.asked - first.asked);
        self.info = std::mem::take(&mut self.info).plus(info);
    }

    pub(super) fn per_task(&self) -> anyhow::Result<PerTask> {
        ensure!(self.tasks > 0, "the tasks ended too fast to be counted");
        let tasks = self.tasks as f64;
        Ok(PerTask {
            worker_us: self.cpu_us / tasks,
            redis_us: self.info.cpu_us / tasks,
            commands: self.info.commands as f64 / tasks,
            scripts: self.info.scripts() as f64 / tasks,
            round_trips: self.info.reads as f64 / tasks,
        })
    }
}
