//! What a reader of a plugin's JSON passed over or cut, for the plugin's author.

use std::fmt;

use serde_json::{Map, Value};

use crate::text::clean;

/// Most remarks about one text. A plugin is not trusted, and all of them are shown and logged.
const MAX_REMARKS: usize = 20;
/// Longest name that is quoted.
const MAX_QUOTED_CHARS: usize = 64;
/// How alike two names are when one of them is probably the other, misspelt: the share of letters that need no change.
/// `dise` and `dice` have 0.75.
const ALIKE: f64 = 0.7;
/// From this length on, a name may be the beginning of the right one, such as `desc`.
const MIN_BEGINNING: usize = 4;

/// Remarks, each with its place. At most 20 are kept, and the rest counted.
#[derive(Debug, Default)]
pub struct Remarks {
    /// None to keep none, and to spend nothing on them.
    lines: Option<Vec<String>>,
    more: usize,
}

impl Remarks {
    /// For a reader whose author nobody tells.
    pub fn unwanted() -> Self {
        Self::default()
    }

    /// Without any yet.
    pub fn new() -> Self {
        Self { lines: Some(Vec::new()), more: 0 }
    }

    /// Adds a remark about a place.
    pub fn add(&mut self, place: &Place<'_>, what: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() < MAX_REMARKS {
            lines.push(format!("`{place}`: {}", what()));
        } else {
            self.more += 1;
        }
    }

    /// Adds a remark about each name of an object that is not one of `known`: its reader passes over it.
    pub fn add_unknown(&mut self, object: &Map<String, Value>, known: &[&str], place: &Place<'_>) {
        if self.lines.is_none() {
            return;
        }
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(&place.name(name), || {
                format!("this name is not known and is passed over{}", did_you_mean(name, known))
            });
        }
    }

    /// All of them, one line each.
    pub fn into_lines(self) -> Vec<String> {
        let mut lines = self.lines.unwrap_or_default();
        if self.more > 0 {
            lines.push(format!("and {} more of this kind", self.more));
        }
        lines
    }
}

/// Where something stands in a JSON text: `view.buttons[0][1].text`.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    /// The outermost, by its name.
    pub fn root(name: &'a str) -> Self {
        Self { parent: None, step: Step::Name(name) }
    }

    /// What is there under `name`.
    pub fn name(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Name(name) }
    }

    /// What is there at `index`, from 0.
    pub fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}")?;
        }
        match (self.step, self.parent) {
            (Step::Index(index), _) => write!(f, "[{index}]"),
            (Step::Name(name), Some(_)) => write!(f, ".{}", quoted(name)),
            (Step::Name(name), None) => f.write_str(name),
        }
    }
}

/// A name of a plugin's, safe to show on a line.
pub fn quoted(name: &str) -> String {
    clean(name, MAX_QUOTED_CHARS)
}

/// `; did you mean …?` when a known name is like `name`, else nothing.
pub fn did_you_mean(name: &str, known: &[&str]) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

/// The known name that is most like `name`, when it is like enough. Case, `-` and `_` make no difference.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.replace(['-', '_'], "").to_lowercase();
    let name: String = plain(name).chars().take(MAX_QUOTED_CHARS).collect();
    let alike = |known: &str| {
        let known = plain(known);
        let is_beginning = name.len() >= MIN_BEGINNING && known.starts_with(&name);
        let alike = strsim::normalized_damerau_levenshtein(&name, &known);
        if is_beginning { alike.max(ALIKE) } else { alike }
    };
    let known = known.iter().map(|known| (alike(known), *known));
    let (_, nearest) =
        known.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(nearest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misspelt_name_is_told_with_its_place_and_the_right_one() {
        let known = ["version", "text", "items", "media", "buttons", "next"];
        let object = json!({"button": [], "text": "x", "Titles\n": 1, "colour": 7});
        let mut remarks = Remarks::new();
        remarks.add_unknown(object.as_object().unwrap(), &known, &Place::root("view").index(3));
        assert_eq!(
            remarks.into_lines(),
            [
                "`view[3].Titles`: this name is not known and is passed over",
                "`view[3].button`: this name is not known and is passed over; did you mean `buttons`?",
                "`view[3].colour`: this name is not known and is passed over",
            ]
        );
        for (name, known) in [
            ("command", "commands"),
            ("arguments", "argument"),
            ("propertys", "properties"),
            ("requird", "required"),
            ("taskType", "task_type"),
            ("min_length", "minLength"),
            ("tilte", "title"),
        ] {
            assert_eq!(did_you_mean(name, &[known]), format!("; did you mean `{known}`?"));
        }
        let keywords = ["propertyNames", "properties", "patternProperties"];
        assert_eq!(did_you_mean("propertys", &keywords), "; did you mean `properties`?");
        assert_eq!(did_you_mean("task", &["text", "task_type"]), "; did you mean `task_type`?");
        assert_eq!(did_you_mean("colour", &["caption"]), "");
    }

    #[test]
    fn a_flood_of_remarks_is_counted() {
        let mut remarks = Remarks::new();
        for index in 0..30 {
            remarks.add(&Place::root("x").index(index), || "odd".to_owned());
        }
        let lines = remarks.into_lines();
        assert_eq!((lines.len(), lines[20].as_str()), (21, "and 10 more of this kind"));
        let mut unwanted = Remarks::unwanted();
        unwanted.add(&Place::root("x"), || panic!("nobody asked"));
        assert_eq!(unwanted.into_lines(), Vec::<String>::new());
    }
}
