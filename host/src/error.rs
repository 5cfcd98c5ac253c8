//! Why a plugin is refused.

use std::io;
use std::path::PathBuf;

use queue::TaskType;

use crate::trust::Refusal;

/// Why a candidate plugin was not published. The running version stays in every case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is missing or cannot be read, for instance because it is still being copied.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file is larger than this server allows.
    #[error("{} has {bytes} bytes; at most {limit} are allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A component is more complex than toolchains produce and the compiler should read.
    #[error("{} has more than {limit} {what}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What it has too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The settings file is wrong.
    #[error("{}: {problem}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        problem: String,
    },
    /// The file is not a component that compiles.
    #[error("{} is not a usable WebAssembly component", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// The compiler's error.
        source: wasmtime::Error,
    },
    /// Compiling it took too long, including the wait for other compiles.
    #[error("{} was not compiled within {seconds} s; it is tried again later", path.display())]
    CompileTime {
        /// The file.
        path: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// The process that compiled it was killed.
    #[error(
        "{} was not compiled, because the compiler was killed, mostly for lack of memory; it is tried again later",
        path.display()
    )]
    CompilerKilled {
        /// The file.
        path: PathBuf,
        /// How the process ended.
        source: wasmtime::Error,
    },
    /// The component imports something that the operator has not granted.
    #[error(
        "plugin `{plugin}` imports `{import}`, which is not granted; under `[grants]` in {plugin}.toml add {grant}"
    )]
    NotGranted {
        /// The plugin's name, taken from the file name.
        plugin: String,
        /// The imported interface, as the component names it.
        import: String,
        /// The line that would grant it.
        grant: &'static str,
    },
    /// Its imports or exports do not match the contract.
    #[error("plugin `{plugin}` does not fit the contract freefans:plugin@1.0.0")]
    Contract {
        /// The plugin's name.
        plugin: String,
        /// The first difference.
        source: wasmtime::Error,
    },
    /// `describe` or `init` failed.
    #[error("plugin `{plugin}` failed in `{function}`: {reason}")]
    Start {
        /// The plugin's name.
        plugin: String,
        /// The export.
        function: &'static str,
        /// What happened.
        reason: String,
    },
    /// Its descriptor breaks the contract.
    #[error("plugin `{plugin}` has an invalid description: {problem}")]
    Description {
        /// The plugin's name.
        plugin: String,
        /// What is wrong.
        problem: String,
    },
    /// Its settings pin another component.
    #[error(
        "plugin `{plugin}` has the digest {digest}, and `digest` under `[swap]` in {plugin}.toml takes only {pinned}"
    )]
    Pinned {
        /// The plugin's name.
        plugin: String,
        /// SHA-256 of the file, in hex.
        digest: String,
        /// The pinned digest.
        pinned: String,
    },
    /// Its signature is missing or wrong, by the policy of the worker.
    #[error(transparent)]
    Untrusted(#[from] Refusal),
    /// It failed the trial task of its settings.
    #[error(
        "plugin `{plugin}` failed its trial task `{task_type}`: {reason}; mend it, or `trial` under [swap] in {plugin}.toml"
    )]
    Trial {
        /// The plugin's name.
        plugin: String,
        /// The task type of the trial.
        task_type: TaskType,
        /// How the trial ended.
        reason: String,
    },
    /// It was rolled back before, because too many of its first tasks failed.
    #[error(
        "this version of plugin `{plugin}` was rolled back: {failed} of its first {ended} tasks failed; put a fixed file \
         in place, or run `worker plugins accept {plugin}` to try it once more"
    )]
    RolledBack {
        /// The plugin's name.
        plugin: String,
        /// How many of its first tasks failed.
        failed: u32,
        /// How many of its first tasks ended.
        ended: u32,
    },
    /// It has much less data than the version that it would replace.
    #[error(
        "plugin `{plugin}` would have {now} {unit} of its data `{data}` where {had} are in force, under the share of \
         {share} that is taken; if that is meant, run `worker plugins accept {plugin}`, or set `keep_data_at_least` under \
         [swap] in {plugin}.toml"
    )]
    DataShrank {
        /// The plugin's name.
        plugin: String,
        /// The name of the data file.
        data: String,
        /// What is counted: `rows` that the plugin took, or `bytes` of the file.
        unit: &'static str,
        /// What the version in force has.
        had: u64,
        /// What the new version has.
        now: u64,
        /// The smallest accepted share, from the settings.
        share: f64,
    },
    /// Another plugin handles one of its task types.
    #[error(
        "plugin `{plugin}` handles `{task_type}`, which plugin `{owner}` handles already; remove one of the two files"
    )]
    TypeTaken {
        /// The plugin's name.
        plugin: String,
        /// The task type.
        task_type: TaskType,
        /// The plugin that has it.
        owner: String,
    },
    /// Another file contains a plugin with the same name.
    #[error(
        "plugin `{plugin}` calls itself `{declared}`, as plugin `{owner}` does already; remove one of the two files"
    )]
    NameTaken {
        /// The plugin's name, taken from the file name.
        plugin: String,
        /// The plugin's own name.
        declared: String,
        /// The plugin that has it.
        owner: String,
    },
}

