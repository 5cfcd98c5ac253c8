//! `config check` and `config show`: whether the settings can be used, and where each comes from.

use std::io::Write;

use clap::parser::ValueSource;
use serde_json::{Value, json};

use super::setting::{Level, Setting, settings_of};
use super::{leaf, table};
use crate::metric::Metric;
use crate::process_metrics;
use crate::startup::{EXIT_USAGE, Startup};

/// Checks and shows the settings that the program would start with here: flags, environment, `.env` and file together.
#[derive(Debug, clap::Args)]
pub struct ConfigCommand<S: clap::Args> {
    #[command(subcommand)]
    action: Action<S>,
}

#[derive(Debug, clap::Subcommand)]
enum Action<S: clap::Args> {
    /// Says what is wrong with the settings. Nothing is started or changed. Exit code 0 when they can be used, 64 when not.
    Check(Check<S>),
    /// Shows each setting with where it comes from. Secrets are hidden.
    Show(Show<S>),
    /// Prints the settings as the rows of a table in Markdown.
    #[command(hide = true)]
    Table,
    /// Prints the metrics as the rows of a table in Markdown.
    #[command(hide = true)]
    Metrics,
}

#[derive(Debug, clap::Args)]
struct Check<S: clap::Args> {
    #[command(flatten)]
    settings: S,
}

#[derive(Debug, clap::Args)]
struct Show<S: clap::Args> {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: S,
}

/// A setting as it is in force.
struct Row {
    setting: Setting,
    value: Option<String>,
    source: String,
}

impl<S: clap::Args> ConfigCommand<S> {
    /// Runs the command and writes its output to `out`. `check` says what is wrong with settings that were read; `metrics` are
    /// the program's own. Returns the exit code.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written to.
    pub fn run(
        self,
        startup: &Startup,
        out: &mut impl Write,
        check: impl FnOnce(S) -> Vec<String>,
        metrics: &[Metric],
    ) -> anyhow::Result<u8> {
        match self.action {
            Action::Check(command) => {
                let mut problems = startup.problems().to_vec();
                problems.extend(check(command.settings));
                for problem in &problems {
                    writeln!(out, "{problem}")?;
                }
                if problems.is_empty() {
                    writeln!(out, "the settings can be used")?;
                }
                Ok(if problems.is_empty() { 0 } else { EXIT_USAGE })
            }
            Action::Show(command) => {
                let rows = startup.rows();
                if command.json {
                    let shown = json!({"settings": as_json(&rows), "problems": startup.problems()});
                    writeln!(out, "{shown:#}")?;
                } else {
                    write_text(out, &rows)?;
                    for problem in startup.problems() {
                        writeln!(out, "problem: {problem}")?;
                    }
                }
                Ok(if startup.problems().is_empty() { 0 } else { EXIT_USAGE })
            }
            Action::Table => {
                for row in table::rows(&startup.command) {
                    writeln!(out, "{row}")?;
                }
                Ok(0)
            }
            Action::Metrics => {
                let common = process_metrics::ALL.iter().map(|metric| metric.row("both"));
                let own = metrics.iter().map(|metric| metric.row(startup.command.get_name()));
                for row in common.chain(own) {
                    writeln!(out, "{row}")?;
                }
                Ok(0)
            }
        }
    }
}

impl Startup {
    fn rows(&self) -> Vec<Row> {
        let row = |setting: Setting| {
            let (value, source) = self.value_of(&setting);
            let value = value.map(|value| shown(&setting, &value));
            Row { setting, value, source }
        };
        settings_of(&self.command).into_iter().map(row).collect()
    }

    /// The value, and where it comes from.
    fn value_of(&self, setting: &Setting) -> (Option<String>, String) {
        let matches = leaf(&self.matches);
        let values = matches.try_get_raw(&setting.key).ok().flatten();
        let value = values.map(|values| {
            let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
            values.join(",")
        });
        let sources = &self.sources;
        let level = |level| match level {
            Level::Environment => "environment".to_owned(),
            Level::DotEnv => sources.dotenv_name(),
            Level::File => sources.file_name(),
        };
        let variable = &setting.variable;
        let source = match matches.value_source(&setting.key) {
            Some(ValueSource::CommandLine) => "flag".to_owned(),
            Some(ValueSource::EnvVariable) => level(sources.level_of(variable)),
            _ => match sources.secret_files.get(variable) {
                Some(secret) => {
                    format!("{} names the file {}", level(secret.level), secret.path.display())
                }
                None if sources.file_values.values.contains_key(variable) => level(Level::File),
                None => "default".to_owned(),
            },
        };
        (value, source)
    }
}

impl super::Sources {
    fn dotenv_name(&self) -> String {
        let path = self.dotenv.path.as_ref();
        path.map_or_else(|| ".env".to_owned(), |path| path.display().to_string())
    }

    fn file_name(&self) -> String {
        self.file.as_ref().map_or_else(|| "file".to_owned(), |path| path.display().to_string())
    }
}

fn as_json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "name": row.setting.key, "variable": row.setting.variable, "value": row.value,
                "source": row.source,
            })
        })
        .collect()
}

fn write_text(out: &mut impl Write, rows: &[Row]) -> std::io::Result<()> {
    let wide = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
    let names = wide(&mut rows.iter().map(|row| row.setting.key.len()));
    let value = |row: &Row| row.value.clone().unwrap_or_else(|| "(not set)".to_owned());
    let values = wide(&mut rows.iter().map(|row| value(row).chars().count().min(40)));
    for row in rows {
        writeln!(out, "{:names$}  {:values$}  {}", row.setting.key, value(row), row.source)?;
    }
    Ok(())
}

/// A value without what is secret in it.
fn shown(setting: &Setting, value: &str) -> String {
    // Control characters would change how the terminal looks.
    let value = value.replace(char::is_control, " ");
    match value.split_once("://") {
        Some((scheme, rest)) => address(scheme, rest, setting.is_secret),
        None if setting.is_secret => "***".to_owned(),
        None => value,
    }
}

/// An address without its login, and of a secret one only the servers.
fn address(scheme: &str, rest: &str, is_secret: bool) -> String {
    let (login, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let servers = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !is_secret {
        return format!("{scheme}://{login}{rest}");
    }
    let is_server = |server: &str| {
        let (name, port) = server.rsplit_once(':').unwrap_or((server, ""));
        port.bytes().all(|byte| byte.is_ascii_digit() || byte == b']')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte))
    };
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if is_scheme && servers.split(',').all(is_server) {
        format!("{scheme}://{login}{servers}")
    } else {
        "***".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_servers_and_never_its_login() {
        for (given, expected) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("rediss://user:s3cret@host:6379/2", "rediss://***@host:6379"),
            ("redis://:s3/c@r#e?t@host", "redis://***@host"),
            ("redis-sentinel://:s3cret@a:1,b:2/0?master=m", "redis-sentinel://***@a:1,b:2"),
            ("redis://[::1]:6379", "redis://[::1]:6379"),
            ("redis://user:s3cret", "***"),
            ("s3cret://host", "***"),
        ] {
            let (scheme, rest) = given.split_once("://").unwrap();
            assert_eq!(address(scheme, rest, true), expected, "{given}");
        }
        assert_eq!(address("http", "me:s3cret@host/path", false), "http://***@host/path");
    }
}
