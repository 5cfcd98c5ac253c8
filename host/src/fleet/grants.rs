//! The settings that a plugin of the fleet runs with: those that were pushed, within what this machine's operator grants.
//!
//! | part | from the push | from the operator's own `NAME.toml` |
//! |---|---|---|
//! | `[config]` | taken, except `${NAME}` that the own file does not use | taken; wins |
//! | `[swap]` | taken | taken; wins |
//! | `[limits]` | taken, up to the own file's or the default | the highest that a push may set |
//! | `[grants]`, `[[secrets]]` | only compared: what they ask for beyond the own file is missing | taken |
//!
//! Settings that a trusted signature covers count as they are, to the byte, and without an own file. Where there is one, it is
//! a bound: what goes beyond it is missing, and it can add nothing.

use std::path::Path;

use toml::{Table, Value};

use super::settings;
use crate::grants::Origin;
use crate::plugin_config::limits::default_limits;

/// Settings, and what they lack.
#[derive(Debug, PartialEq)]
pub(super) struct Resolved {
    /// The text of the settings file, with nothing that is not granted.
    pub(super) text: String,
    /// What was asked for and is not granted, each with the way to grant it.
    pub(super) missing: Vec<String>,
}

/// Puts pushed settings and the operator's own together. Paths are relative to `folder`. `covered` says that a trusted
/// signature covers the pushed settings: they stay as they are then.
pub(super) fn resolve(
    pushed: &str,
    own: &str,
    folder: &Path,
    covered: bool,
) -> Result<Resolved, String> {
    let read = |what: &str, text: &str| {
        text.parse::<Table>().map_err(|error| format!("{what} cannot be read: {}", error.message()))
    };
    let text = pushed;
    let mut pushed = read("the pushed settings", pushed)?;
    let mut own = read("the operator's settings", own)?;
    if covered {
        let missing = if own.is_empty() { Vec::new() } else { beyond(pushed, &own) };
        return Ok(Resolved { text: text.to_owned(), missing });
    }
    make_paths_absolute(&mut own, folder);
    let missing = bounded(&mut pushed, &own);
    if let Some(limits) = pushed.get("limits").and_then(Value::as_table) {
        // A lower limit of the push is meant.
        if let Some(highest) = own.get_mut("limits").and_then(Value::as_table_mut) {
            highest.retain(|key, _| !limits.contains_key(key));
        }
    }
    Ok(Resolved { text: settings::text(&joined(pushed, own)), missing })
}

/// Takes from `pushed` what `own` does not grant. Returns what that was.
fn bounded(pushed: &mut Table, own: &Table) -> Vec<String> {
    let mut missing = Vec::new();
    let asked = take_table(pushed, "grants");
    missing_grants(&asked, own.get("grants").and_then(Value::as_table), &mut missing);
    let asked = pushed.remove("secrets");
    missing_secrets(asked.as_ref(), own.get("secrets"), &mut missing);
    if let Some(config) = pushed.get_mut("config").and_then(Value::as_table_mut) {
        let known = own.get("config").and_then(Value::as_table);
        remove_variables(config, known, &mut missing);
    }
    if let Some(limits) = pushed.get_mut("limits").and_then(Value::as_table_mut) {
        cap_limits(limits, own.get("limits").and_then(Value::as_table), &mut missing);
    }
    missing
}

