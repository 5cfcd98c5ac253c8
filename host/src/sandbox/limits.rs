//! The limits of one task, and which of them it reached.

pub(crate) mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use queue::FailureCode;

/// A limit of one task. Reaching it fails the task, or, where the host only refuses the guest a call, is noted in the
/// result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Time from start to answer.
    Wall,
    /// Time on a processor.
    Cpu,
    /// Linear memory.
    Memory,
    /// Entries of a table.
    Table,
    /// Depth of calls.
    Stack,
    /// Handles held.
    Handles,
    /// Bytes handed to the host.
    HostCall,
    /// Bytes of params.
    Input,
    /// Bytes of the answer.
    Output,
    /// Log lines or bytes.
    Log,
    /// Requests sent.
    Requests,
    /// Bytes of one request's body.
    RequestBody,
    /// Bytes of one response's body.
    ResponseBody,
    /// Cache calls, or bytes stored.
    Cache,
}

impl Limit {
    const ALL: [Self; 14] = [
        Self::Wall,
        Self::Cpu,
        Self::Memory,
        Self::Table,
        Self::Stack,
        Self::Handles,
        Self::HostCall,
        Self::Input,
        Self::Output,
        Self::Log,
        Self::Requests,
        Self::RequestBody,
        Self::ResponseBody,
        Self::Cache,
    ];

    /// Its bit in [`Breaches`].
    fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The failure code and the metric's label.
    pub(crate) fn code(self) -> FailureCode {
        match self {
            Self::Wall => FailureCode::WallLimit,
            Self::Cpu => FailureCode::CpuLimit,
            Self::Memory => FailureCode::MemoryLimit,
            Self::Table => FailureCode::TableLimit,
            Self::Stack => FailureCode::StackLimit,
            Self::Handles => FailureCode::HandleLimit,
            Self::HostCall => FailureCode::HostCallLimit,
            Self::Input => FailureCode::InputLimit,
            Self::Output => FailureCode::OutputLimit,
            Self::Log => FailureCode::LogLimit,
            Self::Requests => FailureCode::RequestLimit,
            Self::RequestBody => FailureCode::RequestBodyLimit,
            Self::ResponseBody => FailureCode::ResponseLimit,
            Self::Cache => FailureCode::CacheLimit,
        }
    }
}

/// The limits that one task reached. Clones share their contents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaches(Arc<AtomicU32>);

impl Breaches {
    pub(crate) fn note(&self, limit: Limit) {
        self.0.fetch_or(limit.bit(), Ordering::Relaxed);
    }

    pub(crate) fn has(&self, limit: Limit) -> bool {
        self.0.load(Ordering::Relaxed) & limit.bit() != 0
    }

    /// All of them, in the order of [`Limit`].
    pub(crate) fn all(&self) -> impl Iterator<Item = Limit> {
        Limit::ALL.into_iter().filter(|limit| self.has(*limit))
    }
}
