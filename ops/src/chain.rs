//! Errors with all their causes on one line.

use std::error::Error;
use std::fmt;

/// Displays an error and its causes, joined by `: `. A cause that repeats its parent is left out. Control characters
/// become spaces, so that text from a plugin or a server cannot imitate our log lines.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| {
        let mut said = one_line(error);
        write!(f, "{said}")?;
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = one_line(error);
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    })
}

fn one_line(error: &dyn Error) -> String {
    error.to_string().replace(char::is_control, " ")
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

    #[test]
    fn whatever_was_said_is_one_line() {
        let forged = io::Error::other("no\n2026-01-01 ERROR \u{1b}[31mall is lost");
        assert_eq!(chain(&forged).to_string(), "no 2026-01-01 ERROR  [31mall is lost");
    }
}
