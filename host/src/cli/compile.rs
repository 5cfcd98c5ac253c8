//! `worker compile`, which a worker starts for each component that it compiles.

use std::process::ExitCode;

use crate::plugin::compile::program;

/// Compiles the component on standard input, for the worker that started this process.
#[derive(Debug, clap::Args)]
pub struct CompileCommand {
    /// The largest linear memory of a task, in bytes: a part of the engine's settings.
    memory_bytes: usize,
}

impl CompileCommand {
    /// Writes the machine code to standard output.
    pub fn run(self) -> ExitCode {
        program::answer(self.memory_bytes)
    }
}
