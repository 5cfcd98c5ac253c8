//! Secrets, which do not print themselves.

use std::fmt;
use std::str::FromStr;

/// Holds a secret. `Debug` prints `***` and there is no `Display`; taking it out is a call that can be searched for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself. Never log it, never put it into an error.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

/// Parses a secret, so that a flag or variable can be one from the start.
impl<T: FromStr> FromStr for Secret<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(Self)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", Some(Secret::new("token"))), "Some(***)");
    }
}
