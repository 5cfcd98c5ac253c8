//! A host for `cargo test`: a plugin runs natively and reaches what the test gives it.
//!
//! ```
//! # use freefans_plugin::{Description, Error, Plugin, Task, View, config, test::Host};
//! # #[derive(serde::Deserialize, schemars::JsonSchema)] struct Params { name: String }
//! # struct Greeter;
//! # impl Plugin for Greeter { fn describe() -> Description { Description::new("greeter", "1.0.0").task("greet", "Greets.", greet) } }
//! # fn greet(params: &Params, _task: &Task) -> Result<View, Error> { Ok(View::text(format!("{} {}", config::required("word")?, params.name))) }
//! let mut host = Host::new().config("word", "Hello");
//! let answer = host.run::<Greeter>("greet", r#"{"name":"Ann"}"#).unwrap();
//! assert_eq!(answer.data()["view"]["text"], "Hello Ann");
//! ```

mod cases;

use std::fmt;

use crate::answer::Answer;
use crate::description::Plugin;
use crate::error::Error;
use crate::host::Level;
use crate::host::native::{REACH, Reach};
use crate::http::message::{HttpError, Request, Response};
use crate::task::Task;

/// What a plugin in a test reaches.
#[derive(Default)]
pub struct Host {
    reach: Reach,
    seed: u64,
}

impl Host {
    /// A host that grants nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a setting of `[config]`.
    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.reach.config.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Hands over a file.
    #[must_use]
    pub fn data(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.reach.data.insert(name.to_owned(), bytes.into());
        self
    }

    /// Answers requests. Without it every request is [`HttpError::Denied`].
    #[must_use]
    pub fn web(
        mut self,
        answer: impl FnMut(&Request) -> Result<Response, HttpError> + 'static,
    ) -> Self {
        self.reach.web = Some(Box::new(answer));
        self
    }

    /// The seed of the next tasks. Without it, it is 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs `init`.
    ///
    /// # Errors
    ///
    /// Why the plugin refuses to work.
    pub fn init<P: Plugin>(&mut self) -> Result<(), Error> {
        self.within(P::init)
    }

    /// Runs one task; `params` is a JSON object.
    ///
    /// # Errors
    ///
    /// The plugin's failure.
    pub fn run<P: Plugin>(&mut self, task_type: &str, params: &str) -> Result<Answer, Error> {
        let task = Task { seed: self.seed, ..task(task_type, params.to_owned()) };
        self.within(|| P::describe().answer(&task))
    }

    /// What was logged so far.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.reach.logs
    }

    /// What the person was told while tasks ran.
    pub fn progress(&self) -> &[String] {
        &self.reach.progress
    }

    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        REACH.with_borrow_mut(|reach| std::mem::swap(reach, &mut self.reach));
        let result = run();
        REACH.with_borrow_mut(|reach| std::mem::swap(reach, &mut self.reach));
        result
    }
}

/// A first attempt with a minute left. `params` is a JSON object.
fn task(task_type: &str, params: String) -> Task {
    Task {
        id: "test".to_owned(),
        task_type: task_type.to_owned(),
        user_id: 1,
        params,
        attempt: 1,
        time_left_ms: 60_000,
        seed: 0,
        traceparent: None,
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("seed", &self.seed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Description, cache, config, data, log, progress};

    #[derive(Deserialize, JsonSchema)]
    struct Params {
        place: String,
    }

    struct Weather;

    impl Plugin for Weather {
        fn describe() -> Description {
            Description::new("weather", "1.0.0").task("weather", "Says the weather.", weather)
        }

        fn init() -> Result<(), Error> {
            log::info(data::text("places")?);
            Ok(())
        }
    }

    fn weather(params: &Params, task: &Task) -> Result<Value, Error> {
        progress::report("looking", None);
        let base = config::required("base")?;
        let degrees: i64 = cache::get_or(&params.place, 60, || -> Result<_, Error> {
            let request = Request::get(format!("{base}/{}", crate::http::encode(&params.place)));
            request.send()?.ok()?.json()
        })?;
        Ok(json!({"place": params.place, "degrees": degrees, "seed": task.seed}))
    }

    fn answering(status: u16, body: &'static str) -> Host {
        Host::new().config("base", "https://w.example").web(move |request| {
            assert_eq!(request.url, "https://w.example/K%C3%B6ln");
            Ok(Response { status, headers: Vec::new(), body: body.into() })
        })
    }

    const ASKED: &str = r#"{"place":"Köln"}"#;

    #[test]
    fn a_plugin_reaches_what_the_test_gives_it() {
        let mut host = answering(200, "7").seed(9).data("places", "Köln");
        host.init::<Weather>().unwrap();
        let answer = host.run::<Weather>("weather", ASKED).unwrap();
        assert_eq!(*answer.data(), json!({"place": "Köln", "degrees": 7, "seed": 9}));
        assert_eq!(host.progress(), ["looking"]);
        assert_eq!(host.logs(), [(Level::Info, "Köln".to_owned())]);
        // The second time it is in the cache.
        let mut host = host.web(|_request| Err(HttpError::Unreachable));
        assert!(host.run::<Weather>("weather", ASKED).is_ok());
    }

    #[test]
    fn each_failure_says_what_is_wrong_and_whether_to_try_again() {
        let bare = |params| Host::new().run::<Weather>("weather", params).unwrap_err();
        assert!(matches!(bare("{}"), Error::Invalid(text) if text.contains("place")));
        assert!(matches!(bare(ASKED), Error::Fatal(text) if text.contains("`base`")));
        let run = |mut host: Host| host.run::<Weather>("weather", ASKED).unwrap_err();
        assert!(matches!(run(answering(503, "")), Error::Retry { .. }));
        let away = Host::new().config("base", "https://w.example");
        let away = away.web(|_request| Err(HttpError::Unreachable));
        assert!(matches!(run(away), Error::Retry { .. }));
        assert!(matches!(run(answering(404, "")), Error::Fatal(_)));
        assert!(matches!(run(answering(200, "warm")), Error::Fatal(_)));
        let denied = run(Host::new().config("base", "https://w.example"));
        assert!(denied.to_string().contains("`net` under [grants]"), "{denied}");
        let unknown = Host::new().run::<Weather>("tide", "{}").unwrap_err();
        assert!(unknown.to_string().contains("does not handle `tide`"), "{unknown}");
        let no_data = Host::new().init::<Weather>().unwrap_err();
        assert!(no_data.to_string().contains("places = \"FILE\""), "{no_data}");
    }
}
