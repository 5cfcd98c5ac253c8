//! Runs the queue's tasks with the plugins in force.

use std::sync::Arc;

use ops::health::Turns;
use ops::trace::{self, Current};
use queue::config::RetryPolicy;
use queue::{
    FailureCode, Finish, Handled, Lease, OfferedPlugin, TaskHandler, TaskResult, WorkerFacts,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;

use crate::plugin::load::Loader;
use crate::plugin::publish::Publisher;
use crate::plugin::publish::catalog::PluginCatalog;
use crate::plugin::publish::history::History;
use crate::{facts, runner, spans};

/// Runs tasks with the plugins of a catalogue.
#[derive(Debug)]
pub struct PluginHandler {
    engine: Engine,
    publisher: Publisher,
    worker: String,
    retry: RetryPolicy,
    turns: Option<Turns>,
    facts: WorkerFacts,
}

impl PluginHandler {
    /// Runs tasks with the plugins of `catalog`, which `loader` loaded. Results carry the name `worker`.
    pub fn new(
        loader: &Loader,
        catalog: Arc<PluginCatalog>,
        worker: String,
        retry: RetryPolicy,
    ) -> Self {
        let archive = loader.archive().cloned();
        let facts = WorkerFacts::default();
        let publisher = Publisher { catalog, archive, accepted: loader.memory(), history: None };
        Self { engine: loader.engine().clone(), publisher, worker, retry, turns: None, facts }
    }

    /// Adds rollbacks to `history`.
    #[must_use]
    pub fn with_history(mut self, history: History) -> Self {
        self.publisher.history = Some(history);
        self
    }

    /// Tells people `facts`, and what changes of them.
    #[must_use]
    pub(crate) fn with_facts(mut self, facts: WorkerFacts) -> Self {
        self.facts = facts;
        self
    }

    /// Tells `turns` of each turn of the worker's loop.
    #[must_use]
    pub fn with_turns(mut self, turns: Turns) -> Self {
        self.turns = Some(turns);
        self
    }
}

impl PluginHandler {
    async fn run(&self, lease: &Lease, cancelled: CancellationToken) -> Handled {
        let catalog = &self.publisher.catalog;
        // The task stays on this version, whatever is published from now on.
        let Some(version) = catalog.get(&lease.task.task_type) else {
            // The plugin was removed since the claim; another worker may have it.
            let result =
                TaskResult::failure(FailureCode::UnknownTaskType, "no plugin for this task type");
            return Handled::new(result, Finish::Requeue);
        };
        let ran =
            runner::run(&self.engine, &version, lease, &self.worker, &self.retry, &cancelled).await;
        for remark in &ran.remarks {
            tracing::warn!(plugin = version.name(), task_id = %lease.task.task_id, "{remark}");
        }
        let handled = ran.handled;
        version.task_counts.record(handled.result.failure_code());
        if let Some(rolled_back) = catalog.roll_back_if_failing(&version) {
            self.publisher.report_rollback(&version, &rolled_back).await;
        }
        handled
    }
}

impl TaskHandler for PluginHandler {
    async fn handle(&self, lease: &Lease, cancelled: CancellationToken) -> Handled {
        let mut span = spans::process(lease, &self.worker);
        let current = Current::new(span.context()).with_task(lease.task.task_id.as_str());
        let handled = trace::within(Some(current), self.run(lease, cancelled)).await;
        spans::processed(&mut span, &handled);
        handled
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.publisher.catalog.offered()
    }

    fn facts(&self) -> Option<WorkerFacts> {
        let plugins = self.publisher.catalog.facts();
        let facts = WorkerFacts { plugins, ..self.facts.clone() };
        Some(facts::with_memory(facts, &self.engine))
    }

    fn turned(&self) {
        if let Some(turns) = &self.turns {
            turns.turned();
        }
    }
}
