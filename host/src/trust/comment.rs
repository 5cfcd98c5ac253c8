//! The trusted comment of a signature: what it covers besides the bytes of the component.
//!
//! `freefans-plugin name=NAME version=VERSION settings=sha256:HEX timestamp=SECONDS [rollback-from=VERSION]`, where
//! `settings=none` stands for no settings, and `settings=any` for settings that the signature does not cover. Words may be
//! in any order. An unknown word is refused: it may restrict what was signed in a way that this worker does not know.

use std::fmt;

use semver::Version;

use super::refusal::Refusal;
use super::remembered::Remembered;
use crate::digest::sha256_hex;

/// The first word.
const MARK: &str = "freefans-plugin";

/// What a signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The name that the plugin declares. Its file has the same.
    pub name: String,
    /// The version that the plugin declares.
    pub version: Version,
    /// The settings.
    pub settings: CoveredSettings,
    /// When it was signed, in seconds since 1970; 0 when it does not say.
    pub timestamp: u64,
    /// The version that an operator goes back from.
    pub rollback_from: Option<Version>,
}

/// The settings that a signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoveredSettings {
    /// Those with this SHA-256, in hex.
    Digest(String),
    /// None: there must be no settings file, or an empty one.
    None,
    /// It does not cover the settings.
    Any,
}

impl CoveredSettings {
    /// Covers the settings `text`; an empty one stands for none.
    pub fn of(text: &str) -> Self {
        if text.is_empty() { Self::None } else { Self::Digest(sha256_hex(text.as_bytes())) }
    }
}

impl fmt::Display for CoveredSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "sha256:{digest}"),
            Self::None => f.write_str("none"),
            Self::Any => f.write_str("any"),
        }
    }
}

impl fmt::Display for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, settings, timestamp, rollback_from } = self;
        write!(
            f,
            "{MARK} name={name} version={version} settings={settings} timestamp={timestamp}"
        )?;
        match rollback_from {
            Some(from) => write!(f, " rollback-from={from}"),
            None => Ok(()),
        }
    }
}

impl Covered {
    /// Reads a trusted comment.
    ///
    /// # Errors
    ///
    /// Says what is missing or not understood.
    pub fn read(comment: &str) -> Result<Self, String> {
        let mut words = comment.split(' ').filter(|word| !word.is_empty());
        if words.next() != Some(MARK) {
            return Err(format!(
                "its trusted comment does not begin with `{MARK}`, so it covers no name, version and settings"
            ));
        }
        let mut name = None;
        let mut version = None;
        let mut settings = None;
        let mut timestamp = None;
        let mut rollback_from = None;
        for word in words {
            let (key, value) =
                word.split_once('=').ok_or_else(|| format!("`{word}` has no value"))?;
            let wrong = |_error| format!("`{word}` is not understood");
            let is_new = match key {
                "name" => name.replace(value.to_owned()).is_none(),
                "version" => version.replace(Version::parse(value).map_err(wrong)?).is_none(),
                "settings" => settings.replace(read_settings(value)?).is_none(),
                "timestamp" => {
                    let seconds: u64 =
                        value.parse().map_err(|_error| format!("`{word}` is no number"))?;
                    timestamp.replace(seconds).is_none()
                }
                "rollback-from" => {
                    rollback_from.replace(Version::parse(value).map_err(wrong)?).is_none()
                }
                _ => return Err(format!("`{word}` in its trusted comment is not known here")),
            };
            if !is_new {
                return Err(format!("its trusted comment has `{key}` twice"));
            }
        }
        let missing = |what| format!("its trusted comment has no `{what}`");
        Ok(Self {
            name: name.ok_or_else(|| missing("name"))?,
            version: version.ok_or_else(|| missing("version"))?,
            settings: settings.ok_or_else(|| missing("settings"))?,
            timestamp: timestamp.unwrap_or(0),
            rollback_from,
        })
    }

    pub(super) fn check_settings(&self, plugin: &str, text: &str) -> Result<(), Refusal> {
        let there = CoveredSettings::of(text);
        if self.settings == CoveredSettings::Any || self.settings == there {
            return Ok(());
        }
        let found = match (&self.settings, &there) {
            (CoveredSettings::None, _) => {
                format!("it was signed without settings, and {plugin}.toml is there")
            }
            (_, CoveredSettings::None) => format!("{plugin}.toml is missing or empty"),
            _ => format!("{plugin}.toml was changed"),
        };
        Err(Refusal::AlteredSettings { plugin: plugin.to_owned(), found })
    }

    /// A copy under another name would get what that name has: its cache, its data, its place in the chat.
    pub(super) fn check_file_name(&self, plugin: &str) -> Result<(), Refusal> {
        if self.name == plugin {
            return Ok(());
        }
        Err(Refusal::OtherName {
            plugin: plugin.to_owned(),
            signed: self.name.clone(),
            found: format!("its file is {plugin}.wasm instead of {}.wasm", self.name),
        })
    }

    /// Refuses a version below the highest accepted one, unless it goes back from exactly that one, and a signature older
    /// than the newest accepted one, so that neither an old version nor old settings can be put in place again.
    pub(super) fn check_not_older(&self, plugin: &str, last: &Remembered) -> Result<(), Refusal> {
        let refusal = |found: String, remedy: String| {
            Err(Refusal::Downgrade { plugin: plugin.to_owned(), found, remedy })
        };
        let highest = &last.version;
        let is_lower = self.version.cmp_precedence(highest).is_lt();
        match &self.rollback_from {
            None if is_lower => {
                return refusal(
                    format!("is version {}, and this worker has accepted {highest}", self.version),
                    format!(
                        "to go back to it, sign it with `worker plugins sign --rollback-from {highest}`"
                    ),
                );
            }
            Some(from) if is_lower && from.cmp_precedence(highest).is_ne() => {
                return refusal(
                    format!(
                        "is signed to go back from {from}, and this worker has accepted {highest}"
                    ),
                    format!("sign it again with `worker plugins sign --rollback-from {highest}`"),
                );
            }
            None | Some(_) => {}
        }
        if self.timestamp < last.timestamp {
            return refusal(
                format!(
                    "has a signature of {} s, which is older than the one of {} s that this worker has accepted",
                    self.timestamp, last.timestamp
                ),
                "if this version is meant, sign it again".to_owned(),
            );
        }
        Ok(())
    }
}

fn read_settings(value: &str) -> Result<CoveredSettings, String> {
    match value {
        "none" => Ok(CoveredSettings::None),
        "any" => Ok(CoveredSettings::Any),
        _ => value
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .map(|hex| CoveredSettings::Digest(hex.to_ascii_lowercase()))
            .ok_or_else(|| {
                format!("`settings={value}` is neither `sha256:` and 64 digits, `none` nor `any`")
            }),
    }
}
