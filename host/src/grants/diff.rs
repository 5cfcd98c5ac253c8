//! What a new version of a plugin may do that the one before may not, in plain words.
//!
//! `diff(old: &Access, new: &Access) -> Vec<Wider>`; each [`Wider`] is a sentence by its `Display`, and
//! [`Wider::allow`] is the line of the settings that allows it. An [`Access`] is made of the text of the settings and the
//! component's imports by [`Access::read`](crate::plugin_config::access), without reading a variable or a file:
//! what `${NAME}` stands for may differ from worker to worker.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// All that the settings of a version grant, as they are written, and what its component imports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// The interfaces that the component imports.
    pub imports: BTreeSet<String>,
    /// Whether requests are allowed at all: the settings have `net`.
    pub requests: bool,
    /// Origins that it may send requests to, or `${NAME}` of a variable that holds one.
    pub net: BTreeSet<String>,
    /// Those of them that are told the trace of a request.
    pub trace: BTreeSet<String>,
    /// Files that it may read, by the names that it uses.
    pub data: BTreeMap<String, String>,
    /// Whether it may use the cache.
    pub cache: bool,
    /// The headers with a secret.
    pub secrets: BTreeSet<SecretUse>,
    /// The worker's variables that it may read, by the settings that hold them.
    pub variables: BTreeMap<String, String>,
    /// The limits of one task, by their names in the settings.
    pub limits: BTreeMap<String, u64>,
}

/// A header with a secret that the host adds to requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretUse {
    /// The variable with the secret.
    pub variable: String,
    /// The origin of the requests, or `${NAME}`.
    pub origin: String,
    /// The header's name.
    pub header: String,
    /// What stands before the secret in the header.
    pub prefix: String,
}

/// One thing that the new version may do and the old one may not. Its `Display` is a sentence without the subject, such
/// as "wants to use the cache".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wider {
    /// It imports another interface.
    Import {
        /// The interface, as the component names it.
        interface: String,
    },
    /// It may send requests at all.
    Requests,
    /// It may reach another origin.
    Net {
        /// The origin, or `${NAME}`.
        origin: String,
    },
    /// Another server is told the trace of a request.
    Trace {
        /// The origin, or `${NAME}`.
        origin: String,
    },
    /// It may read another file.
    Data {
        /// The name that it uses.
        name: String,
        /// The file.
        file: String,
        /// The file that it read under this name.
        had: Option<String>,
    },
    /// It may use the cache.
    Cache,
    /// A secret goes somewhere else.
    Secret(SecretUse),
    /// It may read another variable of the worker.
    Variable {
        /// The setting that holds it.
        setting: String,
        /// The variable.
        variable: String,
    },
    /// A limit is higher.
    Limit {
        /// Its name in the settings.
        name: String,
        /// The new limit.
        wants: u64,
        /// The old one.
        had: u64,
    },
}

/// What `new` may do that `old` may not; empty when it is no more.
pub fn diff(old: &Access, new: &Access) -> Vec<Wider> {
    let mut wider = Vec::new();
    let known: BTreeSet<&str> = old.imports.iter().map(|import| without_version(import)).collect();
    let imports = new.imports.iter().filter(|import| !known.contains(without_version(import)));
    wider.extend(imports.map(|import| Wider::Import { interface: import.clone() }));
    if new.requests && !old.requests && new.net.is_empty() {
        wider.push(Wider::Requests);
    }
    wider.extend(new.net.difference(&old.net).map(|origin| Wider::Net { origin: origin.clone() }));
    wider.extend(
        new.trace.difference(&old.trace).map(|origin| Wider::Trace { origin: origin.clone() }),
    );
    for (name, file) in &new.data {
        let had = old.data.get(name);
        if had != Some(file) {
            let had = had.cloned();
            wider.push(Wider::Data { name: name.clone(), file: file.clone(), had });
        }
    }
    if new.cache && !old.cache {
        wider.push(Wider::Cache);
    }
    wider.extend(new.secrets.difference(&old.secrets).cloned().map(Wider::Secret));
    for (setting, variable) in &new.variables {
        // The same variable in another setting tells the plugin nothing new.
        if !old.variables.values().any(|known| known == variable) {
            let setting = setting.clone();
            wider.push(Wider::Variable { setting, variable: variable.clone() });
        }
    }
    for (name, wants) in &new.limits {
        let had = old.limits.get(name).copied();
        if let Some(had) = had.filter(|had| had < wants) {
            wider.push(Wider::Limit { name: name.clone(), wants: *wants, had });
        }
    }
    wider
}

