//! The operator's settings: the table `[config]` of the plugin's file. Secrets are never here; the host adds them to requests.

use std::fmt;
use std::ops::RangeInclusive;

use crate::error::Error;
use crate::host;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    key: String,
    wanted: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the setting `{}` under [config] {}", self.key, self.wanted)
    }
}

impl std::error::Error for SettingError {}

impl From<SettingError> for Error {
    fn from(error: SettingError) -> Self {
        Self::fatal(error.to_string())
    }
}

/// The value of `key`; none when it is not set. A number or a boolean has its TOML spelling, a list or a table is JSON.
pub fn get(key: &str) -> Option<String> {
    host::config(key)
}

/// The value of `key`, which must be set.
///
/// # Errors
///
/// When it is not.
pub fn required(key: &str) -> Result<String, SettingError> {
    get(key).ok_or_else(|| SettingError { key: key.to_owned(), wanted: "is missing".to_owned() })
}

/// A whole number in a range, or `default` when it is not set.
///
/// # Errors
///
/// When it is set to anything else. A wrong value is reported, never adjusted.
pub fn whole(key: &str, default: u32, range: RangeInclusive<u32>) -> Result<u32, SettingError> {
    let Some(setting) = get(key) else { return Ok(default) };
    setting.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let wanted = format!("must be a whole number from {} to {}", range.start(), range.end());
        SettingError { key: key.to_owned(), wanted }
    })
}
