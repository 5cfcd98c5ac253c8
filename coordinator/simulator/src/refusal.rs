//! Telegram's refusals.

/// Why a call is refused, as Telegram says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `error_code` and HTTP status.
    pub(crate) code: u16,
    /// `description`.
    pub(crate) description: String,
    /// `parameters.retry_after`, in seconds.
    pub(crate) retry_after: Option<u32>,
    /// `parameters.migrate_to_chat_id`.
    pub(crate) migrate_to_chat_id: Option<i64>,
}

impl Refusal {
    /// `400 Bad Request: …`.
    pub(crate) fn bad(description: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Bad Request: {description}"))
    }

    pub(crate) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None, migrate_to_chat_id: None }
    }

    pub(crate) fn too_many(retry_after: u32) -> Self {
        let description = format!("Too Many Requests: retry after {retry_after}");
        Self { retry_after: Some(retry_after), ..Self::new(429, description) }
    }

    pub(crate) fn moved(to: i64) -> Self {
        let moved = Self::bad("group chat was upgraded to a supergroup chat");
        Self { migrate_to_chat_id: Some(to), ..moved }
    }
}
