//! The operator's settings of the extended search.

use kit::address::Base;
use kit::settings::whole_or_default;

const FILE: &str = "search.toml";
const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
/// Leaves some of a task's 30 s (`wall_ms`) for its own work.
const MAX_TIMEOUT_SECONDS: u32 = 25;

/// The forum's software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Software {
    Discourse,
    XenForo,
}

/// Address and software of the forum, and the time limit for all requests of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub(super) base: Base,
    pub(super) software: Software,
    pub(super) timeout_ms: u32,
}

impl Settings {
    /// Reads the settings through `get`; none without a forum. The kind is checked even then, so that a mistake is noticed
    /// early. Small mistakes only add to `remarks`.
    ///
    /// # Errors
    ///
    /// What to set, as a sentence. The caller reports it and goes on, because names are found without a forum.
    pub fn from(
        get: impl Fn(&str) -> Option<String>,
        remarks: &mut Vec<String>,
    ) -> Result<Option<Self>, String> {
        let key = "extended_search_timeout_seconds";
        let default = DEFAULT_TIMEOUT_SECONDS;
        let range = 1..=MAX_TIMEOUT_SECONDS;
        let timeout = whole_or_default((FILE, key), get(key).as_deref(), default, range, remarks);
        let kind = get("extended_search_kind").map(|kind| kind.trim().to_ascii_lowercase());
        let software = match kind.as_deref() {
            None | Some("discourse") => Software::Discourse,
            Some("xenforo") => Software::XenForo,
            Some(_) => {
                return Err(
                    "`extended_search_kind` in search.toml is `discourse` or `xenforo`".to_owned()
                );
            }
        };
        let url = get("extended_search_url").filter(|url| !url.trim().is_empty());
        let Some(url) = url else { return Ok(None) };
        let base = Base::parse(&url)
            .map_err(|problem| format!("`extended_search_url` in search.toml {problem}"))?;
        Ok(Some(Self { base, software, timeout_ms: timeout * 1_000 }))
    }
}