/// What of signed settings goes beyond `own`, and what of `own` cannot be added to them.
fn beyond(mut pushed: Table, own: &Table) -> Vec<String> {
    let signed = pushed.clone();
    let mut missing = bounded(&mut pushed, own);
    let section = |settings: &Table, name: &str| {
        settings.get(name).and_then(Value::as_table).cloned().unwrap_or_default()
    };
    let files = |settings: &Table| {
        section(settings, "grants")
            .get("data")
            .and_then(Value::as_table)
            .cloned()
            .unwrap_or_default()
    };
    let own_files = files(own);
    for (name, file) in files(&signed) {
        if let Some(own) = own_files.get(&name).filter(|own| **own != file) {
            missing.push(format!(
                "the data file `{name} = {}`: this server has {}",
                settings::value(&file),
                settings::value(own)
            ));
        }
    }
    for name in ["config", "swap"] {
        let signed = section(&signed, name);
        for (key, value) in section(own, name) {
            if signed.get(&key) != Some(&value) {
                missing.push(format!(
                    "`{key}` under [{name}] cannot be added to settings that are signed: remove it, or sign with --without-settings"
                ));
            }
        }
    }
    missing
}

fn take_table(from: &mut Table, name: &str) -> Table {
    match from.remove(name) {
        Some(Value::Table(table)) => table,
        _ => Table::new(),
    }
}

/// Section by section; a key of `over` wins.
fn joined(mut base: Table, over: Table) -> Table {
    for (section, value) in over {
        let Value::Table(over) = value else {
            base.insert(section, value);
            continue;
        };
        let known = base.entry(section).or_insert_with(|| Value::Table(Table::new()));
        match known.as_table_mut() {
            Some(known) => known.extend(over),
            None => *known = Value::Table(over),
        }
    }
    base
}

fn make_paths_absolute(settings: &mut Table, folder: &Path) {
    let grants = settings.get_mut("grants").and_then(Value::as_table_mut);
    let data = grants.and_then(|grants| grants.get_mut("data")).and_then(Value::as_table_mut);
    for (_, path) in data.into_iter().flatten() {
        if let Value::String(text) = path {
            *text = folder.join(&*text).display().to_string();
        }
    }
}

fn missing_grants(asked: &Table, own: Option<&Table>, missing: &mut Vec<String>) {
    let own = |key: &str| own.and_then(|own| own.get(key));
    for (key, value) in asked {
        match key.as_str() {
            "net" => missing_origins(value, own("net"), missing),
            "trace" => missing_traces(value, own("trace"), missing),
            "data" => {
                let granted = own("data").and_then(Value::as_table);
                for name in value.as_table().into_iter().flat_map(Table::keys) {
                    if !granted.is_some_and(|granted| granted.contains_key(name)) {
                        missing.push(format!(
                            "the data file `{name}`: add `data.{name} = \"FILE\"` under [grants]"
                        ));
                    }
                }
            }
            "cache" if value.as_bool() == Some(false) || own("cache") == Some(value) => {}
            "cache" => missing.push("the cache: add `cache = true` under [grants]".to_owned()),
            other => missing.push(format!("`{other}`, which is no grant")),
        }
    }
}

fn missing_origins(asked: &Value, own: Option<&Value>, missing: &mut Vec<String>) {
    if own.is_none() {
        let line = settings::value(asked);
        missing.push(format!("requests over the web: add `net = {line}` under [grants]"));
        return;
    }
    for line in not_among(asked, own) {
        missing.push(format!("requests to {line}: add it to `net` under [grants]"));
    }
}

fn missing_traces(asked: &Value, own: Option<&Value>, missing: &mut Vec<String>) {
    for line in not_among(asked, own) {
        missing.push(format!("traces told to {line}: add it to `trace` under [grants]"));
    }
}

/// The origins of `asked` that `own` has not, as they are written in a file.
fn not_among(asked: &Value, own: Option<&Value>) -> Vec<String> {
    let list = |value: &Value| -> Vec<String> {
        let entries = value.as_array().into_iter().flatten();
        entries.filter_map(|entry| Some(entry.as_str()?.to_owned())).collect()
    };
    let own = own.map(list).unwrap_or_default();
    let origin = |text: &String| Origin::parse_grant(text).ok();
    let is_missing = |asked: &String| {
        let is_same = |granted: &String| {
            granted == asked || origin(granted).is_some_and(|own| Some(own) == origin(asked))
        };
        !own.iter().any(is_same)
    };
    let missing = list(asked).into_iter().filter(is_missing);
    missing.map(|asked| settings::value(&Value::String(asked))).collect()
}

