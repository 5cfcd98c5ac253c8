//! PLUGIN_TITLE: chooses one of several words.

use freefans_plugin::{
    Answer, Button, Command, Description, Error, Item, Plugin, Task, View, text::escape,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const TASK: &str = "PLUGIN_TYPE";
const MAX_WORDS: usize = 50;

/// What a person may ask. The host refuses what does not fit the JSON Schema of this type.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Params {
    /// The words.
    #[serde(default = "coin")]
    #[schemars(length(max = 200))]
    text: String,
}

fn coin() -> String {
    "heads tails".to_owned()
}

/// What is answered, beside the view.
#[derive(Debug, Serialize)]
struct Choice {
    words: Vec<String>,
    chosen: String,
}

/// The plugin. `/PLUGIN_IDENT tea coffee` becomes a task PLUGIN_TYPE with the params {"text": "tea coffee"}.
#[derive(Debug)]
pub struct MyPlugin;

impl Plugin for MyPlugin {
    fn describe() -> Description {
        Description::new("PLUGIN_NAME", env!("CARGO_PKG_VERSION"))
            .task(TASK, "Chooses one of several words.", choose)
            .command(
                Command::new("PLUGIN_IDENT", "Let PLUGIN_TITLE choose", TASK)
                    .argument("text")
                    .example("tea coffee"),
            )
    }
}

freefans_plugin::export!(MyPlugin);

fn choose(params: &Params, task: &Task) -> Result<Answer, Error> {
    let words: Vec<String> = params.text.split_whitespace().map(str::to_owned).collect();
    if words.len() > MAX_WORDS {
        return Err(Error::invalid(format!("I choose from at most {MAX_WORDS} words.")));
    }
    // Random numbers come from the task: a generator that is seeded in `init` gives every task the same ones.
    let chosen = task.random().pick(&words).cloned().ok_or_else(|| {
        Error::invalid("Write some words to choose from, for instance: tea coffee")
    })?;
    let again = Params { text: words.join(" ") };
    let view = View::text(format!("**PLUGIN_TITLE** chooses **{}**.", escape(&chosen)))
        .items(words.iter().map(Item::new))
        .row([Button::ask("Again", TASK, &again)]);
    Ok(Answer::of(&Choice { words, chosen })?.with_view(view))
}