impl LoadError {
    /// The code of [`LoadError::RolledBack`].
    pub(crate) const ROLLED_BACK: &'static str = "plugin-rolled-back";

    /// Whether the same files may be accepted later, because the reason is outside of them.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Read { .. }
            | Self::TypeTaken { .. }
            | Self::NameTaken { .. }
            | Self::Start { .. }
            | Self::Trial { .. }
            | Self::CompileTime { .. }
            | Self::CompilerKilled { .. }
            | Self::RolledBack { .. } => true,
            Self::TooLarge { .. }
            | Self::Shape { .. }
            | Self::Settings { .. }
            | Self::Compile { .. }
            | Self::NotGranted { .. }
            | Self::Contract { .. }
            | Self::Pinned { .. }
            | Self::Untrusted(_)
            | Self::DataShrank { .. }
            | Self::Description { .. } => false,
        }
    }

    /// Whether it may be accepted as soon as another plugin is removed or changed.
    pub(crate) fn waits_for_another(&self) -> bool {
        matches!(self, Self::TypeTaken { .. } | Self::NameTaken { .. })
    }

    /// Stable code for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "plugin-unreadable",
            Self::TooLarge { .. } => "plugin-too-large",
            Self::Shape { .. } => "plugin-shape",
            Self::Settings { .. } => "plugin-settings",
            Self::Compile { .. } => "plugin-invalid",
            Self::CompileTime { .. } => "plugin-compile-time",
            Self::CompilerKilled { .. } => "plugin-compiler-killed",
            Self::NotGranted { .. } => "capability-not-granted",
            Self::Contract { .. } => "plugin-contract",
            Self::Start { .. } => "plugin-start",
            Self::Description { .. } => "plugin-description",
            Self::Pinned { .. } => "plugin-pinned",
            Self::Untrusted(refusal) => refusal.code(),
            Self::Trial { .. } => "plugin-trial",
            Self::RolledBack { .. } => Self::ROLLED_BACK,
            Self::DataShrank { .. } => "data-shrank",
            Self::TypeTaken { .. } => "task-type-taken",
            Self::NameTaken { .. } => "plugin-name-taken",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> String {
        "a".to_owned()
    }

    #[test]
    fn a_reason_outside_of_the_files_may_pass_and_one_inside_stays() {
        let path = || PathBuf::from("a.wasm");
        let read = LoadError::Read { path: path(), source: io::ErrorKind::NotFound.into() };
        let task_type: TaskType = "t".parse().unwrap();
        let outside = [
            read,
            LoadError::CompileTime { path: path(), seconds: 1 },
            LoadError::CompilerKilled { path: path(), source: wasmtime::Error::msg("signal 9") },
            LoadError::Start { plugin: name(), function: "init", reason: name() },
            LoadError::Trial { plugin: name(), task_type: task_type.clone(), reason: name() },
            LoadError::RolledBack { plugin: name(), failed: 1, ended: 1 },
            LoadError::TypeTaken { plugin: name(), task_type, owner: name() },
            LoadError::NameTaken { plugin: name(), declared: name(), owner: name() },
        ];
        let waits = ["task-type-taken", "plugin-name-taken"];
        for error in outside {
            assert!(error.may_pass(), "{error}");
            assert_eq!(error.waits_for_another(), waits.contains(&error.code()), "{error}");
        }
        let inside = [
            LoadError::TooLarge { path: path(), bytes: 2, limit: 1 },
            LoadError::Shape { path: path(), what: "functions", limit: 1 },
            LoadError::Settings { path: path(), problem: name() },
            LoadError::Compile { path: path(), source: wasmtime::Error::msg("no component") },
            LoadError::NotGranted { plugin: name(), import: name(), grant: "net = []" },
            LoadError::Contract { plugin: name(), source: wasmtime::Error::msg("no export") },
            LoadError::Description { plugin: name(), problem: name() },
            LoadError::Pinned { plugin: name(), digest: name(), pinned: name() },
            LoadError::Untrusted(Refusal::Unsigned { plugin: name() }),
            LoadError::DataShrank {
                plugin: name(),
                data: name(),
                unit: "rows",
                had: 2,
                now: 0,
                share: 0.5,
            },
        ];
        for error in inside {
            assert!(!error.may_pass() && !error.waits_for_another(), "{error}");
        }
    }
}
