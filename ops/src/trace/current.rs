//! What the running future works on: its trace and its task, for log lines and for the spans below.

use std::sync::Arc;

use super::context::TraceContext;

tokio::task_local! {
    static CURRENT: Option<Current>;
}

/// The trace, and the task if there is one, that a future works on.
#[derive(Debug, Clone)]
pub struct Current {
    context: TraceContext,
    task_id: Option<Arc<str>>,
}

impl Current {
    /// Work in a trace, for no task yet.
    pub fn new(context: TraceContext) -> Self {
        Self { context, task_id: None }
    }

    /// The same for the task `id`.
    #[must_use]
    pub fn with_task(self, id: &str) -> Self {
        Self { task_id: Some(id.into()), ..self }
    }

    /// The same task, in the step that `context` names.
    #[must_use]
    pub fn in_step(self, context: TraceContext) -> Self {
        Self { context, ..self }
    }

    /// The place in the trace.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    pub(crate) fn task_id(&self) -> Option<&str> {
        self.task_id.as_deref()
    }
}

/// What the running future works on, if it was told so by [`within`].
///
/// A spawned task does not inherit it: whoever spawns one for the same work takes it along.
pub fn current() -> Option<Current> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// The step that a new span is caused by.
pub fn parent() -> Option<TraceContext> {
    CURRENT.try_with(|current| current.as_ref().map(Current::context)).ok().flatten()
}

/// Runs `work` as a part of `current`; without one, as a part of nothing.
///
/// # Cancel safety
///
/// As `work`.
pub fn within<F: Future>(current: Option<Current>, work: F) -> impl Future<Output = F::Output> {
    // Not an `async fn`, which would hold `work` twice.
    CURRENT.scope(current, work)
}

/// Keeps `work`, which another task will run, a part of what is current here.
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    within(current(), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_knows_its_trace_and_its_task_and_what_is_spawned_beside_it_does_not() {
        let context = TraceContext::unsampled_root();
        let current = Current::new(context).with_task("{a}1");
        let seen = within(Some(current), async {
            let spawned = tokio::spawn(async { parent() }).await.unwrap();
            (parent(), super::current().and_then(|it| it.task_id().map(str::to_owned)), spawned)
        });
        assert_eq!(seen.await, (Some(context), Some("{a}1".to_owned()), None));
        assert_eq!(parent(), None);
    }
}
