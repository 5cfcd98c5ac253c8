//! Names as they are compared. Pure.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case, without accents, its words joined by one space.
///
/// A capital after a small letter or a digit begins a new word, and so does whatever is no letter or digit: `jane_doe`,
/// `JaneDoe` and `Jané Doe` are the same.
pub fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut after_small = false;
    for letter in name.nfkd().filter(|letter| !is_accent(*letter)) {
        // A vowel or voicing sign of a script that writes them so belongs to its letter.
        if is_combining_mark(letter) {
            folded.push(letter);
            continue;
        }
        if !letter.is_alphanumeric() {
            after_small = false;
            begin_word(&mut folded);
            continue;
        }
        // A letter in a circle is a capital too, and has no small form.
        if after_small && !letter.to_lowercase().eq([letter]) {
            begin_word(&mut folded);
        }
        after_small = letter.is_lowercase() || letter.is_numeric();
        for small in letter.to_lowercase().filter(|small| !is_accent(*small)) {
            match plain(small) {
                Some(plain) => folded.push_str(plain),
                None => folded.push(small),
            }
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// The letters of a folded name without the spaces between its words.
pub(crate) fn letters(folded: &str) -> impl DoubleEndedIterator<Item = char> + Clone + '_ {
    folded.chars().filter(|letter| *letter != ' ')
}

/// The marks over and under the letters of Latin, Greek and Cyrillic.
fn is_accent(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

fn begin_word(folded: &mut String) {
    if !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// Letters that Unicode does not take apart, as people type them without their keyboard.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ŧ' => "t",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ς' => "σ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_accents_and_separators_make_no_difference() {
        for same in ["Jane Doe", "jane_doe", "JaneDoe", "Jané Doe", " JANE--doe ", "ｊａｎｅ.doe"]
        {
            assert_eq!(fold(same), "jane doe", "{same}");
        }
        assert_eq!(fold("Bjørk Łukasz Straße Þóra"), "bjork lukasz strasse thora");
        assert_eq!(fold("mira92Vale"), "mira92 vale");
        assert_eq!(fold("月の Луна"), "月の луна");
        assert_eq!(fold("ΝΙΚΟΣ"), fold("Νίκος"));
        assert_eq!(fold("!? 🌙"), "");
    }

    #[test]
    fn a_sign_that_makes_another_word_makes_another_name() {
        for (one, other) in [("राम", "रोमा"), ("バラ", "ハラ"), ("กิน", "กน")]
        {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn a_folded_name_folds_to_itself_and_is_words_with_single_spaces(name in any::<String>()) {
            let folded = fold(&name);
            prop_assert_eq!(&fold(&folded), &folded);
            prop_assert!(!folded.starts_with(' ') && !folded.ends_with(' ') && !folded.contains("  "));
            prop_assert!(letters(&folded).all(|letter| letter.is_alphanumeric() || is_combining_mark(letter)));
        }

        #[test]
        fn separators_between_words_are_all_alike(
            words in prop::collection::vec("[a-zà-ÿ]{1,8}", 1..4),
            separator in "[ _.\\-/]{1,3}",
        ) {
            prop_assert_eq!(fold(&words.join(&separator)), fold(&words.join(" ")));
        }
    }
}
