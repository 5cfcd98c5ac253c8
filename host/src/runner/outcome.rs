//! How a task ended, and the result and the end of the lease that follow from it.

use std::time::Duration;

use queue::config::RetryPolicy;
use queue::work::retry_delay;
use queue::{FailureCode, Finish, Lease, TaskResult};
use rand::Rng;
use serde_json::{Map, Value};

use crate::bindings::Answer;
use crate::sandbox::limits::{Breaches, Limit};

/// Longest reason that is reported to a person.
const MAX_REASON_CHARS: usize = 500;

/// How a task ended.
pub(super) enum Outcome {
    Output { data: Value, metadata: Map<String, Value> },
    Failed { code: FailureCode, reason: String, retry: Retry },
    Cancelled,
}

/// Whether the same task may succeed later.
#[derive(Clone, Copy)]
pub(super) enum Retry {
    Never,
    After { at_least: Option<Duration> },
}

impl Outcome {
    /// A failure that a retry would not change.
    pub(super) fn failed(code: FailureCode, reason: impl Into<String>) -> Self {
        Self::Failed { code, reason: reason.into(), retry: Retry::Never }
    }

    /// The task reached a limit.
    pub(super) fn over_limit(breaches: &Breaches, limit: Limit, reason: impl Into<String>) -> Self {
        breaches.note(limit);
        Self::failed(limit.code(), reason)
    }

    /// The task reached a limit, and there is nothing more to say.
    pub(super) fn limit_reached(breaches: &Breaches, limit: Limit) -> Self {
        Self::over_limit(breaches, limit, limit_reason(limit))
    }

    pub(super) fn of_answer(answer: Answer) -> Self {
        match answer {
            Answer::Output { data, metadata } => Self::Output { data, metadata },
            Answer::Invalid(reason) => Self::failed(FailureCode::InvalidParams, reason),
            Answer::NotFound(reason) => Self::failed(FailureCode::NotFound, reason),
            Answer::Fatal(reason) => Self::failed(FailureCode::PluginFailed, reason),
            Answer::Unreadable(reason) => Self::failed(FailureCode::InvalidOutput, reason),
            Answer::Retry { reason, after } => Self::Failed {
                code: FailureCode::RetriesExhausted,
                reason,
                retry: Retry::After { at_least: after },
            },
        }
    }

    /// The result to store, and how the lease ends.
    pub(super) fn conclude(self, lease: &Lease, policy: &RetryPolicy) -> (TaskResult, Finish) {
        match self {
            Self::Output { data, metadata } => {
                let mut result = TaskResult::success(data);
                result.metadata = metadata;
                (result, Finish::Done)
            }
            Self::Cancelled => {
                (TaskResult::failure(FailureCode::Cancelled, "cancelled"), Finish::Cancelled)
            }
            Self::Failed { code, reason, retry } => {
                let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
                let mut result = TaskResult::failure(code, reason);
                let (retryable, delay) = match retry {
                    Retry::Never => (false, None),
                    Retry::After { at_least } => {
                        let jitter = rand::rng().random_range(0..=25);
                        (true, retry_delay(policy, lease.failures + 1, at_least, jitter))
                    }
                };
                result.metadata.insert("retryable".to_owned(), retryable.into());
                (result, delay.map_or(Finish::Failed, Finish::RetryAfter))
            }
        }
    }
}

pub(super) fn limit_reason(limit: Limit) -> &'static str {
    match limit {
        Limit::Wall => "the plugin took too long",
        Limit::Cpu => "the plugin used up its processor time",
        Limit::Memory => "the plugin needed more memory than it may use",
        Limit::Table => "the plugin needed a larger table than it may use",
        Limit::Stack => "the plugin's calls went too deep",
        Limit::Handles => "the plugin holds more than it may at once",
        Limit::HostCall => "the plugin handed over more than it may in one call",
        Limit::Input => "the question is larger than the plugin may take",
        Limit::Output => "the answer is larger than the plugin may give",
        Limit::Log => "the plugin wrote more than it may",
        Limit::Requests => "the plugin sent more requests than it may",
        Limit::RequestBody => "the plugin's request is larger than it may be",
        Limit::ResponseBody => "a response is larger than the plugin may take",
        Limit::Cache => "the plugin used up its share of the cache",
    }
}
