//! The TOML file: the settings of both programs at its top, those of one program in the table of its name.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::{Table, Value};

use super::setting::Setting;
use crate::environment::NOT_EMPTY;

/// The programs that may share a file.
const PROGRAMS: [&str; 2] = ["worker", "coordinator"];
/// How alike two names must be for one to be suggested for the other, as clap has it for flags.
const ALIKE: f64 = 0.7;

/// What the file says, by variable.
#[derive(Default)]
pub(super) struct FileValues {
    pub(super) values: BTreeMap<String, Vec<String>>,
    /// Files with secrets.
    pub(super) secret_files: BTreeMap<String, PathBuf>,
    pub(super) problems: Vec<String>,
}

impl std::fmt::Debug for FileValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values may be secrets.
        f.debug_struct("FileValues").field("settings", &self.values.keys()).finish_non_exhaustive()
    }
}

/// Reads the file at `path` for `program`; none when there is none and nobody named it.
pub(super) fn read(
    path: &Path,
    is_named: bool,
    program: &str,
    settings: &[Setting],
) -> Result<Option<FileValues>, String> {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !is_named => return Ok(None),
        Err(error) => return Err(format!("{shown}: cannot be read: {error}")),
    };
    let mut values =
        parse(&text, program, settings).map_err(|problem| format!("{shown}{problem}"))?;
    for problem in &mut values.problems {
        *problem = format!("{shown}: {problem}");
    }
    Ok(Some(values))
}

/// The error has the line's number, and not its text, which may hold a secret.
fn parse(text: &str, program: &str, settings: &[Setting]) -> Result<FileValues, String> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        format!("{line}: {}", error.message())
    })?;
    let mut read = Reader { program, settings, found: FileValues::default() };
    let mut own = Table::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) if key == program => own = inner,
            // The other program checks its own.
            Value::Table(_) if PROGRAMS.contains(&key.as_str()) => {}
            value => read.add(&key, &value, Place::Top),
        }
    }
    let common = std::mem::take(&mut read.found);
    for (key, value) in &own {
        read.add(key, value, Place::Own);
    }
    Ok(merged(common, read.found))
}

/// What stands in the program's own table wins.
fn merged(common: FileValues, own: FileValues) -> FileValues {
    let mut all = common;
    all.problems.extend(own.problems);
    for variable in own.values.keys() {
        all.secret_files.remove(variable);
    }
    for variable in own.secret_files.keys() {
        all.values.remove(variable);
    }
    all.values.extend(own.values);
    all.secret_files.extend(own.secret_files);
    all
}

/// Where a key stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Own,
}

struct Reader<'a> {
    program: &'a str,
    settings: &'a [Setting],
    found: FileValues,
}

impl Reader<'_> {
    fn add(&mut self, key: &str, value: &Value, place: Place) {
        if let Err(problem) = self.try_add(key, value, place) {
            let table = match place {
                Place::Top => String::new(),
                Place::Own => format!("[{}] ", self.program),
            };
            self.found.problems.push(format!("{table}{problem}"));
        }
    }

    fn try_add(&mut self, key: &str, value: &Value, place: Place) -> Result<(), String> {
        let name = key.replace('-', "_");
        let settings = self.settings;
        let named = |name: &str| settings.iter().find(|setting| is_named(setting, name));
        let secret = name.strip_suffix("_file").and_then(named).filter(|setting| setting.is_secret);
        let Some(setting) = named(&name).or(secret) else { return Err(self.unknown(key, place)) };
        if place == Place::Top && !setting.is_common {
            return Err(format!(
                "`{key}` is a setting of the {0} alone; it belongs below [{0}]",
                self.program
            ));
        }
        let values = values(value).ok_or_else(|| format!("`{key}` takes {}", taken(setting)))?;
        let [one] = values.as_slice() else {
            return self.add_list(key, setting, values);
        };
        let variable = &setting.variable;
        if self.found.values.contains_key(variable)
            || self.found.secret_files.contains_key(variable)
        {
            return Err(format!("`{key}` is given twice"));
        }
        if secret.is_some() && named(&name).is_none() {
            self.found.secret_files.insert(variable.clone(), one.into());
            return Ok(());
        }
        self.insert(key, setting, values)
    }

    fn add_list(
        &mut self,
        key: &str,
        setting: &Setting,
        values: Vec<String>,
    ) -> Result<(), String> {
        if !setting.is_list() {
            return Err(format!("`{key}` takes {}", taken(setting)));
        }
        if values.is_empty() && NOT_EMPTY.contains(&setting.variable.as_str()) {
            // As an empty variable: it would open the bot to everybody.
            return Err(format!("`{key}` is empty; without a list, leave the key out"));
        }
        if self.found.values.contains_key(&setting.variable) {
            return Err(format!("`{key}` is given twice"));
        }
        if values.is_empty() {
            return Ok(());
        }
        self.insert(key, setting, values)
    }

    /// Parses the values as the flag would, so that each problem is told, and told with its key.
    fn insert(&mut self, key: &str, setting: &Setting, values: Vec<String>) -> Result<(), String> {
        let arg = setting.arg.clone().env(None::<&'static str>).default_values(values.clone());
        let command = Command::new("file").no_binary_name(true).arg(arg);
        if let Err(error) = command.try_get_matches_from(std::iter::empty::<&str>()) {
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
            return Err(format!("`{key}`: {said}"));
        }
        self.found.values.insert(setting.variable.clone(), values);
        Ok(())
    }

    fn unknown(&self, key: &str, place: Place) -> String {
        let usable = self.settings.iter().filter(|it| place == Place::Own || it.is_common);
        let mut names: Vec<&str> = usable.map(|setting| setting.key.as_str()).collect();
        if place == Place::Top {
            names.extend(PROGRAMS);
        }
        let name = key.replace('-', "_");
        let closest = |names: &[&str]| {
            let alike = names.iter().map(|known| (strsim::jaro(&name, known), (*known).to_owned()));
            alike.filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let suggestion = closest(&names).map(|(_, known)| format!("; did you mean `{known}`?"));
        match place {
            Place::Top => format!(
                "`{key}` is no setting of both programs{} Settings of one belong below [worker] or [coordinator]",
                suggestion.as_deref().unwrap_or(".")
            ),
            Place::Own => format!("`{key}` is no setting{}", suggestion.unwrap_or_default()),
        }
    }
}

/// Whether `name` is that of the setting, of its flag or of its variable.
fn is_named(setting: &Setting, name: &str) -> bool {
    let long = setting.arg.get_long().map(|long| long.replace('-', "_"));
    name == setting.key
        || long.as_deref() == Some(name)
        || name.eq_ignore_ascii_case(&setting.variable)
}

fn taken(setting: &Setting) -> &'static str {
    if setting.is_list() { "one value or a list of values" } else { "one value" }
}

/// The values, as they would stand on a command line; none for what cannot stand there. A table is a list of `key=value`.
fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(all) => all.iter().map(scalar).collect(),
        Value::Table(all) => {
            let pair = |(key, value): (&String, &Value)| Some(format!("{key}={}", scalar(value)?));
            all.iter().map(pair).collect()
        }
        value => Some(vec![scalar(value)?]),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(on) => Some(on.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests;
