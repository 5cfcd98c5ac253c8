//! Settings: flags, then the environment, then `.env`, then one TOML file, then the defaults.
//!
//! A setting is a flag of the program that has an environment variable. What stands in the TOML file becomes the default of
//! that flag, so that everything stronger wins in the usual way, and its value is parsed by the same code. All problems are
//! collected and told together. No message holds a secret.

mod dotenv;
mod file;
mod secret_file;
mod setting;
pub mod show;
pub mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgMatches, Command};

use self::file::FileValues;
use self::secret_file::SecretFile;
use self::setting::{FILE_FLAG, Level, Setting, settings_of};

pub use self::secret_file::read as read_secret_file;

/// The TOML file that is read when none is named.
const DEFAULT_FILE: &str = "freefans.toml";

/// Where settings come from, beside the command line.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    dotenv: dotenv::Loaded,
    /// The TOML file, when there is one.
    file: Option<PathBuf>,
    file_values: FileValues,
    secret_files: BTreeMap<String, SecretFile>,
    pub(crate) problems: Vec<String>,
}

impl Sources {
    /// Puts the variables of `.env` into the environment, where the environment has none.
    pub(crate) fn load_dotenv() -> Self {
        let dotenv = dotenv::load();
        let problems = dotenv.problem.iter().cloned().collect();
        Self { dotenv, problems, ..Self::default() }
    }

    /// Reads the TOML file and the files with secrets. `command` is the program's own, `matches` what its command line says
    /// without them.
    pub(crate) fn read_files(&mut self, command: &Command, matches: &ArgMatches) {
        let settings = settings_of(command);
        let named = leaf(matches).try_get_one::<PathBuf>(FILE_FLAG).ok().flatten();
        let path = named.map_or(DEFAULT_FILE.as_ref(), PathBuf::as_path);
        match file::read(path, named.is_some(), command.get_name(), &settings) {
            Ok(None) => {}
            Ok(Some(values)) => {
                self.problems.extend(values.problems.iter().cloned());
                self.file = Some(path.to_owned());
                self.file_values = values;
            }
            Err(problem) => self.problems.push(problem),
        }
        for setting in settings.iter().filter(|setting| setting.is_secret) {
            match self.secret_file_of(setting) {
                Ok(found) => {
                    self.secret_files
                        .extend(found.map(|secret| (setting.variable.clone(), secret)));
                }
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    /// The file that holds a secret; none when nothing names one, or something as strong as or stronger than it holds the secret
    /// itself.
    fn secret_file_of(&self, setting: &Setting) -> Result<Option<SecretFile>, String> {
        let variable = &setting.variable;
        let file_variable = format!("{variable}_FILE");
        for level in [Level::Environment, Level::DotEnv] {
            let at_level = |name: &str| {
                let value = std::env::var_os(name).filter(|value| !value.is_empty());
                value.filter(|_| self.level_of(name) == level)
            };
            match (at_level(variable), at_level(&file_variable)) {
                (Some(_), Some(_)) => {
                    return Err(format!("{variable} and {file_variable} are both set; keep one"));
                }
                (Some(_), None) => return Ok(None),
                (None, Some(path)) => {
                    return SecretFile::read(&file_variable, path.into(), level).map(Some);
                }
                (None, None) => {}
            }
        }
        let Some(path) = self.file_values.secret_files.get(variable) else { return Ok(None) };
        SecretFile::read(&format!("`{}_file`", setting.key), path.clone(), Level::File).map(Some)
    }

    /// Where a variable of the environment came from.
    fn level_of(&self, variable: &str) -> Level {
        if self.dotenv.names.contains(variable) { Level::DotEnv } else { Level::Environment }
    }

    /// The command line with the values of the files as defaults. It is not for help, which would show them.
    pub(crate) fn apply(&self, command: Command) -> Command {
        command
            .mut_args(|arg| {
                let variable = arg.get_env().and_then(|name| name.to_str()).map(str::to_owned);
                let Some(variable) = variable else { return arg };
                if let Some(secret) = self.secret_files.get(&variable) {
                    // A weaker source may have set the variable.
                    let arg = arg.env(None::<&'static str>);
                    return arg.default_value(secret.content.clone());
                }
                match self.file_values.values.get(&variable) {
                    Some(values) => arg.default_values(values.clone()),
                    None => arg,
                }
            })
            .mut_subcommands(|command| self.apply(command))
    }
}

/// What the last subcommand was given.
pub(crate) fn leaf(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, matches)| leaf(matches))
}