/// An interface's name without its version: a newer version of the same interface reaches no further.
fn without_version(import: &str) -> &str {
    import.split_once('@').map_or(import, |(name, _)| name)
}

/// The limits in words: the name in the settings, and what stands after the number.
const LIMITS: [(&str, &str, &str); 16] = [
    ("wall_ms", " ms", "from start to answer"),
    ("cpu_ms", " ms", "of processor time"),
    ("max_memory_mb", " MB", "of memory"),
    ("max_table_elements", "", "entries in one table"),
    ("max_handles", "", "open handles"),
    ("max_hostcall_kb", " KB", "in one call of the host"),
    ("max_input_kb", " KB", "of params"),
    ("max_output_kb", " KB", "of answer"),
    ("max_log_lines", "", "log lines"),
    ("max_log_kb", " KB", "of log"),
    ("max_http_requests", "", "requests for one task"),
    ("max_http_request_kb", " KB", "in one request"),
    ("max_http_response_kb", " KB", "in one response"),
    ("max_cache_calls", "", "cache calls"),
    ("max_cache_entry_kb", " KB", "in one cache entry"),
    ("max_cache_kb", " KB", "stored in the cache"),
];

impl fmt::Display for Wider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import { interface } => write!(f, "imports {interface}"),
            Self::Requests => write!(f, "wants to send requests"),
            Self::Net { origin } => write!(f, "wants to reach {origin}"),
            Self::Trace { origin } => write!(f, "wants {origin} told the trace of a request"),
            Self::Data { name, file, had: None } => {
                write!(f, "wants to read the data file `{name}` ({file})")
            }
            Self::Data { name, file, had: Some(had) } => {
                write!(f, "wants to read {file} as its data file `{name}`, had {had}")
            }
            Self::Cache => write!(f, "wants to use the cache"),
            Self::Secret(SecretUse { variable, origin, header, .. }) => {
                write!(f, "wants the secret {variable} sent to {origin} as `{header}`")
            }
            Self::Variable { setting, variable } => {
                write!(f, "wants to read the variable {variable} of the worker, as `{setting}`")
            }
            Self::Limit { name, wants, had } => {
                match LIMITS.iter().find(|(known, ..)| known == name) {
                    Some((_, unit, what)) => write!(f, "wants {wants}{unit} {what}, had {had}"),
                    None => write!(f, "wants {name} = {wants}, had {had}"),
                }
            }
        }
    }
}