fn missing_secrets(asked: Option<&Value>, own: Option<&Value>, missing: &mut Vec<String>) {
    let rows = |value: Option<&Value>| {
        let rows = value.and_then(Value::as_array).cloned().unwrap_or_default();
        rows.into_iter().filter_map(|row| match row {
            Value::Table(mut row) => {
                row.remove("optional");
                Some(row)
            }
            _ => None,
        })
    };
    let own: Vec<Table> = rows(own).collect();
    for row in rows(asked) {
        if !own.contains(&row) {
            let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
            missing.push(format!(
                "the secret `{}` for `{}`: add the same [[secrets]] section",
                text("env"),
                text("host")
            ));
        }
    }
}

/// A setting may read any variable of the worker, so the own file must use that variable as well.
fn remove_variables(config: &mut Table, own: Option<&Table>, missing: &mut Vec<String>) {
    let is_variable = |text: &str| text.starts_with("${") && text.ends_with('}');
    config.retain(|key, value| {
        let Some(text) = value.as_str().filter(|text| is_variable(text)) else { return true };
        let is_used = own.is_some_and(|own| own.values().any(|own| own.as_str() == Some(text)));
        if !is_used {
            missing.push(format!(
                "the environment variable in `{key}`: add `{key} = \"{text}\"` under [config]"
            ));
        }
        is_used
    });
}

