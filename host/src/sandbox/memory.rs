//! Linear memory and tables, limited over all of an instance.

use wasmtime::ResourceLimiter;

use crate::sandbox::limits::{Breaches, Limit};

/// Limits the sum of all memories of an instance, and records its peak.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit: usize,
    table_elements: usize,
    used: usize,
    /// The largest sum so far, in bytes.
    pub(crate) peak: usize,
    /// Where refusals are noted: the guest only sees its allocator fail.
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
        // The engine refuses this after us, and what it refuses must not be counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
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
        if desired > self.table_elements {
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
