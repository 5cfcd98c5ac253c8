//! A guest's log, standard output and standard error, with limits.
//!
//! Every write is copied at once, so the text of a panic is here when the trap arrives. A guest that writes too much
//! loses the rest of its lines; it does not trap.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use queue::TaskId;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::sandbox::env::PluginEnv;
use crate::sandbox::limits::{Breaches, Limit};

/// Longest line. The rest is cut off.
const MAX_LINE_BYTES: usize = 1_024;
/// Last lines that are kept: to explain a trap, and for the history.
const TAIL_LINES: usize = 20;
/// Bytes that a guest may write in one call.
const MAX_WRITE_BYTES: usize = 64 << 10;

/// Severity of a line, as in WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// The output of one instance. Clones share its limits.
#[derive(Clone)]
pub(crate) struct GuestOutput {
    shared: Arc<Shared>,
}

/// The log fields of the task that an instance runs.
#[derive(Debug, Clone)]
pub(crate) struct TaskLabels {
    pub(crate) task_id: TaskId,
    pub(crate) plugin_version: String,
    pub(crate) trace_id: String,
}

struct Shared {
    env: Arc<PluginEnv>,
    /// None while the plugin is being loaded.
    task: Option<TaskLabels>,
    breaches: Breaches,
    state: Mutex<State>,
}

struct State {
    lines_left: u32,
    bytes_left: usize,
    dropped: u64,
    partial: Vec<u8>,
    tail: VecDeque<Line>,
    /// Log lines while the plugin is being loaded.
    init_log: Vec<String>,
}

/// One of the last lines.
struct Line {
    /// Of the `log` interface; none for standard output and error.
    level: Option<Level>,
    text: String,
}

impl State {
    fn keep(&mut self, level: Option<Level>, text: &str) {
        if self.tail.len() >= TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(Line { level, text: text.to_owned() });
    }

    /// Counts a line of `bytes` bytes; false when it is above the limits.
    fn admit(&mut self, bytes: usize) -> bool {
        match (self.lines_left.checked_sub(1), self.bytes_left.checked_sub(bytes)) {
            (Some(lines_left), Some(bytes_left)) => {
                self.lines_left = lines_left;
                self.bytes_left = bytes_left;
                true
            }
            _ => {
                self.dropped += 1;
                false
            }
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            None => "",
            Some(Level::Trace) => "trace: ",
            Some(Level::Debug) => "debug: ",
            Some(Level::Info) => "info: ",
            Some(Level::Warn) => "warn: ",
            Some(Level::Error) => "error: ",
        };
        write!(f, "{level}{}", self.text)
    }
}

impl fmt::Debug for GuestOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestOutput").finish_non_exhaustive()
    }
}

impl GuestOutput {
    pub(crate) fn new(env: &Arc<PluginEnv>, task: Option<TaskLabels>, breaches: Breaches) -> Self {
        let state = State {
            lines_left: env.limits.log_lines,
            bytes_left: env.limits.log_bytes,
            dropped: 0,
            partial: Vec::new(),
            tail: VecDeque::new(),
            init_log: Vec::new(),
        };
        let shared = Shared { env: Arc::clone(env), task, breaches, state: Mutex::new(state) };
        Self { shared: Arc::new(shared) }
    }

    fn with_state<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes one line of the `log` interface.
    pub(crate) fn log(&self, level: Level, message: &str) {
        // Checked first, so that a flood of lines costs little.
        if self.with_state(|state| state.admit(message.len().min(MAX_LINE_BYTES))) {
            let line = clean(message.as_bytes());
            self.emit(level, &line);
            self.with_state(|state| {
                state.keep(Some(level), &line);
                if self.shared.task.is_none() {
                    state.init_log.push(line);
                }
            });
        } else {
            self.shared.breaches.note(Limit::Log);
        }
    }

    /// Lines that the plugin logged while it was being loaded.
    pub(crate) fn init_log(&self) -> Vec<String> {
        self.with_state(|state| state.init_log.clone())
    }

    fn emit(&self, level: Level, line: &str) {
        let plugin = self.shared.env.name.as_str();
        let task = self.shared.task.as_ref();
        let plugin_version = task.map(|task| task.plugin_version.as_str());
        let task_id = task.map(|task| task.task_id.as_str());
        let trace_id = task.map(|task| task.trace_id.as_str());
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(plugin, plugin_version, task_id, trace_id, line, "plugin says")
            };
        }
        match level {
            Level::Trace => event!(trace),
            Level::Debug => event!(debug),
            Level::Info => event!(info),
            Level::Warn => event!(warn),
            Level::Error => event!(error),
        }
    }

    fn write_bytes(&self, bytes: &[u8]) {
        let lines = self.with_state(|state| {
            let mut lines = Vec::new();
            for byte in bytes {
                if *byte == b'\n' {
                    let line = clean(&std::mem::take(&mut state.partial));
                    if is_advice_for_others(&line) {
                        continue;
                    }
                    state.keep(None, &line);
                    if state.admit(line.len()) {
                        lines.push(line);
                    } else {
                        self.shared.breaches.note(Limit::Log);
                    }
                } else if state.partial.len() < MAX_LINE_BYTES {
                    state.partial.push(*byte);
                }
            }
            lines
        });
        for line in lines {
            self.emit(Level::Info, &line);
        }
    }

    /// The last lines of standard output and error, including an unfinished one.
    pub(crate) fn tail(&self) -> String {
        self.with_state(|state| {
            let printed = state.tail.iter().filter(|line| line.level.is_none());
            let mut lines: Vec<String> = printed.map(|line| line.text.clone()).collect();
            if !state.partial.is_empty() {
                lines.push(clean(&state.partial));
            }
            lines.join("\n")
        })
    }

    /// The last lines of the log, standard output and error, for people; none when there are none.
    pub(crate) fn last_lines(&self) -> Option<String> {
        self.with_state(|state| {
            let mut lines: Vec<String> = state.tail.iter().map(Line::to_string).collect();
            if !state.partial.is_empty() {
                lines.push(clean(&state.partial));
            }
            if state.dropped > 0 {
                lines.push(format!("({} lines above the limits were dropped)", state.dropped));
            }
            (!lines.is_empty()).then(|| lines.join("\n"))
        })
    }

    /// Number of lines that were dropped because of the limits.
    pub(crate) fn dropped(&self) -> u64 {
        self.with_state(|state| state.dropped)
    }
}

/// What Rust adds to a panic: a guest has no environment in which somebody could set it.
fn is_advice_for_others(line: &str) -> bool {
    line.starts_with("note: run with `RUST_BACKTRACE=")
}

/// Replaces control characters and cuts the line at its limit.
fn clean(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_LINE_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_bytes(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE_BYTES)
    }
}

impl AsyncWrite for GuestOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.write_bytes(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
