//! Errors with all their causes on one line.

use std::error::Error;
use std::fmt;

/// Displays an error and its causes, joined by `: `. A cause that says what its parent just said is left out.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| {
        let mut said = error.to_string();
        write!(f, "{said}")?;
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_cause_is_named_once() {
        let inner = io::Error::other("disk full");
        let outer = io::Error::other(inner);
        assert_eq!(chain(&outer).to_string(), "disk full");
    }
}
