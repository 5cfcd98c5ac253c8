//! The file of a case.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use queue::{Task, TaskResult, TaskType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Largest file of a case.
const MAX_BYTES: u64 = 64 << 20;

/// A task, what the world outside answers to it, and what is expected of the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The task.
    pub task: CaseTask,
    /// What the plugin's wall clock shows, in milliseconds since 1970. It stands still.
    #[serde(default)]
    pub now_ms: u64,
    /// Decides the random bytes that the plugin gets.
    #[serde(default)]
    pub random: u64,
    /// Replaces values in the `[config]` table of the settings file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Answers of other servers. Each is given once, to the first request with its method and address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<Exchange>,
    /// What is in the cache when the task begins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cache: BTreeMap<String, Content>,
    /// SHA-256 of the data files at the time of the recording, in hex, to notice that they are others now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// What is expected; nothing is compared without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
}

/// The task of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTask {
    /// Its type.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Its params.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Who asks.
    #[serde(default)]
    pub user_id: i64,
    /// 1 for the first attempt.
    #[serde(default = "first")]
    pub attempt: u32,
    /// The random number that the task carries.
    #[serde(default)]
    pub seed: u64,
}

fn first() -> u32 {
    1
}

/// A request, and how it ended: with `status`, or with `error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Its method.
    #[serde(default = "get")]
    pub method: String,
    /// Its address. Headers that the host adds, such as keys, are not here.
    pub url: String,
    /// The answer's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer's headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The answer's body.
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub body: Content,
    /// Why there was no answer: `timeout`, `not-connected`, `address-not-public` or `protocol-error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// Bytes: a text as it is, anything else in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// Other bytes.
    Binary {
        /// In base64.
        base64: String,
    },
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Content {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_binary) => Self::Binary { base64: STANDARD.encode(bytes) },
        }
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// It is no base64.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Binary { base64 } => {
                STANDARD.decode(base64).map_err(|error| format!("`base64`: {error}"))
            }
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its size as it is written, in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Binary { base64: text } => text.len(),
        }
    }
}

/// What is expected of a plugin. What is left out is not compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The answer's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// The failure's code, such as `invalid-params`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the person is told of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Limits that the task reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<String>>,
    /// The last lines that the plugin wrote, such as `warn: nothing found`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Vec<String>>,
}

impl Expect {
    /// What a run has shown.
    pub fn of(result: &TaskResult, log: Option<&str>) -> Self {
        let limits = result
            .metadata
            .get("limits")
            .and_then(Value::as_array)
            .map(|limits| limits.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Self {
            data: result.success.then(|| result.data.clone()),
            code: result.code().map(str::to_owned),
            error: result.error.clone(),
            limits,
            log: log.map(|log| log.lines().map(str::to_owned).collect()),
        }
    }

    /// What is not as expected, one entry for each part.
    pub fn differences(&self, seen: &Self) -> Vec<String> {
        let text = |value: &Value| format!("{value:#}");
        let joined = |lines: &Vec<String>| lines.join("\n");
        // An unexpected failure says more than the missing data.
        let no_failure = (self.data.is_some() && self.code.is_none()).then(|| "none".to_owned());
        let failure = seen.error.clone().or_else(|| no_failure.clone());
        let parts = [
            ("failure", no_failure, failure),
            ("data", self.data.as_ref().map(text), seen.data.as_ref().map(text)),
            ("code", self.code.clone(), seen.code.clone()),
            ("error", self.error.clone(), seen.error.clone()),
            ("limits", self.limits.as_ref().map(joined), seen.limits.as_ref().map(joined)),
            ("log", self.log.as_ref().map(joined), seen.log.as_ref().map(joined)),
        ];
        let differences = parts.into_iter().filter_map(|(name, expected, seen)| {
            let expected = expected?;
            let seen = seen.unwrap_or_else(|| "nothing".to_owned());
            (seen != expected).then(|| format!("{name}: expected {expected}\n{name}: was {seen}"))
        });
        differences.collect()
    }
}

impl Case {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no case; the text says where.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let named = || path.display();
        let bytes = fs::metadata(path).with_context(|| format!("cannot read {}", named()))?.len();
        anyhow::ensure!(
            bytes <= MAX_BYTES,
            "{} has {bytes} bytes; at most {MAX_BYTES} are read",
            named()
        );
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", named()))?;
        let case: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no case: see docs/plugins/testing.md", named()))?;
        for (index, exchange) in case.http.iter().enumerate() {
            let problem = exchange
                .problem()
                .map(|problem| format!("{}: `http` number {}: {problem}", named(), index + 1));
            anyhow::ensure!(problem.is_none(), problem.unwrap_or_default());
        }
        Ok(case)
    }

