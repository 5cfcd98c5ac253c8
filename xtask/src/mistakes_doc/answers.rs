//! What `handle` returns cannot be used, or is not shown as it is written.

use serde_json::{Value, json};
use test_kit::{DescribedGuest, GuestAnswer};

use super::mistake::Mistake;

const RUN: &str = "run tide.wasm --task-type tide";

pub(super) fn mistakes() -> Vec<Mistake> {
    let mut mistakes = views();
    mistakes.extend(endings());
    mistakes
}

fn answering(what: &str, answer: GuestAnswer) -> Mistake {
    let schema = r#"{"type": "object", "properties": {"place": {"type": "string"}}}"#;
    let task_types = vec![("tide".to_owned(), schema.to_owned())];
    let guest = DescribedGuest { answer, task_types, ..DescribedGuest::new("tide", &[]) };
    Mistake::shown(what, RUN).with("tide.wasm", guest.build())
}

fn views() -> Vec<Mistake> {
    let view = |what: &str, view: Value| {
        answering(what, GuestAnswer::Data(json!({"view": view}).to_string()))
    };
    let buttons = |what: &str, buttons: Value| {
        view(what, json!({"version": 1, "text": "High water", "buttons": buttons}))
    };
    let again = json!({"text": "Again", "task_type": "tide"});
    vec![
        view("a view without a version", json!({"text": "High water"})),
        view("a view of another version", json!({"version": 2, "text": "High water"})),
        view("a view with nothing to show", json!({"version": 1, "buttons": [[again]]})),
        view("`title` for `text`", json!({"version": 1, "title": "Tides", "texts": "High water"})),
        view(
            "a text that is too long",
            json!({"version": 1, "text": "High water. ".repeat(1_500)}),
        ),
        view(
            "more items than are shown",
            json!({"version": 1, "items": vec![json!({"title": "High water"}); 51]}),
        ),
        view(
            "a title that is too long",
            json!({"version": 1, "items": [{"title": "High water. ".repeat(11)}]}),
        ),
        view(
            "an address that is none",
            json!({"version": 1, "items": [{"title": "Tides", "url": "www.example.org"}]}),
        ),
        buttons("buttons that are in no row", json!([again])),
        buttons("more buttons in a row than are shown", json!([vec![again.clone(); 6]])),
        buttons("a button with nothing to do", json!([[{"text": "Again", "task": "tide"}]])),
        buttons(
            "a button for a task type that the plugin does not have",
            json!([[{"text": "Again", "task_type": "tides"}]]),
        ),
        buttons(
            "a button whose params do not fit the schema",
            json!([[{"text": "Again", "task_type": "tide", "params": {"place": 7}}]]),
        ),
    ]
}

fn endings() -> Vec<Mistake> {
    let limited = |what: &str, answer: GuestAnswer, limits: &str| {
        answering(what, answer).with("tide.toml", format!("[limits]\n{limits}\n"))
    };
    let long = GuestAnswer::Data(json!("High water. ".repeat(200)).to_string());
    let misfit = ["--params", r#"{"place":7}"#].map(str::to_owned);
    let mut wrong_params = answering("params that do not fit the schema", GuestAnswer::Trap);
    wrong_params.arguments.extend(misfit);
    let mut wrong_type = answering("a task type that the plugin does not have", GuestAnswer::Trap);
    wrong_type.arguments =
        "run tide.wasm --task-type tides".split(' ').map(str::to_owned).collect();
    let commands =
        json!([{"name": "tide", "description": "Says when the tide is", "task_type": "tide"}]);
    let extensions = json!({"version": 1, "commands": commands}).to_string();
    let asked = DescribedGuest { extensions, ..DescribedGuest::new("tide", &["tide"]) };
    vec![
        Mistake::shown("an answer without a view, to a command", RUN)
            .with("tide.wasm", asked.build()),
        answering("an answer that is not JSON", GuestAnswer::Data("High water".to_owned())),
        answering(
            "a task that asks to be tried again",
            GuestAnswer::Retry("The harbour does not answer.".to_owned()),
        ),
        answering("a panic", GuestAnswer::Trap),
        limited("a loop without an end", GuestAnswer::Loop, "cpu_ms = 200"),
        limited("an answer that is too large", long, "max_output_kb = 1"),
        wrong_params,
        wrong_type,
    ]
}
