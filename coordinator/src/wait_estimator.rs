//! Estimates how long a task will wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use queue::{TaskResult, TaskType, WorkerRecord};
use serde_json::Value;

/// Weight of the newest run in the moving average: about the last ten count.
const NEWEST: f64 = 0.2;

/// Run times of the last tasks that this process delivered, and how many tasks run at once.
#[derive(Debug, Default)]
pub(crate) struct WaitEstimator {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    run_ms: HashMap<TaskType, f64>,
    slots: HashMap<TaskType, usize>,
}

impl WaitEstimator {
    /// Records how long a task ran.
    pub(crate) fn record_run(&self, task_type: &TaskType, result: &TaskResult) {
        let run_ms = result.metadata.get("run_ms").and_then(Value::as_f64);
        let Some(run_ms) = run_ms.filter(|ms| ms.is_finite() && *ms >= 0.0) else { return };
        self.change(|known| {
            let average = known.run_ms.entry(task_type.clone()).or_insert(run_ms);
            *average += NEWEST * (run_ms - *average);
        });
    }

    /// Records the living workers.
    pub(crate) fn record_workers(&self, workers: &[WorkerRecord]) {
        let mut slots: HashMap<TaskType, usize> = HashMap::new();
        for worker in workers.iter().filter(|worker| !worker.drained) {
            for task_type in worker.plugins.iter().flat_map(|plugin| &plugin.task_types) {
                *slots.entry(task_type.clone()).or_default() += worker.concurrency;
            }
        }
        self.change(|known| known.slots = slots);
    }

    /// Whether some worker offers this type.
    pub(crate) fn is_offered(&self, task_type: &TaskType) -> bool {
        self.change(|known| known.slots.contains_key(task_type))
    }

    /// The wait of a task with `before` tasks before it; none when nothing is known.
    pub(crate) fn estimate(&self, task_type: &TaskType, before: u64) -> Option<Duration> {
        self.change(|known| {
            let run_ms = *known.run_ms.get(task_type)?;
            let slots = known.slots.get(task_type).copied().filter(|slots| *slots > 0)?;
            let rounds = (before + 1).div_ceil(slots as u64);
            // An estimate of more than an hour is of no help.
            let wait = Duration::from_secs_f64((rounds as f64 * run_ms / 1_000.0).min(3_600.0));
            Some(wait)
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut Known) -> R) -> R {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use queue::OfferedPlugin;

    use super::*;

    #[test]
    fn an_estimate_is_rounds_of_what_runs_at_once() {
        let estimator: WaitEstimator = WaitEstimator::default();
        let search: TaskType = "search".parse().unwrap();
        assert_eq!(estimator.estimate(&search, 5), None);
        let mut result = TaskResult::success(Value::Null);
        result.metadata.insert("run_ms".to_owned(), 2_000.into());
        estimator.record_run(&search, &result);
        assert_eq!(estimator.estimate(&search, 5), None, "nobody is there");
        assert!(!estimator.is_offered(&search));
        let plugin = OfferedPlugin {
            name: "search".to_owned(),
            version: "1.0.0".to_owned(),
            digest: String::new(),
            task_types: vec![search.clone()],
            commands: Vec::new(),
        };
        let worker = WorkerRecord {
            worker: "w".to_owned(),
            concurrency: 4,
            plugins: vec![plugin],
            ..WorkerRecord::default()
        };
        let drained = WorkerRecord { worker: "d".to_owned(), drained: true, ..worker.clone() };
        estimator.record_workers(&[worker, drained]);
        assert!(estimator.is_offered(&search));
        for (before, seconds) in [(0, 2), (3, 2), (4, 4), (11, 6)] {
            assert_eq!(estimator.estimate(&search, before), Some(Duration::from_secs(seconds)));
        }
    }
}
