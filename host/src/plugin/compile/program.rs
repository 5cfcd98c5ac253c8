//! Compiles in a process of its own, which is this program with the hidden command `compile`.
//!
//! A compile of a large component needs hundreds of MiB in many small parts, and an allocator returns only some of
//! them. A process returns all of it when it ends. It can also be stopped when it takes too long, and a compiler that
//! crashes or runs out of memory does not take the worker with it.
//!
//! The worker writes the component's length and bytes to standard input, and keeps it open: its end means that nobody
//! waits for the answer. The answer on standard output is one byte, [`DONE`] or [`REFUSED`], and then the machine code or
//! the reason.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use wasmtime::Engine;

use super::background;
use crate::config::Ceilings;
use crate::engine;

const DONE: u8 = 0;
const REFUSED: u8 = 1;

/// The variable that decides whether machine code knows lines of the source (wasmtime's `WasmBacktraceDetails`). Both processes
/// must agree.
pub(crate) const BACKTRACE_DETAILS: &str = "WASMTIME_BACKTRACE_DETAILS";

/// The name of the command; the memory ceiling follows it.
const COMMAND: &str = "compile";

/// Why a process gave no machine code.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("cannot start a process for the compiler")]
    Start(#[source] io::Error),
    /// The compiler's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the compiler ended without an answer ({0}); see standard error")]
    Ended(ExitStatus),
    #[error("the process of the compiler cannot be read")]
    Read(#[source] io::Error),
}

impl ProgramError {
    /// Whether the process was killed from outside. A crash of the compiler is another signal.
    pub(super) fn was_killed(&self) -> bool {
        const SIGKILL: i32 = 9;
        matches!(self, Self::Ended(status) if status.signal() == Some(SIGKILL))
    }
}

/// A program that compiles when it is started with the command `compile`.
#[derive(Debug, Clone)]
pub(in crate::plugin) struct CompilerProgram {
    path: PathBuf,
    memory_bytes: usize,
}

/// The path of the running program, also after its file was replaced.
pub fn this_program() -> Option<PathBuf> {
    let kept_by_the_system = Path::new("/proc/self/exe");
    if kept_by_the_system.exists() {
        return Some(kept_by_the_system.to_owned());
    }
    std::env::current_exe().ok()
}

impl CompilerProgram {
    pub(in crate::plugin) fn new(path: PathBuf, ceilings: &Ceilings) -> Self {
        Self { path, memory_bytes: ceilings.memory_bytes }
    }

    /// Compiles `wasm` to what [`Engine::precompile_component`] returns. Ends the process when it is dropped.
    pub(super) async fn compile(&self, wasm: &[u8]) -> Result<Bytes, ProgramError> {
        let mut process = Command::new(&self.path)
            .args([COMMAND, &self.memory_bytes.to_string()])
            // It needs no secrets, no `.env` and no folder.
            .env_clear()
            .envs(std::env::var_os(BACKTRACE_DETAILS).map(|value| (BACKTRACE_DETAILS, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal is for the worker, which may still be loading a plugin while it drains.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(ProgramError::Start)?;
        let (Some(mut input), Some(mut output)) = (process.stdin.take(), process.stdout.take())
        else {
            return Err(ProgramError::Read(io::ErrorKind::BrokenPipe.into()));
        };
        // An error here means that the process has ended; its status says more.
        let _ = write(&mut input, wasm).await;
        let mut answer = Vec::new();
        output.read_to_end(&mut answer).await.map_err(ProgramError::Read)?;
        let status = process.wait().await.map_err(ProgramError::Read)?;
        drop(input);
        let mut answer = Bytes::from(answer);
        let first = answer.try_get_u8().ok().filter(|_| status.success());
        match first {
            Some(DONE) => Ok(answer),
            Some(REFUSED) => Err(ProgramError::Refused(String::from_utf8_lossy(&answer).into())),
            _ => Err(ProgramError::Ended(status)),
        }
    }
}

async fn write(input: &mut tokio::process::ChildStdin, wasm: &[u8]) -> io::Result<()> {
    input.write_u64_le(wasm.len() as u64).await?;
    input.write_all(wasm).await
}

/// The process: compiles what is on standard input.
pub(crate) fn answer(memory_bytes: usize) -> ExitCode {
    background::lower_priority();
    yield_memory();
    let answered = read_component().and_then(|wasm| {
        end_with_the_worker()?;
        let compiled = compiler(memory_bytes).and_then(|engine| engine.precompile_component(&wasm));
        let mut output = io::stdout().lock();
        match compiled {
            Ok(code) => {
                output.write_all(&[DONE])?;
                output.write_all(&code)?;
            }
            Err(error) => {
                output.write_all(&[REFUSED])?;
                write!(output, "{error:#}")?;
            }
        }
        output.flush()
    });
    // There is nobody to tell but the worker, which sees the code.
    if answered.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An engine that compiles what the worker's runs: how instances are allocated has no part in the code.
fn compiler(memory_bytes: usize) -> wasmtime::Result<Engine> {
    Engine::new(&engine::base(&Ceilings { memory_bytes, ..Ceilings::default() }))
}

fn read_component() -> io::Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut wasm = Vec::new();
    input.take(length).read_to_end(&mut wasm)?;
    if wasm.len() as u64 == length { Ok(wasm) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Ends this process when the worker ends, however that happens.
fn end_with_the_worker() -> io::Result<()> {
    std::thread::Builder::new().name("worker".to_owned()).spawn(|| {
        let _ = io::stdin().read(&mut [0]); // Returns at the end of the input.
        #[expect(clippy::exit, reason = "the compile in the main thread cannot be interrupted")]
        std::process::exit(1);
    })?;
    Ok(())
}

/// When memory runs out, the system ends this process before any other.
fn yield_memory() {
    #[cfg(target_os = "linux")]
    // Should this fail, the system chooses by size.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}
