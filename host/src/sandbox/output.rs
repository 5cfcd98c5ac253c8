//! A guest's words: log lines, standard output and standard error, with limits.
//!
//! Every write is taken at once and copied here, so a panic's text is there when the trap arrives; a guest that
//! writes too much loses the rest of its lines, never its life.

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

use crate::sandbox::limits::{Breaches, Limit};
use crate::version::{PluginVersion, Surroundings};

/// Longest line; the rest of it is cut.
const MAX_LINE_BYTES: usize = 1_024;
/// Lines of standard output and error that are kept to explain a trap.
const KEEP_LINES: usize = 20;
/// What one write may hand over.
const WRITE_AT_ONCE: usize = 64 << 10;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Where one instance's lines go. Clones share the limits.
#[derive(Clone)]
pub(crate) struct GuestOutput {
    shared: Arc<Shared>,
}

/// The task that an instance runs, as its lines name it.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) task_id: TaskId,
    pub(crate) version: Arc<PluginVersion>,
    /// W3C trace context, as the task carries it.
    pub(crate) traceparent: Option<String>,
}

impl Running {
    /// The trace's id: the second of four fields. A submitter may send anything; what is no id is left out.
    fn trace_id(&self) -> Option<&str> {
        let id = self.traceparent.as_deref()?.split('-').nth(1)?;
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }
}

struct Shared {
    around: Arc<Surroundings>,
    /// None while the plugin is being loaded.
    running: Option<Running>,
    breaches: Breaches,
    state: Mutex<State>,
}

struct State {
    lines_left: u32,
    bytes_left: usize,
    dropped: u64,
    partial: Vec<u8>,
    tail: VecDeque<String>,
    /// Lines of the `log` interface while the plugin is being loaded.
    told: Vec<String>,
}

impl State {
    /// Takes a line of so many bytes into account; false when there is no room for it.
    fn allows(&mut self, bytes: usize) -> bool {
        match (self.lines_left.checked_sub(1), self.bytes_left.checked_sub(bytes)) {
            (Some(lines), Some(bytes)) => {
                (self.lines_left, self.bytes_left) = (lines, bytes);
                true
            }
            _ => {
                self.dropped += 1;
                false
            }
        }
    }
}

impl fmt::Debug for GuestOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestOutput").finish_non_exhaustive()
    }
}

impl GuestOutput {
    pub(crate) fn new(
        around: &Arc<Surroundings>,
        running: Option<Running>,
        breaches: Breaches,
    ) -> Self {
        let state = State {
            lines_left: around.limits.log_lines,
            bytes_left: around.limits.log_bytes,
            dropped: 0,
            partial: Vec::new(),
            tail: VecDeque::new(),
            told: Vec::new(),
        };
        let shared =
            Shared { around: Arc::clone(around), running, breaches, state: Mutex::new(state) };
        Self { shared: Arc::new(shared) }
    }

    fn with_state<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes one line of the `log` interface.
    pub(crate) fn log(&self, level: Level, message: &str) {
        // Asked first: a flood is not worth cleaning.
        if self.with_state(|state| state.allows(message.len().min(MAX_LINE_BYTES))) {
            let line = clean(message.as_bytes());
            self.emit(level, &line);
            if self.shared.running.is_none() {
                self.with_state(|state| state.told.push(line));
            }
        } else {
            self.shared.breaches.note(Limit::Log);
        }
    }

    /// What the plugin wrote to its log while it was being loaded, within its limits.
    pub(crate) fn told(&self) -> Vec<String> {
        self.with_state(|state| state.told.clone())
    }

    fn emit(&self, level: Level, line: &str) {
        let plugin = self.shared.around.name.as_str();
        let running = self.shared.running.as_ref();
        let plugin_version = running.map(|running| running.version.descriptor.version.as_str());
        let task_id = running.map(|running| running.task_id.as_str());
        let trace_id = running.and_then(Running::trace_id);
        macro_rules! says {
            ($level:ident) => {
                tracing::$level!(plugin, plugin_version, task_id, trace_id, line, "plugin says")
            };
        }
        match level {
            Level::Trace => says!(trace),
            Level::Debug => says!(debug),
            Level::Info => says!(info),
            Level::Warn => says!(warn),
            Level::Error => says!(error),
        }
    }

    fn take(&self, bytes: &[u8]) {
        let lines = self.with_state(|state| {
            let mut lines = Vec::new();
            for byte in bytes {
                if *byte == b'\n' {
                    let line = clean(&std::mem::take(&mut state.partial));
                    if KEEP_LINES <= state.tail.len() {
                        state.tail.pop_front();
                    }
                    state.tail.push_back(line.clone());
                    match state.allows(line.len()) {
                        true => lines.push(line),
                        false => self.shared.breaches.note(Limit::Log),
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

    /// The last lines of standard output and error, the unfinished one included.
    pub(crate) fn tail(&self) -> String {
        self.with_state(|state| {
            let mut lines: Vec<String> = state.tail.iter().cloned().collect();
            if !state.partial.is_empty() {
                lines.push(clean(&state.partial));
            }
            lines.join("\n")
        })
    }

    /// Lines that were dropped because there were too many.
    pub(crate) fn dropped(&self) -> u64 {
        self.with_state(|state| state.dropped)
    }
}

/// Text without control characters, cut at the longest line.
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
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_AT_ONCE)
    }
}

impl AsyncWrite for GuestOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
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
mod tests {
    use super::*;

    #[test]
    fn a_panics_text_is_kept_even_when_the_line_never_ended() {
        let output = GuestOutput::new(&Surroundings::for_tests(), None, Breaches::default());
        output.take(b"first\nthread panicked: boom");
        assert_eq!(output.tail(), "first\nthread panicked: boom");
    }

    #[test]
    fn a_flood_of_lines_is_dropped_and_counted_and_the_last_ones_kept() {
        let (around, breaches) = (Surroundings::for_tests(), Breaches::default());
        let output = GuestOutput::new(&around, None, breaches.clone());
        let allowed = around.limits.log_lines;
        for line in 0..allowed + 97 {
            assert_eq!(breaches.has(Limit::Log), allowed < line);
            output.take(format!("{line}\n").as_bytes());
        }
        assert_eq!(output.dropped(), 97);
        assert!(output.tail().ends_with(&format!("{}", allowed + 96)));
        assert_eq!(output.tail().lines().count(), KEEP_LINES);
    }

    #[test]
    fn a_flood_of_bytes_is_dropped_too() {
        let around = Surroundings::for_tests();
        let output = GuestOutput::new(&around, None, Breaches::default());
        let fit = around.limits.log_bytes / MAX_LINE_BYTES;
        for _ in 0..fit + 5 {
            output.log(Level::Trace, &"x".repeat(2 * MAX_LINE_BYTES));
        }
        assert_eq!(output.dropped(), 5);
    }

    #[test]
    fn control_characters_do_not_reach_the_log_and_long_lines_are_cut() {
        assert_eq!(clean(b"a\x1b[31mb"), "a [31mb");
        assert_eq!(clean(&[b'x'; 5_000]).len(), MAX_LINE_BYTES);
    }
}