fn cap_limits(limits: &mut Table, own: Option<&Table>, missing: &mut Vec<String>) {
    for (key, default) in default_limits() {
        let Some(Value::Integer(asked)) = limits.get_mut(key) else { continue };
        let highest = own.and_then(|own| own.get(key)?.as_integer()).unwrap_or(default);
        if *asked > highest {
            missing.push(format!(
                "the limit `{key} = {asked}`, above {highest}: add `{key} = {asked}` under [limits]"
            ));
            *asked = highest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ceilings;
    use crate::plugin_config::PluginConfig;

    fn resolved(pushed: &str, own: &str) -> Resolved {
        resolve(pushed, own, Path::new("/own"), false).unwrap()
    }

    /// What the plugin gets, as its settings are read.
    fn effective(resolved: &Resolved) -> PluginConfig {
        PluginConfig::from_text(&resolved.text, Path::new("/fleet"), &Ceilings::default()).unwrap()
    }

    #[track_caller]
    fn check_missing(pushed: &str, own: &str, expected: &[&str]) {
        let resolved = resolved(pushed, own);
        assert_eq!(resolved.missing.len(), expected.len(), "{resolved:?}");
        for (missing, part) in resolved.missing.iter().zip(expected) {
            assert!(missing.contains(part), "{missing}");
        }
        let _readable = effective(&resolved);
    }

    #[test]
    fn plain_settings_come_from_the_push() {
        let pushed = "[config]\nname = \"a \\\"b\\\"\\n\"\nlist = [1, 2.5, true]\n[swap]\ncanary_percent = 5\n";
        let resolved = resolved(pushed, "[config]\nname = \"own\"\n");
        assert_eq!(resolved.missing, [""; 0]);
        let config = effective(&resolved);
        assert_eq!(config.settings["name"], "own");
        assert_eq!(config.settings["list"], "[1,2.5,true]");
        assert_eq!(config.swap.canary_percent, Some(5));
    }

    #[test]
    fn what_a_push_asks_for_must_be_granted_here() {
        let net = "[grants]\nnet = [\"https://a.example\"]\n";
        check_missing(net, "", &["requests over the web"]);
        check_missing(net, "[grants]\nnet = []\n", &["requests to \"https://a.example\""]);
        check_missing(net, "[grants]\nnet = [\"https://A.example:443\"]\n", &[]);
        let trace = "[grants]\ntrace = [\"https://a.example\"]\n";
        check_missing(trace, net, &["traces told to \"https://a.example\""]);
        let both = "[grants]\nnet = [\"https://a.example\"]\ntrace = [\"https://a.example:443\"]\n";
        check_missing(trace, both, &[]);
        let data = "[grants.data]\nwords = \"/etc/passwd\"\n";
        check_missing(data, "", &["the data file `words`"]);
        check_missing(data, "[grants.data]\nwords = \"w.csv\"\n", &[]);
        check_missing("[grants]\ncache = true\n", "", &["the cache"]);
        check_missing("[grants]\ncache = true\n", "[grants]\ncache = true\n", &[]);
        let secret = "[[secrets]]\nhost = \"https://a.example\"\nheader = \"x\"\nenv = \"PATH\"\n";
        check_missing(secret, "", &["the secret `PATH`"]);
        check_missing(secret, &format!("{secret}optional = true\n"), &[]);
        let variable = "[config]\nkey = \"${HOME}\"\n";
        check_missing(variable, "", &["the environment variable in `key`"]);
        check_missing(variable, "[config]\nother = \"${HOME}\"\n", &[]);
        check_missing("[limits]\nwall_ms = 60000\n", "", &["`wall_ms = 60000`, above 30000"]);
        check_missing("[limits]\nwall_ms = 60000\n", "[limits]\nwall_ms = 60000\n", &[]);
    }

    #[test]
    fn nothing_that_is_not_granted_gets_through() {
        let pushed = "[grants]\nnet = [\"https://a.example\"]\ncache = true\ndata = { w = \"/etc/passwd\" }\n\
                      [config]\nkey = \"${HOME}\"\n[limits]\nwall_ms = 60000\ncpu_ms = 100\n\
                      [[secrets]]\nhost = \"https://a.example\"\nheader = \"x\"\nenv = \"PATH\"\n";
        let config = effective(&resolved(pushed, "[grants]\ndata = { w = \"w.csv\" }\n"));
        let granted: Vec<String> = config.granted().into_iter().collect();
        assert_eq!(granted, ["data w /own/w.csv"]);
        assert!(config.settings.is_empty());
        assert_eq!(config.limits.wall.as_millis(), 30_000);
        assert_eq!(config.limits.cpu.as_millis(), 100, "a lower limit is taken");
    }

    #[test]
    fn signed_settings_count_as_they_are_within_a_file_of_the_servers_own() {
        let pushed = "# kept\n[grants]\nnet = [\"https://a.example\"]\ndata = { w = \"w.csv\" }\n[config]\na = 1\n";
        let resolved = |own: &str| resolve(pushed, own, Path::new("/own"), true).unwrap();
        assert_eq!(resolved(""), Resolved { text: pushed.to_owned(), missing: Vec::new() });
        assert_eq!(resolved(pushed).missing, [""; 0]);
        let net = "[grants]\nnet = [\"https://a.example\"]\n";
        for (own, part) in [
            ("[grants]\nnet = []\ndata = { w = \"w.csv\" }\n".to_owned(), "requests to"),
            (format!("{net}data = {{ w = \"x.csv\" }}\n"), "this server has \"x.csv\""),
            (format!("{net}data = {{ w = \"w.csv\" }}\n[config]\na = 2\n"), "`a` under [config]"),
        ] {
            let Resolved { text, missing } = resolved(&own);
            assert_eq!(text, pushed);
            assert!(missing.len() == 1 && missing[0].contains(part), "{missing:?}");
        }
    }

    #[test]
    fn settings_that_cannot_be_read_are_named() {
        let error = resolve("a = ", "", Path::new("/own"), false).unwrap_err();
        assert!(error.starts_with("the pushed settings cannot be read"), "{error}");
        let error = resolve("", "a = ", Path::new("/own"), false).unwrap_err();
        assert!(error.starts_with("the operator's settings cannot be read"), "{error}");
    }
}