    /// Writes a file, for people to read and change.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        fs::write(path, self.text()?).with_context(|| format!("cannot write {}", path.display()))
    }

    /// As it is in a file.
    pub(crate) fn text(&self) -> serde_json::Result<String> {
        Ok(format!("{:#}\n", serde_json::to_value(self)?))
    }

    /// The task to run.
    pub fn task(&self) -> Task {
        let CaseTask { task_type, params, user_id, attempt, .. } = &self.task;
        Task { attempt: *attempt, ..Task::new(task_type.clone(), *user_id, params.clone()) }
    }
}

impl Exchange {
    fn problem(&self) -> Option<String> {
        match (&self.status, &self.error) {
            (None, None) => Some("it has neither `status` nor `error`".to_owned()),
            (Some(status), _) if !(100..=599).contains(status) => {
                Some(format!("`status` {status} is none of HTTP"))
            }
            _ => self.body.bytes().err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use queue::FailureCode;
    use serde_json::json;

    use super::*;

    fn case(text: &str) -> Result<Case, String> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.json");
        fs::write(&path, text).unwrap();
        Case::read(&path).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_short_case_is_enough_and_a_written_one_is_read_again() {
        let short = case(r#"{"task": {"type": "tide", "params": {"text": "hi"}}}"#).unwrap();
        assert_eq!((short.task.attempt, short.task.user_id), (1, 0));
        let whole = Case {
            http: vec![Exchange {
                method: get(),
                url: "https://a.example/1".to_owned(),
                status: Some(200),
                headers: BTreeMap::new(),
                body: Content::of(&[0xff, 0]),
                error: None,
            }],
            cache: [("k".to_owned(), Content::of(b"v"))].into(),
            expect: Some(Expect { data: Some(json!({"a": 1})), ..Expect::default() }),
            ..short
        };
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.json");
        whole.write(&path).unwrap();
        assert_eq!(Case::read(&path).unwrap(), whole);
        assert_eq!(whole.http[0].body.bytes(), Ok(vec![0xff, 0]));
    }

    #[test]
    fn a_mistake_is_named() {
        let with = |http: &str| format!(r#"{{"task": {{"type": "tide"}}, "http": [{http}]}}"#);
        for (text, part) in [
            (r#"{"tusk": {}}"#.to_owned(), "unknown field `tusk`"),
            (
                with(r#"{"url": "https://a.example"}"#),
                "`http` number 1: it has neither `status` nor `error`",
            ),
            (with(r#"{"url": "https://a.example", "status": 7}"#), "`status` 7"),
            (
                with(r#"{"url": "https://a.example", "status": 200, "body": {"base64": "?"}}"#),
                "`base64`",
            ),
        ] {
            let told = case(&text).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn what_is_expected_is_compared_and_the_rest_is_not() {
        let seen = Expect::of(&TaskResult::success(json!({"a": 1})), Some("info: b"));
        assert_eq!(Expect::default().differences(&seen), [""; 0]);
        let other = Expect { data: Some(json!({"a": 2})), ..Expect::default() };
        assert_eq!(other.differences(&seen).len(), 1);
        let log = Expect { log: Some(vec!["info: c".to_owned()]), ..Expect::default() };
        assert_eq!(log.differences(&seen), ["log: expected info: c\nlog: was info: b"]);
        let failed = Expect::of(&TaskResult::failure(FailureCode::Trap, "it crashed"), None);
        assert_eq!(
            other.differences(&failed)[0],
            "failure: expected none\nfailure: was it crashed"
        );
        let code = Expect { code: Some("trap".to_owned()), ..Expect::default() };
        assert_eq!(code.differences(&failed), [""; 0]);
    }
}
