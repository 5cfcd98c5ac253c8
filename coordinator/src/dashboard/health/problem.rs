//! Something that is wrong.

use crate::dashboard::trend::Since;
use crate::dashboard::words::short;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// People get no answers, or wrong ones.
    Bad,
    /// Somebody should look.
    Warn,
}

impl Severity {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warn => "warn",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bad => "Problem",
            Self::Warn => "Warning",
        }
    }
}

/// A page of the dashboard: address, name.
pub(super) type Link = (&'static str, &'static str);

pub(super) const TYPES: Link = ("/types", "Types");
pub(super) const TASKS: Link = ("/tasks", "Tasks");
pub(super) const WORKERS: Link = ("/workers", "Workers");
pub(super) const PLUGINS: Link = ("/plugins", "Plugins");
pub(super) const DEAD: Link = ("/dead", "Dead letters");
pub(super) const CHATS: Link = ("/chats", "Chats");

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// What is wrong.
    pub(crate) what: String,
    /// Why, and what helps.
    pub(crate) why: String,
    /// What a plugin said. It may quote what a person typed, so only an administrator sees it.
    pub(crate) reason: Option<String>,
    /// The page where it can be mended.
    pub(crate) page: Option<Link>,
    pub(crate) since: Since,
    /// The same problem has the same key.
    pub(super) key: String,
    /// When it began, where that is known; otherwise it is when it was noticed.
    pub(super) began: Option<Since>,
}

impl Problem {
    pub(super) fn new(severity: Severity, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity,
            what: what.into(),
            why: String::new(),
            reason: None,
            page: None,
            since: Since { at: 0, or_earlier: false },
            key: key.into(),
            began: None,
        }
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    pub(super) fn reason(mut self, reason: Option<&str>) -> Self {
        let reason = reason.filter(|reason| !reason.is_empty());
        self.reason = reason.map(|reason| short(reason, 200));
        self
    }

    pub(super) fn page(mut self, page: Link) -> Self {
        self.page = Some(page);
        self
    }

    pub(super) fn began(mut self, at: u64, or_earlier: bool) -> Self {
        self.began = Some(Since { at, or_earlier });
        self
    }
}
