//! The settings as rows of a table, for docs/configuration.md.

use clap::Command;

use super::setting::{Setting, settings_of};

/// One row in Markdown for each setting: variable, key in the file, flag, default, program, meaning.
pub fn rows(command: &Command) -> Vec<String> {
    let program = command.get_name();
    settings_of(command).iter().map(|setting| row(setting, program)).collect()
}

fn row(setting: &Setting, program: &str) -> String {
    let Setting { variable, key, arg, is_secret, is_common } = setting;
    let file = if *is_secret { format!(", `{variable}_FILE`") } else { String::new() };
    let flag = arg.get_long().map(|long| format!("`--{long}`")).unwrap_or_default();
    let program = if *is_common { "both" } else { program };
    format!(
        "| `{variable}`{file} | `{key}` | {flag} | {} | {program} | {} |",
        default(setting),
        meaning(arg)
    )
}

/// Empty where the meaning says it, or there is none.
fn default(setting: &Setting) -> String {
    let defaults = setting.arg.get_default_values();
    let is_switch = matches!(setting.arg.get_action(), clap::ArgAction::SetTrue);
    if defaults.is_empty() && is_switch {
        return "`false`".to_owned();
    }
    if setting.arg.is_hide_default_value_set() || defaults.is_empty() {
        return String::new();
    }
    let defaults: Vec<_> = defaults.iter().map(|default| default.to_string_lossy()).collect();
    format!("`{}`", defaults.join(","))
}

fn meaning(arg: &clap::Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string);
    let help = help.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let help = help.replace('|', "\\|");
    let end = if help.ends_with('.') { "" } else { "." };
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && !matches!(value.get_name(), "true" | "false"))
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let values =
        if values.is_empty() { String::new() } else { format!(" One of {}.", values.join(", ")) };
    format!("{help}{end}{values}")
}
