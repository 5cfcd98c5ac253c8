//! The operator's privacy notice, which `/privacy` shows instead of the bot's own.

use super::text::Lang;

/// The operator's words, by language.
#[derive(Debug, Default)]
pub struct PrivacyNotice {
    /// For languages without a text of their own.
    all: Option<String>,
    in_languages: Vec<(Lang, String)>,
}

impl PrivacyNotice {
    /// No text of the operator: the bot shows its own.
    pub const fn of_the_bot() -> Self {
        Self { all: None, in_languages: Vec::new() }
    }

    /// The operator's texts: for all languages, and for single ones.
    pub fn new(all: Option<String>, in_languages: Vec<(Lang, String)>) -> Self {
        Self { all, in_languages }
    }

    /// The operator's text for a language, as plain text.
    pub fn said_in(&self, lang: Lang) -> Option<&str> {
        let own = self.in_languages.iter().find(|(of, _)| *of == lang);
        own.map(|(_, text)| text).or(self.all.as_ref()).map(String::as_str)
    }
}
