//! What `/privacy` says: the operator's words where there are some, else what the bot itself keeps.

use super::text::Lang;

/// The operator's words, by language.
#[derive(Debug, Default)]
pub struct PrivacyNotice {
    /// For those in whose language there is nothing.
    all: Option<String>,
    in_languages: Vec<(Lang, String)>,
}

impl PrivacyNotice {
    /// Nothing of the operator's: the bot speaks for itself.
    pub const fn of_the_bot() -> Self {
        Self { all: None, in_languages: Vec::new() }
    }

    /// The operator's words for everybody, and in single languages.
    pub fn new(all: Option<String>, in_languages: Vec<(Lang, String)>) -> Self {
        Self { all, in_languages }
    }

    /// What the operator says to who is spoken to in a language: plain text.
    pub fn said_in(&self, lang: Lang) -> Option<&str> {
        let own = self.in_languages.iter().find(|(of, _)| *of == lang);
        own.map(|(_, text)| text).or(self.all.as_ref()).map(String::as_str)
    }
}
