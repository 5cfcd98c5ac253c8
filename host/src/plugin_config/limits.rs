//! The limits of one task: defaults, what an operator may set, and the most that a settings file can allow.

use std::time::Duration;

use serde::Deserialize;

use crate::config::Ceilings;

/// The limits of one task.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From start to answer.
    pub wall: Duration,
    /// Processor time.
    pub cpu: Duration,
    /// Sum of all linear memories, in bytes.
    pub memory_bytes: usize,
    /// Entries of one table.
    pub table_elements: usize,
    /// Handles (streams, requests and the like) open at once.
    pub handles: usize,
    /// Data passed to the host in one call, in bytes.
    pub hostcall_bytes: usize,
    /// Size of the params, in bytes of JSON.
    pub input_bytes: usize,
    /// Size of the answer's data and metadata, in bytes.
    pub output_bytes: usize,
    /// Log lines. More are dropped.
    pub log_lines: u32,
    /// Sum of the log lines, in bytes. More are dropped.
    pub log_bytes: usize,
    /// HTTP requests.
    pub http_requests: u32,
    /// Body of one request, in bytes.
    pub http_request_bytes: usize,
    /// Body of one response, in bytes.
    pub http_response_bytes: usize,
    /// Cache calls.
    pub cache_calls: u32,
    /// One cache entry, in bytes.
    pub cache_entry_bytes: usize,
    /// Sum of what it stores in the cache, in bytes: the queue is in the same Redis.
    pub cache_bytes: usize,
}

impl Limits {
    /// Whether no limit is higher than in `other`.
    pub(crate) fn within(&self, other: &Self) -> bool {
        let sizes = |limits: &Self| {
            [
                limits.memory_bytes,
                limits.table_elements,
                limits.handles,
                limits.hostcall_bytes,
                limits.input_bytes,
                limits.output_bytes,
                limits.log_bytes,
                limits.http_request_bytes,
                limits.http_response_bytes,
                limits.cache_entry_bytes,
                limits.cache_bytes,
            ]
        };
        let counts = |limits: &Self| [limits.log_lines, limits.http_requests, limits.cache_calls];
        let times = |limits: &Self| [limits.wall, limits.cpu];
        sizes(self).iter().zip(sizes(other)).all(|(mine, theirs)| *mine <= theirs)
            && counts(self).iter().zip(counts(other)).all(|(mine, theirs)| *mine <= theirs)
            && times(self).iter().zip(times(other)).all(|(mine, theirs)| *mine <= theirs)
    }
}

/// The `[limits]` of a settings file.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    wall_ms: u32,
    cpu_ms: u32,
    max_memory_mb: u32,
    max_table_elements: u32,
    max_handles: u32,
    max_hostcall_kb: u32,
    max_input_kb: u32,
    max_output_kb: u32,
    max_log_lines: u32,
    max_log_kb: u32,
    max_http_requests: u32,
    max_http_request_kb: u32,
    max_http_response_kb: u32,
    max_cache_calls: u32,
    max_cache_entry_kb: u32,
    max_cache_kb: u32,
}

impl Default for RawLimits {
    /// After 30 s people no longer wait for an answer in a chat; 5 s of processor time is a hundred times what a search takes;
    /// 256 MB holds an index of a large catalogue; 1 MB of answer is a few hundred chat messages.
    fn default() -> Self {
        Self {
            wall_ms: 30_000,
            cpu_ms: 5_000,
            max_memory_mb: 256,
            max_table_elements: MAX_TABLE_ELEMENTS,
            max_handles: 256,
            max_hostcall_kb: 8_192,
            max_input_kb: 256,
            max_output_kb: 1_024,
            max_log_lines: 200,
            max_log_kb: 64,
            max_http_requests: 8,
            max_http_request_kb: 1_024,
            max_http_response_kb: 4_096,
            max_cache_calls: 100,
            max_cache_entry_kb: 1_024,
            max_cache_kb: 8_192,
        }
    }
}

/// Entries of one table in the engine's pool.
pub(crate) const MAX_TABLE_ELEMENTS: u32 = 100_000;

