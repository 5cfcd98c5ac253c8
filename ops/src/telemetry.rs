//! Log output.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::trace;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is not a log format: use `text` or `json`")),
        }
    }
}

/// How log lines look and which are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// How they look.
    pub format: LogFormat,
    /// The directives, as in `RUST_LOG`.
    pub filter: String,
}

impl Logging {
    /// What is wrong with the directives, if anything is.
    pub fn problem(&self) -> Option<String> {
        let error = EnvFilter::try_new(&self.filter).err()?;
        Some(format!("RUST_LOG: {error}"))
    }
}

/// Sends log lines for people to standard error, filtered by `RUST_LOG` (`info` when it is not set). For a subcommand.
///
/// # Errors
///
/// As [`init`].
pub fn init_for_people() -> anyhow::Result<()> {
    let set = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let filter = set.unwrap_or_else(|| "info".to_owned());
    init(&Logging { format: LogFormat::Text, filter })
}

/// Sends log lines to standard error.
///
/// # Errors
///
/// When the directives do not parse or a subscriber is set already.
pub fn init(Logging { format, filter }: &Logging) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It would report a line that cannot be written on the same closed stream, and panic: the task that logs, for instance the one
    // that listens to signals, would be gone.
    let builder = builder.log_internal_errors(false);
    let set = match format {
        LogFormat::Text => {
            builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().map_event_format(WithIds).try_init(),
    };
    set.map_err(|error| anyhow::anyhow!("cannot set up logging: {error}"))
}

/// Adds to each JSON line what its work belongs to: `trace_id`, and `task_id` where there is a task. So the lines of one
/// question can be found in the logs of all processes.
struct WithIds<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(current) = trace::current() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let Some(open) = line.trim_end().strip_suffix('}') else {
            return writer.write_str(&line);
        };
        write!(writer, "{open},\"trace_id\":\"{}\"", current.context().trace_id())?;
        if let Some(id) = current.task_id() {
            write!(writer, ",\"task_id\":{}", serde_json::Value::from(id))?;
        }
        writeln!(writer, "}}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::trace::{Current, TraceContext, within};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_json_line_names_the_trace_and_the_task_of_its_work_and_other_lines_are_as_before() {
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .json()
            .map_event_format(WithIds)
            .finish();
        let _set = tracing::subscriber::set_default(subscriber);
        let context = TraceContext::unsampled_root();
        tracing::info!("none");
        let trace = Current::new(context);
        within(Some(trace.clone()), async { tracing::info!("update") }).await;
        within(Some(trace.with_task("{a}\"1")), async { tracing::info!("task") }).await;
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let read: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: Vec<_> = read.iter().map(|line| (&line["trace_id"], &line["task_id"])).collect();
        let id = serde_json::json!(context.trace_id());
        let none = serde_json::Value::Null;
        assert_eq!(ids, [(&none, &none), (&id, &none), (&id, &serde_json::json!("{a}\"1"))]);
        assert!(read.iter().all(|line| line["fields"]["message"].is_string()), "{text}");
    }
}
