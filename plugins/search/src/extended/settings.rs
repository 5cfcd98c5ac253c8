//! The operator's settings of the extended search.

use kit::address::Base;
use kit::settings::whole_or_default;

const FILE: &str = "search.toml";
const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
/// What leaves a task's 30 s (`wall_ms`) some for its own work.
const MAX_TIMEOUT_SECONDS: u32 = 25;

/// The forum's software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Software {
    Discourse,
    XenForo,
}

/// Where the forum is, which software it runs and how long to wait for all that it is asked for one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub(super) base: Base,
    pub(super) software: Software,
    pub(super) timeout_ms: u32,
}

impl Settings {
    /// Reads the settings through `get`; none where there is no forum. The kind has to be right all the same, so that a
    /// mistake shows before the forum is there. What costs less than the whole extended search goes to `remarks`.
    ///
    /// # Errors
    ///
    /// What to set, as a sentence. It is for whoever loads the plugin to tell: the names are found without a forum.
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
