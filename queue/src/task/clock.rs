//! This machine's clock. Between processes only Redis' clock counts.

/// This machine's clock in milliseconds since 1970. For texts and metadata only.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
