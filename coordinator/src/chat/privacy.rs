//! What `/privacy` says: the operator's words where there are some, else what the bot itself keeps.

use std::path::{Path, PathBuf};

use super::text::Lang;

/// Longest text, in characters: one message of Telegram has 4,096, and escaping makes some letters longer.
const MAX_CHARS: usize = 3_500;

/// The operator's words, by language.
#[derive(Debug, Default)]
pub struct Privacy {
    /// For those in whose language there is nothing.
    all: Option<String>,
    in_languages: Vec<(Lang, String)>,
}

impl Privacy {
    /// Nothing of the operator's: the bot speaks for itself.
    pub const fn of_the_bot() -> Self {
        Self { all: None, in_languages: Vec::new() }
    }

    /// Reads the operator's file and those beside it for a language: `privacy.txt`, `privacy.de.txt`. One that cannot be
    /// used is told to the log, and the bot speaks for itself.
    pub fn read(file: Option<&Path>) -> Self {
        let Some(file) = file else { return Self::of_the_bot() };
        let usable = |path: &Path| match text_of(path) {
            Ok(text) => Some(text),
            Err(problem) => {
                tracing::warn!(file = %path.display(), problem, "PRIVACY_FILE cannot be used");
                None
            }
        };
        let beside = Lang::ALL.into_iter().map(|lang| (lang, for_language(file, lang)));
        let in_languages = beside.filter(|(_, path)| path.exists());
        let in_languages = in_languages.filter_map(|(lang, path)| Some((lang, usable(&path)?)));
        Self { in_languages: in_languages.collect(), all: usable(file) }
    }

    /// What the operator says to who is spoken to in a language: plain text.
    pub fn said_in(&self, lang: Lang) -> Option<&str> {
        let own = self.in_languages.iter().find(|(of, _)| *of == lang);
        own.map(|(_, text)| text).or(self.all.as_ref()).map(String::as_str)
    }
}

/// `privacy.txt` in German is `privacy.de.txt`.
fn for_language(file: &Path, lang: Lang) -> PathBuf {
    match file.extension().and_then(|end| end.to_str()) {
        Some(end) => file.with_extension(format!("{}.{end}", lang.code())),
        None => file.with_extension(lang.code()),
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|_invalid| "it is not UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim().replace('\r', "");
    match text.chars().count() {
        0 => Err("it is empty".to_owned()),
        1..=MAX_CHARS => Ok(text),
        chars => Err(format!(
            "it has {chars} characters, and one message takes {MAX_CHARS}: put the text on a page and its address into \
             the file"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_words_are_told_in_the_persons_language_or_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("privacy.txt");
        std::fs::write(&file, "\u{feff}We keep <nothing>.\r\nhttps://bot.example/privacy\n")
            .unwrap();
        let only = Privacy::read(Some(&file));
        let text = "We keep <nothing>.\nhttps://bot.example/privacy";
        assert_eq!((only.said_in(Lang::En), only.said_in(Lang::De)), (Some(text), Some(text)));
        std::fs::write(folder.path().join("privacy.de.txt"), "Nichts.").unwrap();
        let both = Privacy::read(Some(&file));
        assert_eq!((both.said_in(Lang::En), both.said_in(Lang::De)), (Some(text), Some("Nichts.")));
    }

    #[test]
    fn a_file_that_cannot_be_used_leaves_the_bot_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("privacy");
        for bytes in
            [None, Some(b"\xff".to_vec()), Some(b" \n".to_vec()), Some(vec![b'x'; MAX_CHARS + 1])]
        {
            if let Some(bytes) = bytes {
                std::fs::write(&file, bytes).unwrap();
            }
            assert_eq!(Privacy::read(Some(&file)).said_in(Lang::En), None);
        }
        assert_eq!(Privacy::read(None).said_in(Lang::De), None);
        assert_eq!(for_language(&file, Lang::De), folder.path().join("privacy.de"));
    }
}
