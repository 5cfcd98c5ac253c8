//! The settings beside a plugin, and other plugins, do not go with it.

use serde_json::json;
use test_kit::DescribedGuest;

use super::mistake::Mistake;

pub(super) fn mistakes() -> Vec<Mistake> {
    let mut mistakes = settings();
    mistakes.extend(neighbours());
    mistakes
}

fn settings() -> Vec<Mistake> {
    let with = |what: &str, settings: &str| {
        let guest = DescribedGuest::new("tide", &["tide"]);
        Mistake::checked(what, guest.build()).with("tide.toml", settings)
    };
    vec![
        with("a key that no settings file has", "[grants]\nnett = [\"https://example.org\"]\n"),
        with("a limit above what the server allows", "[limits]\ncpu_ms = 100000\n"),
        with("a grant for an address that is none", "[grants]\nnet = [\"example.org\"]\n"),
        with("a data file that is not there", "[grants]\ndata = { tides = \"data/tides.csv\" }\n"),
        with("a trial that fails", "[swap]\ntrial = { task_type = \"ebb\" }\n"),
    ]
}

fn neighbours() -> Vec<Mistake> {
    let plugin = |name: &str, task_type: &str, command: &str| {
        let command = json!({"name": command, "description": "Says when the tide is", "task_type": task_type});
        let extensions = json!({"version": 1, "commands": [command]}).to_string();
        DescribedGuest { extensions, ..DescribedGuest::new(name, &[task_type]) }.build()
    };
    let tide = || plugin("tide", "tide", "tide");
    let both = |what: &str, arguments: &str, other: Vec<u8>| {
        Mistake::shown(what, arguments).with("tide.wasm", tide()).with("plugins/ebb.wasm", other)
    };
    let check = "check tide.wasm --beside plugins";
    let listed = |what: &str, other: Vec<u8>| {
        Mistake::shown(what, "list .").with("tide.wasm", tide()).with("ebb.wasm", other)
    };
    vec![
        both("a task type that another plugin handles", check, plugin("ebb", "tide", "ebb")),
        both("a name that another plugin has", check, plugin("tide", "ebb", "ebb")),
        both("a command that another plugin brings", check, plugin("ebb", "ebb", "tide")),
        listed("two plugins in one folder with one task type", plugin("ebb", "tide", "ebb")),
        listed("two plugins in one folder with one command", plugin("ebb", "ebb", "tide")),
    ]
}
