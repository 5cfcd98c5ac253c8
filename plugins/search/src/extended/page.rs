//! What a forum found, whatever its software.

use kit::json::Unreadable;

/// A page of threads.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) hits: Vec<Hit>,
    pub(super) more: bool,
    pub(super) unreadable: Unreadable,
}

/// One thread.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) title: String,
    pub(super) url: String,
    pub(super) replies: u64,
    /// The day it was opened.
    pub(super) date: Option<String>,
    pub(super) snippet: String,
    pub(super) thumbnail: Option<String>,
}
