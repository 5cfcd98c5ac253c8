//! What of a finished task is kept, and for how long.

use std::str::FromStr;
use std::time::Duration;

/// The history of finished tasks: how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySettings {
    /// About how many finished tasks are kept. Redis drops them in blocks of a hundred.
    pub max: u64,
    /// How long a finished task is kept.
    pub keep: Duration,
    /// How much of params, results and reasons is kept.
    pub texts: Texts,
}

impl Default for HistorySettings {
    /// 100,000 tasks and 7 days: a week is long enough for a complaint to arrive. docs/operations.md says what they cost.
    fn default() -> Self {
        Self { max: 100_000, keep: Duration::from_secs(7 * 24 * 3_600), texts: Texts::Off }
    }
}

impl HistorySettings {
    /// At most `max` tasks for at most `days` days, with texts as the word says.
    ///
    /// # Errors
    ///
    /// An unknown word.
    pub fn new(max: u64, days: u32, texts: &str) -> Result<Self, UnknownTexts> {
        let keep = Duration::from_secs(u64::from(days) * 24 * 3_600);
        Ok(Self { max, keep, texts: texts.parse()? })
    }
}

/// How much is kept of what people wrote and of what they got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Texts {
    /// Nothing.
    #[default]
    Off,
    /// The beginning of each.
    Short,
    /// All of it, up to a limit.
    Whole,
}

impl Texts {
    /// Most characters that are kept of one text.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Off => 0,
            Self::Short => 200,
            // Larger answers are rare, and a history of them would fill Redis.
            Self::Whole => 32 * 1024,
        }
    }
}

/// A word that is none of `off`, `short` and `whole`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is `off`, `short` or `whole`")]
pub struct UnknownTexts;

impl FromStr for Texts {
    type Err = UnknownTexts;

    fn from_str(word: &str) -> Result<Self, UnknownTexts> {
        match word {
            "off" => Ok(Self::Off),
            "short" => Ok(Self::Short),
            "whole" => Ok(Self::Whole),
            _ => Err(UnknownTexts),
        }
    }
}
