//! Cases as `worker plugins test` runs them, for `cargo test` and a debugger.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::description::Plugin;
use crate::error::Error;
use crate::host::Level;
use crate::host::native::Reach;
use crate::http::message::{HttpError, Request, Response};
use crate::task::Task;
use crate::test::Host;

/// What is read of a file. The clock, random bytes of WASI, limits and digests are the worker's alone.
#[derive(Debug, Deserialize)]
struct Case {
    task: CaseTask,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    http: Vec<Exchange>,
    #[serde(default)]
    cache: BTreeMap<String, Content>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
struct CaseTask {
    #[serde(rename = "type")]
    task_type: String,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    user_id: i64,
    #[serde(default = "first")]
    attempt: u32,
    #[serde(default)]
    seed: u64,
}

fn first() -> u32 {
    1
}

#[derive(Debug, Clone, Deserialize)]
struct Exchange {
    #[serde(default = "get")]
    method: String,
    url: String,
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Content,
    error: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Binary {
        #[serde(rename = "base64")]
        _base64: String,
    },
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Content {
    fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Binary { .. } => {
                Err("it has bytes that are no text; only `worker plugins test` reads those"
                    .to_owned())
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Expect {
    data: Option<Value>,
    code: Option<String>,
    error: Option<String>,
    log: Option<Vec<String>>,
}

impl Host {
    /// Runs each `*.json` in `folder` as `worker plugins test` does, natively, with the settings and data files of this host: so a
    /// debugger can stop in it. Returns how many there were.
    ///
    /// `init` is not run: call [`Host::init`] first if the plugin has one. Not as in a worker: the clock is the real one, random bytes of WASI are other ones, no limit holds, and `limits` is not
    /// compared.
    ///
    /// # Errors
    ///
    /// What is not as expected, one paragraph for each case; or a folder without cases, and a file that is none.
    pub fn cases<P: Plugin>(&mut self, folder: impl AsRef<Path>) -> Result<usize, String> {
        let folder = folder.as_ref();
        let files = files(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        if files.is_empty() {
            return Err(format!("{} has no *.json", folder.display()));
        }
        let failed = files.iter().filter_map(|file| {
            let problems = match read(file) {
                Ok(case) => self.case::<P>(&case),
                Err(problem) => vec![problem],
            };
            let told = format!("{}: {}", file.display(), problems.join("\n  "));
            (!problems.is_empty()).then_some(told)
        });
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() { Ok(files.len()) } else { Err(failed.join("\n")) }
    }

    /// What is not as a case expects.
    fn case<P: Plugin>(&mut self, case: &Case) -> Vec<String> {
        let mut cache = BTreeMap::new();
        for (key, value) in &case.cache {
            match value.bytes() {
                Ok(bytes) => drop(cache.insert(key.clone(), bytes)),
                Err(problem) => return vec![format!("`cache`, `{key}`: {problem}")],
            }
        }
        let web = Rc::new(RefCell::new(Web { left: case.http.clone(), unanswered: Vec::new() }));
        let answering = Rc::clone(&web);
        let mut config = self.reach.config.clone();
        config.extend(case.settings.clone());
        let of_case = Reach {
            config,
            data: std::mem::take(&mut self.reach.data),
            cache,
            web: Some(Box::new(move |request| answering.borrow_mut().answer(request))),
            ..Reach::default()
        };
        let own = std::mem::replace(&mut self.reach, of_case);
        let answer = self.within(|| P::describe().answer(&case.task()));
        let seen = std::mem::replace(&mut self.reach, own);
        self.reach.data = seen.data;
        let mut problems = case.expect.differences(answer, &seen.logs);
        problems.append(&mut web.borrow_mut().unanswered);
        problems
    }
}

/// The answers of a case, each given once.
struct Web {
    left: Vec<Exchange>,
    unanswered: Vec<String>,
}

impl Web {
    fn answer(&mut self, request: &Request) -> Result<Response, HttpError> {
        let is_asked =
            |exchange: &Exchange| exchange.method == request.method && exchange.url == request.url;
        let Some(at) = self.left.iter().position(is_asked) else {
            let what =
                format!("http: the case has no answer to {} {}", request.method, request.url);
            self.unanswered.push(what);
            return Err(HttpError::Unreachable);
        };
        let exchange = self.left.remove(at);
        match exchange.error.as_deref() {
            None => {}
            Some("timeout") => return Err(HttpError::Timeout),
            Some("address-not-public") => return Err(HttpError::Private),
            Some(_) => return Err(HttpError::Unreachable),
        }
        let body = exchange.body.bytes().map_err(|problem| {
            self.unanswered.push(format!("http: {}: {problem}", exchange.url));
            HttpError::Unreachable
        })?;
        let status = exchange.status.unwrap_or(200);
        Ok(Response { status, headers: exchange.headers.into_iter().collect(), body })
    }
}

impl Case {
    fn task(&self) -> Task {
        let CaseTask { task_type, params, user_id, attempt, seed } = &self.task;
        Task {
            user_id: *user_id,
            attempt: *attempt,
            seed: *seed,
            ..super::task(task_type, Value::Object(params.clone()).to_string())
        }
    }
}

impl Expect {
    /// What is not as expected, one entry for each part. What is left out is not compared.
    fn differences(&self, answer: Result<Answer, Error>, logs: &[(Level, String)]) -> Vec<String> {
        let (data, failure) = match answer {
            Ok(answer) => (Some(answer.data().clone()), None),
            Err(error) => (None, Some((code(&error), error.to_string()))),
        };
        let log = logs.iter().map(|(level, line)| format!("{}: {line}", name(*level)));
        let log = log.collect::<Vec<_>>().join("\n");
        let text = |value: &Value| format!("{value:#}");
        let failed = failure.as_ref().map(|(code, reason)| format!("{code}: {reason}"));
        let parts = [
            ("data", self.data.as_ref().map(text), data.as_ref().map(text).or(failed)),
            ("code", self.code.clone(), failure.as_ref().map(|(code, _)| (*code).to_owned())),
            ("error", self.error.clone(), failure.map(|(_, reason)| reason)),
            ("log", self.log.as_ref().map(|lines| lines.join("\n")), Some(log)),
        ];
        let differences = parts.into_iter().filter_map(|(part, expected, seen)| {
            let expected = expected?;
            let seen = seen.unwrap_or_else(|| "nothing".to_owned());
            (seen != expected).then(|| format!("{part}: expected {expected}\n  {part}: was {seen}"))
        });
        differences.collect()
    }
}

/// As the worker calls a failure.
fn code(error: &Error) -> &'static str {
    match error {
        Error::Invalid(_) => "invalid-params",
        Error::NotFound(_) => "not-found",
        Error::Retry { .. } => "retries-exhausted",
        Error::Fatal(_) => "plugin-failed",
    }
}

/// As the worker writes it before a line.
fn name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read(file: &Path) -> Result<Case, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("is no case with `expect` ({error}); see docs/plugins/testing.md"))
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;
    use crate::{Description, cache, config, log};

    #[derive(Deserialize, JsonSchema)]
    struct Params {
        place: String,
    }

    struct Tide;

    impl Plugin for Tide {
        fn describe() -> Description {
            Description::new("tide", "1.0.0").task("tide", "Says when the tide is high.", tide)
        }
    }

    fn tide(params: &Params, task: &Task) -> Result<Value, Error> {
        log::info(format!("asked for {}", params.place));
        let url = format!("{}/{}", config::required("base")?, params.place);
        let high: String = Request::get(url).send()?.ok()?.json()?;
        let last = cache::get("last").and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(json!({"high": high, "last": last, "who": task.user_id}))
    }

    fn case() -> Value {
        json!({
            "task": {"type": "tide", "params": {"place": "harbour"}, "user_id": 7},
            "now_ms": 0,
            "settings": {"base": "https://tides.example"},
            "http": [{"url": "https://tides.example/harbour", "status": 200, "body": "\"12:04\""}],
            "cache": {"last": "12:00"},
            "expect": {
                "data": {"high": "12:04", "last": "12:00", "who": 7}, "log": ["info: asked for harbour"],
            },
        })
    }

    fn run(case: &Value) -> Result<usize, String> {
        let folder =
            std::env::temp_dir().join(format!("freefans-cases-{:?}", std::thread::current().id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("one.json"), case.to_string()).unwrap();
        fs::write(folder.join("notes.txt"), "no case").unwrap();
        let ran = Host::new().config("base", "https://other.example").cases::<Tide>(&folder);
        fs::remove_dir_all(&folder).unwrap();
        ran
    }

    #[test]
    fn a_case_answers_the_plugin_and_is_compared() {
        assert_eq!(run(&case()), Ok(1));
        let changed = |change: fn(&mut Value)| {
            let mut changed = case();
            change(&mut changed);
            run(&changed).unwrap_err()
        };
        let other = changed(|case| case["expect"]["data"]["high"] = json!("12:05"));
        assert!(other.contains("one.json: data: expected") && other.contains("was"), "{other}");
        let silent = changed(|case| case["http"] = json!([]));
        assert!(silent.contains("no answer to GET https://tides.example/harbour"), "{silent}");
        let busy = changed(|case| case["http"][0]["status"] = json!(503));
        assert!(busy.contains("was retries-exhausted: "), "{busy}");
        let log = changed(|case| case["expect"]["log"] = json!([]));
        assert!(log.contains("log: was info: asked for harbour"), "{log}");
        let binary = changed(|case| case["http"][0]["body"] = json!({"base64": "/w=="}));
        assert!(binary.contains("only `worker plugins test` reads those"), "{binary}");
        let bare = changed(|case| drop(case.as_object_mut().unwrap().remove("expect")));
        assert!(bare.contains("no case with `expect`"), "{bare}");
    }

    #[test]
    fn a_folder_without_cases_is_no_success() {
        let none = Host::new().cases::<Tide>("src/test").unwrap_err();
        assert!(none.contains("src/test has no *.json"), "{none}");
        assert!(Host::new().cases::<Tide>("nowhere").is_err());
    }
}
