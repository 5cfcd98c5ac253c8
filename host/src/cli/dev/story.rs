//! What happens, told on the terminal for a plugin's author.

use std::io::{self, Write};
use std::time::Duration;

use ops::words::span_ms;
use queue::{TaskQueue, TaskResult};
use serde_json::{Map, Value};

use crate::cli::view_text::view_text;

/// How long the result of a task that has ended is waited for. A task that is tried again has none.
const RESULT_WITHIN: Duration = Duration::from_millis(500);
/// Longest data of an answer without a view.
const MAX_DATA_CHARS: usize = 2_000;
/// Fields that name what the author knows already, or that the text says.
const NOT_TOLD: &[&str] =
    &["message", "plugin_version", "task_id", "trace_id", "digest", "queue_ms", "watched", "code"];

/// Reads log lines, and tells what they mean.
pub(super) struct Story {
    queue: TaskQueue,
}

impl Story {
    pub(super) fn new(queue: TaskQueue) -> Self {
        Self { queue }
    }

    /// Tells a line of a program's output, if it matters here.
    pub(super) async fn tell(
        &mut self,
        out: &mut impl Write,
        program: &str,
        line: &str,
    ) -> io::Result<()> {
        let Ok(Value::Object(event)) = serde_json::from_str(line) else {
            // A panic, or a line that a supervisor waits for.
            return if line.starts_with("ready:") || line.is_empty() {
                Ok(())
            } else {
                writeln!(out, "{program}: {line}")
            };
        };
        let none = Map::new();
        let fields = event.get("fields").and_then(Value::as_object).unwrap_or(&none);
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let level = event.get("level").and_then(Value::as_str).unwrap_or_default();
        match (program, text("message")) {
            ("worker", "task ended" | "task asked to be tried again") => {
                self.task_ended(out, fields).await
            }
            ("worker", "plugin says") => {
                writeln!(out, "  {} {}", level.to_lowercase(), text("line"))
            }
            ("worker", "plugin published") => {
                let plugin = text("plugin");
                let version = text("plugin_version");
                let load_ms = fields.get("load_ms").and_then(Value::as_u64).unwrap_or(0);
                writeln!(out, "loaded: {plugin} {version} in {}", span_ms(load_ms))
            }
            ("coordinator", "command menu set") => self.menu_set(out).await,
            ("worker", message) => writeln!(out, "{}", told(level, message, fields)),
            // What the chat and Redis say in passing is not about the plugin.
            (_, message) if level != "INFO" => {
                writeln!(out, "{program}: {}", told(level, message, fields))
            }
            _ => Ok(()),
        }
    }

    /// Tells which commands of plugins the chat takes from now on.
    async fn menu_set(&self, out: &mut impl Write) -> io::Result<()> {
        let plugins = self.queue.workers().await.unwrap_or_default();
        let plugins = plugins.into_iter().flat_map(|worker| worker.plugins);
        let commands = plugins.flat_map(|plugin| chat_commands::of_plugin(&plugin));
        let commands: Vec<String> = commands.map(|command| format!("/{}", command.name)).collect();
        match commands.as_slice() {
            [] => Ok(()),
            commands => writeln!(out, "the chat takes {}", commands.join(", ")),
        }
    }

    async fn task_ended(
        &self,
        out: &mut impl Write,
        fields: &Map<String, Value>,
    ) -> io::Result<()> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let run_ms = fields.get("run_ms").and_then(Value::as_u64).unwrap_or(0);
        let id = text("task_id").parse().ok();
        let result = match &id {
            Some(id) => self.queue.get_result(id, RESULT_WITHIN).await.ok().flatten(),
            None => None,
        };
        let took = span_ms(run_ms);
        match result {
            None => {
                writeln!(out, "{}: not answered after {took}; it is tried again", text("task_type"))
            }
            Some(result) => {
                let peak = result.metadata.get("peak_memory_bytes").and_then(Value::as_u64);
                let kib = peak.unwrap_or(0) >> 10;
                let how = outcome(&result);
                writeln!(out, "{}: {how} in {took}, {kib} KiB of memory", text("task_type"))?;
                indented(out, &answer(&result))
            }
        }
    }
}

fn outcome(result: &TaskResult) -> String {
    match result.code() {
        _ if result.success => "answered".to_owned(),
        code => format!("failed ({})", code.unwrap_or("no code")),
    }
}

/// What the person sees, as text.
fn answer(result: &TaskResult) -> String {
    if let Some(error) = &result.error {
        let request = result.failed_request().map(|request| format!("\n({request})"));
        return format!("{error}{}", request.unwrap_or_default());
    }
    view_text(&result.data)
        .unwrap_or_else(|| result.data.to_string().chars().take(MAX_DATA_CHARS).collect())
}

fn indented(out: &mut impl Write, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "  | {line}"))
}

/// A log line with the fields that matter.
fn told(level: &str, message: &str, fields: &Map<String, Value>) -> String {
    let level = if level == "INFO" { String::new() } else { format!("{}: ", level.to_lowercase()) };
    let told = fields.iter().filter(|(name, value)| {
        !NOT_TOLD.contains(&name.as_str()) && value.as_str().is_none_or(|text| !text.is_empty())
    });
    let mut lines = format!("{level}{message}");
    for (name, value) in told {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // The log puts a backtrace on one line.
        let value = value.replace("\\n", "\n").replace('\n', "\n      ");
        lines.push_str(&format!("\n    {name}: {value}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_reason_and_without_what_is_for_machines() {
        let fields =
            json!({"message": "plugin refused", "code": "plugin-contract", "error": "a: b"});
        let told = told("WARN", "plugin refused", fields.as_object().unwrap());
        assert_eq!(told, "warn: plugin refused\n    error: a: b");
    }

    #[test]
    fn an_answer_is_the_view_or_the_data_and_a_failure_its_reason() {
        let view = json!({"view": {"version": 1, "text": "Hi"}, "n": 1});
        assert_eq!(answer(&TaskResult::success(view)), "Hi");
        assert_eq!(answer(&TaskResult::success(json!({"n": 1}))), "{\"n\":1}");
        let failed = TaskResult::failure(queue::FailureCode::Trap, "the plugin crashed");
        assert_eq!(answer(&failed), "the plugin crashed");
        assert_eq!(outcome(&failed), "failed (trap)");
    }
}