/// The most that a settings file can allow. A task may live two minutes; the other limits keep a thousand tasks at once
/// within a server's means. The ceiling for memory is a setting of the server.
const HIGHEST: RawLimits = RawLimits {
    wall_ms: 120_000,
    cpu_ms: 60_000,
    max_memory_mb: u32::MAX,
    max_table_elements: MAX_TABLE_ELEMENTS,
    max_handles: 10_000,
    max_hostcall_kb: 65_536,
    max_input_kb: 1_024,
    max_output_kb: 8_192,
    max_log_lines: 10_000,
    max_log_kb: 1_024,
    max_http_requests: 100,
    max_http_request_kb: 16_384,
    max_http_response_kb: 65_536,
    max_cache_calls: 1_000,
    max_cache_entry_kb: 8_192,
    max_cache_kb: 65_536,
};

impl RawLimits {
    /// Name, value, and whether the value may be 0.
    fn named(&self) -> [(&'static str, u32, bool); 16] {
        [
            ("wall_ms", self.wall_ms, false),
            ("cpu_ms", self.cpu_ms, false),
            ("max_memory_mb", self.max_memory_mb, false),
            ("max_table_elements", self.max_table_elements, false),
            ("max_handles", self.max_handles, false),
            ("max_hostcall_kb", self.max_hostcall_kb, false),
            ("max_input_kb", self.max_input_kb, false),
            ("max_output_kb", self.max_output_kb, false),
            ("max_log_lines", self.max_log_lines, true),
            ("max_log_kb", self.max_log_kb, true),
            ("max_http_requests", self.max_http_requests, true),
            ("max_http_request_kb", self.max_http_request_kb, true),
            ("max_http_response_kb", self.max_http_response_kb, true),
            ("max_cache_calls", self.max_cache_calls, true),
            ("max_cache_entry_kb", self.max_cache_entry_kb, true),
            ("max_cache_kb", self.max_cache_kb, true),
        ]
    }
}

impl RawLimits {
    /// Every limit by its name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.named().into_iter().map(|(name, value, _)| (name, value))
    }
}

impl Limits {
    pub(super) fn from_raw(raw: &RawLimits, ceilings: &Ceilings) -> Result<Self, String> {
        let memory_mb = u32::try_from(ceilings.memory_bytes >> 20).unwrap_or(u32::MAX);
        let highest = RawLimits { max_memory_mb: memory_mb, ..HIGHEST };
        for ((name, value, may_be_zero), (_, highest, _)) in
            raw.named().into_iter().zip(highest.named())
        {
            if value > highest {
                return Err(format!(
                    "limits: {name} = {value} is above this server's ceiling of {highest}"
                ));
            }
            if value == 0 && !may_be_zero {
                return Err(format!("limits: {name} must be above 0"));
            }
        }
        Ok(Self {
            wall: Duration::from_millis(u64::from(raw.wall_ms)),
            cpu: Duration::from_millis(u64::from(raw.cpu_ms)),
            memory_bytes: (raw.max_memory_mb as usize) << 20,
            table_elements: raw.max_table_elements as usize,
            handles: raw.max_handles as usize,
            hostcall_bytes: kib(raw.max_hostcall_kb),
            input_bytes: kib(raw.max_input_kb),
            output_bytes: kib(raw.max_output_kb),
            log_lines: raw.max_log_lines,
            log_bytes: kib(raw.max_log_kb),
            http_requests: raw.max_http_requests,
            http_request_bytes: kib(raw.max_http_request_kb),
            http_response_bytes: kib(raw.max_http_response_kb),
            cache_calls: raw.max_cache_calls,
            cache_entry_bytes: kib(raw.max_cache_entry_kb),
            cache_bytes: kib(raw.max_cache_kb),
        })
    }
}

/// The limits of a plugin whose settings name none, by their keys.
pub(crate) fn default_limits() -> impl Iterator<Item = (&'static str, i64)> {
    RawLimits::default().named().into_iter().map(|(name, value, _)| (name, i64::from(value)))
}

fn kib(kib: u32) -> usize {
    (kib as usize) << 10
}