impl Wider {
    /// What the operator writes into the settings to allow it.
    pub fn allow(&self) -> String {
        match self {
            Self::Import { interface } if interface.starts_with("wasi:http/") => {
                "`net = []` under [grants]".to_owned()
            }
            Self::Import { .. } => "nothing: every plugin may import it".to_owned(),
            Self::Requests => "`net = []` under [grants]".to_owned(),
            Self::Net { origin } => format!("{origin:?} in `net` under [grants]"),
            Self::Trace { origin } => format!("{origin:?} in `trace` under [grants]"),
            Self::Data { name, file, .. } => {
                format!("`{name} = {file:?}` in `data` under [grants]")
            }
            Self::Cache => "`cache = true` under [grants]".to_owned(),
            Self::Secret(SecretUse { variable, origin, header, prefix }) => {
                let prefix = if prefix.is_empty() {
                    String::new()
                } else {
                    format!(", prefix = {prefix:?}")
                };
                format!(
                    "[[secrets]] with host = {origin:?}, header = {header:?}, env = {variable:?}{prefix}"
                )
            }
            Self::Variable { setting, variable } => {
                format!("`{setting} = \"${{{variable}}}\"` under [config]")
            }
            Self::Limit { name, wants, .. } => format!("`{name} = {wants}` under [limits]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access {
            imports: ["wasi:clocks/wall-clock@0.2.0".to_owned()].into(),
            data: [("words".to_owned(), "words.csv".to_owned())].into(),
            limits: [("max_memory_mb".to_owned(), 64), ("wall_ms".to_owned(), 30_000)].into(),
            ..Access::default()
        }
    }

    #[track_caller]
    fn check(old: &Access, new: &Access, expected: &[&str]) {
        let said: Vec<String> = diff(old, new).iter().map(ToString::to_string).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn the_same_and_less_are_not_wider() {
        let less =
            Access { limits: [("max_memory_mb".to_owned(), 32)].into(), ..Access::default() };
        check(&access(), &access(), &[]);
        check(&access(), &less, &[]);
    }

    #[test]
    fn each_thing_that_is_more_is_one_sentence() {
        let secret = SecretUse {
            variable: "FORUM_KEY".to_owned(),
            origin: "https://forum.example:443".to_owned(),
            header: "Api-Key".to_owned(),
            prefix: String::new(),
        };
        let mut new = access();
        new.imports.insert("wasi:http/outgoing-handler@0.2.0".to_owned());
        new.requests = true;
        new.net.insert("https://forum.example:443".to_owned());
        new.trace.insert("https://forum.example:443".to_owned());
        new.data.insert("words".to_owned(), "/etc/passwd".to_owned());
        new.data.insert("x".to_owned(), "x.csv".to_owned());
        new.cache = true;
        new.secrets.insert(secret);
        new.variables.insert("forum".to_owned(), "FORUM_URL".to_owned());
        new.limits.insert("max_memory_mb".to_owned(), 256);
        check(
            &access(),
            &new,
            &[
                "imports wasi:http/outgoing-handler@0.2.0",
                "wants to reach https://forum.example:443",
                "wants https://forum.example:443 told the trace of a request",
                "wants to read /etc/passwd as its data file `words`, had words.csv",
                "wants to read the data file `x` (x.csv)",
                "wants to use the cache",
                "wants the secret FORUM_KEY sent to https://forum.example:443 as `Api-Key`",
                "wants to read the variable FORUM_URL of the worker, as `forum`",
                "wants 256 MB of memory, had 64",
            ],
        );
        check(&new, &new, &[]);
        let allowed: Vec<String> = diff(&access(), &new).iter().map(Wider::allow).collect();
        assert_eq!(allowed[1], "\"https://forum.example:443\" in `net` under [grants]");
        assert_eq!(allowed[2], "\"https://forum.example:443\" in `trace` under [grants]");
        assert_eq!(allowed[7], "`forum = \"${FORUM_URL}\"` under [config]");
        assert_eq!(allowed[8], "`max_memory_mb = 256` under [limits]");
    }

    #[test]
    fn requests_to_nobody_are_still_more_than_none() {
        let new = Access { requests: true, ..access() };
        check(&access(), &new, &["wants to send requests"]);
    }

    #[test]
    fn a_newer_interface_and_a_variable_under_another_name_are_no_more() {
        let mut old = access();
        old.variables.insert("a".to_owned(), "URL".to_owned());
        let mut new = access();
        new.imports = ["wasi:clocks/wall-clock@0.2.6".to_owned()].into();
        new.variables.insert("b".to_owned(), "URL".to_owned());
        check(&old, &new, &[]);
    }

    #[test]
    fn every_limit_has_its_words() {
        for (name, ..) in LIMITS {
            let old = Access { limits: [(name.to_owned(), 1)].into(), ..Access::default() };
            let new = Access { limits: [(name.to_owned(), 2)].into(), ..Access::default() };
            let said = diff(&old, &new)[0].to_string();
            assert!(said.starts_with("wants 2") && said.ends_with(", had 1"), "{said}");
        }
    }
}
