//! Which of a creator's items a person wants to see.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which of a creator's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Pictures only.
    Pictures,
    /// Videos only.
    Videos,
}

impl Filter {
    /// All of them, in the order of their buttons.
    pub const ALL: [Self; 3] = [Self::All, Self::Pictures, Self::Videos];

    /// Its number in callback data.
    pub fn number(self) -> usize {
        match self {
            Self::All => 0,
            Self::Pictures => 1,
            Self::Videos => 2,
        }
    }

    /// The filter with that number.
    pub fn of_number(number: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.number() == number)
    }

    /// The params of the content plugin.
    pub fn params(self) -> Map<String, Value> {
        let kind = match self {
            Self::All => None,
            Self::Pictures => Some("picture"),
            Self::Videos => Some("video"),
        };
        kind.into_iter().map(|kind| ("type".to_owned(), kind.into())).collect()
    }
}
