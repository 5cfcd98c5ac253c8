//! The world's exports: decode, call, encode. The only file that names the bindings.

use serde_json::Value;

use crate::dice::Dice;
use crate::words::Lang;
use crate::{descriptor, view};

#[expect(unsafe_code, reason = "generated code: the border of the sandbox is made of raw pointers")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "plugin" });
    use super::Plugin;
    export!(Plugin);
}

use bindings::freefans::plugin::types::{Descriptor, Failure, Output, Task, TaskType};

struct Plugin;

impl bindings::Guest for Plugin {
    fn describe() -> Descriptor {
        Descriptor {
            name: descriptor::NAME.to_owned(),
            version: descriptor::VERSION.to_owned(),
            task_types: vec![TaskType {
                name: descriptor::TASK_TYPE.to_owned(),
                summary: descriptor::SUMMARY.to_owned(),
                params_schema: descriptor::params_schema().to_string(),
            }],
            extensions: descriptor::extensions().to_string(),
        }
    }

    /// Once per load; dice need no preparation.
    fn init() -> Result<(), String> {
        Ok(())
    }

    /// Once per task, each time in a fresh instance.
    fn handle(task: Task) -> Result<Output, Failure> {
        let params: Value = serde_json::from_str(&task.params)
            .map_err(|error| Failure::Invalid(error.to_string()))?;
        let text = params.get("dice").and_then(Value::as_str).unwrap_or(descriptor::DEFAULT);
        let lang = Lang::of(params.get("lang").and_then(Value::as_str));
        let dice = Dice::parse(text).map_err(|problem| Failure::Invalid(lang.problem(problem)))?;
        let data = view::data(&dice.throw(task.seed), lang);
        Ok(Output { data: data.to_string(), metadata: "{}".to_owned() })
    }
}
