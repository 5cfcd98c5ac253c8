//! Why a registry was of no help.

use std::path::PathBuf;

/// A plugin could not be fetched from a registry or stored in it. No variant holds a password, a token, or an address
/// with a query, which may be a pass in itself.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address is wrong.
    #[error("this is no address in a registry: {problem}")]
    Address {
        /// What is wrong.
        problem: String,
    },
    /// The file with passwords cannot be used.
    #[error("the file with passwords for registries {path} cannot be used: {problem}")]
    AuthFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the file's text.
        problem: String,
    },
    /// The program that keeps passwords failed.
    #[error("`{program}`, which keeps the password for {registry}, failed: {problem}")]
    Helper {
        /// The program.
        program: String,
        /// The registry.
        registry: String,
        /// What happened, without the program's output.
        problem: String,
    },
    /// The registry wants to know who asks, and nothing is known to tell it.
    #[error(
        "{registry} asks for a password and none is known; store one with `docker login {registry}` or `podman login \
         {registry}`, or name a file with REGISTRY_AUTH_FILE"
    )]
    NoPassword {
        /// The registry.
        registry: String,
    },
    /// The registry wants to know who asks in a way that is not used here.
    #[error("the way in which {registry} asks for a password cannot be used: {problem}")]
    Challenge {
        /// The registry.
        registry: String,
        /// What is wrong.
        problem: String,
    },
    /// A request got no answer.
    #[error("{registry} did not answer {request}")]
    Request {
        /// The registry.
        registry: String,
        /// The request.
        request: &'static str,
        /// Why, without the address.
        source: reqwest::Error,
    },
    /// A request was refused.
    #[error("{registry} refused {request}: status {status}{said}")]
    Refused {
        /// The registry.
        registry: String,
        /// The request.
        request: &'static str,
        /// The HTTP status.
        status: u16,
        /// The registry's own words, cut and cleaned; begins with a colon, or is empty.
        said: String,
    },
    /// A part is larger than allowed.
    #[error("the {what} has more than {limit} bytes, which is the limit")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A part is not what it was announced to be.
    #[error(
        "the {what} that the registry sent has the digest {found} instead of {expected}; nothing of it is used"
    )]
    Digest {
        /// The part.
        what: &'static str,
        /// The digest that was asked for or announced.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// The component ended early or went on too long.
    #[error("the component has {found} bytes instead of the {expected} that its manifest says")]
    Size {
        /// The announced size in bytes.
        expected: u64,
        /// The size of what came, or one more than announced when it went on.
        found: u64,
    },
    /// The artefact is not a plugin.
    #[error("this is no plugin: {problem}")]
    Layout {
        /// What is wrong.
        problem: String,
    },
    /// The answer makes no sense, or the client cannot be set up.
    #[error("{request} failed at {registry}: {problem}")]
    Client {
        /// The registry.
        registry: String,
        /// The request.
        request: &'static str,
        /// What is wrong, cut and cleaned.
        problem: String,
    },
    /// It took too long.
    #[error("the exchange with the registry took over {seconds} s and was given up")]
    Time {
        /// The limit in seconds.
        seconds: u64,
    },
}

impl RegistryError {
    /// The error and its causes, one line each.
    pub fn causes(&self) -> Vec<String> {
        let first: &dyn std::error::Error = self;
        std::iter::successors(Some(first), |error| error.source())
            .map(|cause| one_line(&cause.to_string()))
            .collect()
    }
}

/// Characters of a registry's words that are shown.
const SHOWN_CHARS: usize = 200;

/// A registry's own words, to be shown to a person: one line, cut.
pub(super) fn shown(text: &str) -> String {
    one_line(text).chars().take(SHOWN_CHARS).collect()
}

fn one_line(text: &str) -> String {
    let clean = text.replace(char::is_control, " ");
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_words_are_one_short_line() {
        assert_eq!(shown("one\r\n\u{1b}[31mtwo\t three"), "one [31mtwo three");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), SHOWN_CHARS);
    }
}
