//! Reads the operator's file for `/privacy`.

use std::path::{Path, PathBuf};

use crate::chat::privacy::PrivacyNotice;
use crate::chat::text::Lang;

/// Longest text, in characters: a message holds 4,096, and escaping makes some letters longer.
const MAX_CHARS: usize = 3_500;

/// Reads the operator's file and its translations beside it: `privacy.txt`, `privacy.de.txt`. A file that cannot be used is
/// logged, and the bot shows its own text.
pub(crate) fn read(file: Option<&Path>) -> PrivacyNotice {
    let Some(file) = file else { return PrivacyNotice::of_the_bot() };
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
    PrivacyNotice::new(usable(file), in_languages.collect())
}

/// What is wrong with the operator's file and its translations.
pub(crate) fn problems(file: Option<&Path>) -> Vec<String> {
    let Some(file) = file.filter(|file| !file.as_os_str().is_empty()) else { return Vec::new() };
    let beside = Lang::ALL.into_iter().map(|lang| for_language(file, lang));
    let files = std::iter::once(file.to_owned()).chain(beside.filter(|path| path.exists()));
    let problem = |path: PathBuf| {
        let problem = text_of(&path).err()?;
        Some(format!("PRIVACY_FILE: {}: {problem}", path.display()))
    };
    files.filter_map(problem).collect()
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
        let only = read(Some(&file));
        let text = "We keep <nothing>.\nhttps://bot.example/privacy";
        assert_eq!((only.said_in(Lang::En), only.said_in(Lang::De)), (Some(text), Some(text)));
        std::fs::write(folder.path().join("privacy.de.txt"), "Nichts.").unwrap();
        let both = read(Some(&file));
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
            assert_eq!(read(Some(&file)).said_in(Lang::En), None);
        }
        assert_eq!(read(None).said_in(Lang::De), None);
        assert_eq!(for_language(&file, Lang::De), folder.path().join("privacy.de"));
    }
}
