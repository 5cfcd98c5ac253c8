//! What a plugin is: its task types, each with the function that answers it, and its commands.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, IntoAnswer};
use crate::command::Command;
use crate::error::Error;
use crate::schema;
use crate::task::Task;

/// A plugin.
pub trait Plugin {
    /// Says what the plugin is. It must not depend on settings or data.
    fn describe() -> Description;

    /// Prepares what every task needs, for instance an index over a data file. It runs once; every task begins with the memory
    /// that it leaves.
    ///
    /// # Errors
    ///
    /// Why the plugin cannot work: it is refused.
    fn init() -> Result<(), Error> {
        Ok(())
    }
}

type Handler = Box<dyn Fn(&Task) -> Result<Answer, Error> + Send + Sync>;

/// A task type.
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    /// Made when it is asked for: no task needs it.
    pub(crate) schema: fn() -> Value,
    handler: Handler,
}

/// What a plugin says about itself.
pub struct Description {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) routes: Vec<Route>,
    commands: Vec<Command>,
    rows: BTreeMap<&'static str, usize>,
}

impl Description {
    /// A plugin with this name (1 to 64 lower case letters, digits and `-`, beginning with a letter) and this version (semantic).
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version, routes: Vec::new(), commands: Vec::new(), rows: BTreeMap::new() }
    }

    /// Handles a task type (1 to 64 lower case letters, digits and `_`, beginning with a letter). The schema of its params is
    /// made from `P`.
    #[must_use]
    pub fn task<P, A, F>(self, name: &'static str, summary: &'static str, answer: F) -> Self
    where
        P: DeserializeOwned + JsonSchema,
        A: IntoAnswer,
        F: Fn(&P, &Task) -> Result<A, Error> + Send + Sync + 'static,
    {
        self.raw_task(name, summary, schema::of::<P>, move |task| {
            // They fit the schema, so only a type that is stricter than its schema gets here.
            let params: P = serde_json::from_str(&task.params)
                .map_err(|error| Error::invalid(format!("I cannot use that: {error}")))?;
            answer(&params, task)
        })
    }

    /// Handles a task type with a schema of your own. The function reads [`Task::params`] itself.
    #[must_use]
    pub fn raw_task<A, F>(
        mut self,
        name: &'static str,
        summary: &'static str,
        schema: fn() -> Value,
        answer: F,
    ) -> Self
    where
        A: IntoAnswer,
        F: Fn(&Task) -> Result<A, Error> + Send + Sync + 'static,
    {
        let handler: Handler = Box::new(move |task| answer(task).map(IntoAnswer::into_answer));
        self.routes.push(Route { name, summary, schema, handler });
        self
    }

    /// Brings a chat command along.
    #[must_use]
    pub fn command(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }

    /// How many rows of a data file `init` could use; none before it ran. The host refuses a new version that lost most of them.
    #[must_use]
    pub fn rows(mut self, data: &'static str, rows: Option<usize>) -> Self {
        self.rows.extend(rows.map(|rows| (data, rows)));
        self
    }

    /// What the worker is told, as JSON: for tests.
    pub fn to_json(&self) -> Value {
        let types = self.routes.iter().map(|route| {
            json!({"name": route.name, "summary": route.summary, "params_schema": (route.schema)()})
        });
        json!({
            "name": self.name, "version": self.version, "task_types": types.collect::<Vec<_>>(),
            "extensions": self.extensions(),
        })
    }

    /// What may grow, as the contract's `extensions`.
    pub(crate) fn extensions(&self) -> Value {
        let mut extensions = Map::from_iter([("version".to_owned(), 1.into())]);
        if !self.commands.is_empty() {
            extensions.insert("commands".to_owned(), json!(self.commands));
        }
        if !self.rows.is_empty() {
            let rows =
                self.rows.iter().map(|(data, rows)| ((*data).to_owned(), json!({"rows": rows})));
            extensions.insert("data".to_owned(), Value::Object(rows.collect()));
        }
        Value::Object(extensions)
    }

    /// Answers a task.
    pub(crate) fn answer(&self, task: &Task) -> Result<Answer, Error> {
        let route = self.routes.iter().find(|route| route.name == task.task_type);
        let route = route.ok_or_else(|| {
            Error::invalid(format!("{} does not handle `{}`", self.name, task.task_type))
        })?;
        (route.handler)(task)
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<&str> = self.routes.iter().map(|route| route.name).collect();
        f.debug_struct("Description")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("task_types", &types)
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Params {
        text: String,
    }

    #[test]
    fn the_worker_is_told_types_commands_and_rows() {
        let echo = |params: &Params, _task: &Task| Ok(Value::from(params.text.as_str()));
        let described = |rows| {
            Description::new("echo", "1.2.3")
                .task("echo", "Says it back.", echo)
                .command(Command::new("echo", "Say it back", "echo").argument("text"))
                .rows("words", rows)
                .to_json()
        };
        let before = described(None);
        assert_eq!((&before["name"], &before["version"]), (&json!("echo"), &json!("1.2.3")));
        assert_eq!(before["task_types"][0]["params_schema"]["required"], json!(["text"]));
        assert_eq!(before["extensions"]["commands"][0]["name"], "echo");
        assert_eq!(before["extensions"].get("data"), None);
        assert_eq!(described(Some(7))["extensions"]["data"], json!({"words": {"rows": 7}}));
    }
}
