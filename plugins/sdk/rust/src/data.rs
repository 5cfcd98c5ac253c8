//! Files that the operator hands to the plugin.

use std::fmt;

use crate::error::Error;
use crate::host::{self, NoData};

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataError {
    /// The settings file does not name it.
    NotGranted {
        /// The file's name.
        name: String,
    },
    /// It is larger than the host allows.
    TooLarge {
        /// The file's name.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is there, but cannot be read at the moment.
    Unavailable {
        /// The file's name.
        name: String,
    },
    /// It is not UTF-8.
    NoText {
        /// The file's name.
        name: String,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted { name } => {
                write!(
                    f,
                    "there is no data `{name}`: add `data = {{ {name} = \"FILE\" }}` under [grants]"
                )
            }
            Self::TooLarge { name, limit } => {
                write!(f, "the data `{name}` is larger than {limit} bytes")
            }
            Self::Unavailable { name } => {
                write!(f, "the data `{name}` cannot be read at the moment")
            }
            Self::NoText { name } => write!(f, "the data `{name}` is not UTF-8"),
        }
    }
}

impl std::error::Error for DataError {}

/// A file that cannot be read at the moment is tried again; the rest has to be mended first.
impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Unavailable { .. } => Self::retry(error.to_string()),
            DataError::NotGranted { .. }
            | DataError::TooLarge { .. }
            | DataError::NoText { .. } => Self::fatal(error.to_string()),
        }
    }
}

/// Reads one of the operator's files, whole. `name` is a key of `data` under `[grants]`, never a path.
///
/// # Errors
///
/// See [`DataError`]; `?` makes the right [`crate::Error`] of it.
pub fn read(name: &str) -> Result<Vec<u8>, DataError> {
    let name = || name.to_owned();
    host::data(&name()).map_err(|error| match error {
        NoData::NotGranted => DataError::NotGranted { name: name() },
        NoData::TooLarge(limit) => DataError::TooLarge { name: name(), limit },
        NoData::Unavailable => DataError::Unavailable { name: name() },
    })
}

/// [`read`], as text.
///
/// # Errors
///
/// See [`DataError`].
pub fn text(name: &str) -> Result<String, DataError> {
    String::from_utf8(read(name)?).map_err(|_no_text| DataError::NoText { name: name.to_owned() })
}
