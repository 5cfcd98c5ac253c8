//! What a task runs into, and linear memory and tables, counted over all of an instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use queue::FailureCode;
use wasmtime::ResourceLimiter;

/// A limit of one task. A breach is a failure's code, or, where the guest is only told no, a note in the result.
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

    /// Its place among [`Breaches`].
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

/// The limits that one task ran into. Clones are the same task's.
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

/// Sums what an instance's memories take and keeps the peak.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit: usize,
    table_elements: usize,
    used: usize,
    /// Most bytes in use so far.
    pub(crate) peak: usize,
    /// Where a refusal is noted: the guest only sees its allocator fail.
    breaches: Breaches,
}

impl MemoryLimiter {
    pub(crate) fn new(limit: usize, table_elements: usize, breaches: Breaches) -> Self {
        Self { limit, table_elements, used: 0, peak: 0, breaches }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The engine would refuse it after us, and what it refuses must not stay counted.
        if maximum.is_some_and(|maximum| maximum < desired) {
            return Ok(false);
        }
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if self.limit < used {
            self.breaches.note(Limit::Memory);
            return Ok(false);
        }
        self.used = used;
        self.peak = self.peak.max(used);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if self.table_elements < desired {
            self.breaches.note(Limit::Table);
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        32
    }

    fn tables(&self) -> usize {
        32
    }

    fn memories(&self) -> usize {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() {
        let breaches = Breaches::default();
        let mut limiter = MemoryLimiter::new(100, 10, breaches.clone());
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(breaches.has(Limit::Memory));
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert_eq!(limiter.peak, 100);
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.table_growing(10, 11, None).unwrap());
        assert_eq!(
            breaches.all().map(|limit| limit.code().as_str()).collect::<Vec<_>>(),
            ["memory-limit", "table-limit"]
        );
    }

    #[test]
    fn what_a_memorys_own_type_forbids_is_not_counted() {
        let breaches = Breaches::default();
        let mut limiter = MemoryLimiter::new(100, 10, breaches.clone());
        assert!(limiter.memory_growing(0, 20, Some(30)).unwrap());
        assert!(!limiter.memory_growing(20, 90, Some(30)).unwrap());
        assert_eq!((limiter.peak, breaches.all().count()), (20, 0));
        assert!(limiter.memory_growing(0, 80, None).unwrap());
    }
}
