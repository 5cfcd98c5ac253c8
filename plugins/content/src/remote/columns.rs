//! What the project's columns are called. A name becomes part of a request as it is, so only plain ones are taken.

use std::collections::BTreeMap;

/// What a name may be.
pub(super) const RULE: &str = "a name begins with a letter or `_`, has letters, digits and `_`, at most 63, and is no word of PostgREST";

/// Parameters of a request that a column of the same name would be mistaken for.
const WORDS: [&str; 9] =
    ["select", "order", "limit", "offset", "and", "or", "not", "columns", "on_conflict"];

/// The columns' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) id: String,
    pub(super) creator_url: String,
    pub(super) creator_name: String,
    pub(super) title: String,
    pub(super) url: String,
    pub(super) kind: String,
    pub(super) posted_at: String,
}

impl Columns {
    /// Reads `supabase_columns`, a table of ours to theirs; what is not named has our name.
    pub(super) fn from(setting: Option<&str>) -> Result<Self, String> {
        let mut named: BTreeMap<String, String> = match setting {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_str(text).map_err(|_not_a_table| {
                "`supabase_columns` in content.toml is a table like { title = \"name\" }".to_owned()
            })?,
        };
        let mut take = |ours: &str| {
            let theirs = named.remove(ours).unwrap_or_else(|| ours.to_owned());
            if is_name(&theirs) {
                Ok(theirs)
            } else {
                Err(format!("`supabase_columns.{ours}` in content.toml: {RULE}"))
            }
        };
        let columns = Self {
            id: take("id")?,
            creator_url: take("creator_url")?,
            creator_name: take("creator_name")?,
            title: take("title")?,
            url: take("url")?,
            kind: take("type")?,
            posted_at: take("posted_at")?,
        };
        match named.keys().next() {
            None => Ok(columns),
            Some(_) => Err("`supabase_columns` in content.toml takes id, creator_url, creator_name, title, url, \
                            type and posted_at"
                .to_owned()),
        }
    }

    /// What to ask for: their columns under our names.
    pub(super) fn select(&self) -> String {
        [
            ("id", &self.id),
            ("title", &self.title),
            ("url", &self.url),
            ("type", &self.kind),
            ("posted_at", &self.posted_at),
        ]
        .map(
            |(ours, theirs)| {
                if ours == theirs { ours.to_owned() } else { format!("{ours}:{theirs}") }
            },
        )
        .join(",")
    }
}

/// Whether a name can be part of a request as it is.
pub(super) fn is_name(name: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && name.len() <= 63
        && name.bytes().all(of_name)
        && !WORDS.contains(&name)
}
