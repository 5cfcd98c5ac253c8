//! Why a plugin is refused.

use std::io;
use std::path::PathBuf;

use queue::TaskType;

/// Why a candidate plugin was not published. The running version is untouched in every case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file vanished or cannot be read, for instance because it is still being copied.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A file is larger than this server takes.
    #[error("{} has {bytes} bytes; at most {limit} are taken", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A component has more of something than toolchains make, and than the compiler should see.
    #[error("{} has more than {limit} {what}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Of what there is too much.
        what: &'static str,
        /// How much is taken.
        limit: usize,
    },
    /// The settings file is wrong.
    #[error("{}: {problem}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        problem: String,
    },
    /// The file is not a component that compiles.
    #[error("{} is not a usable WebAssembly component", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// What the compiler says.
        source: wasmtime::Error,
    },
    /// Compiling it, the wait for other compiles included, did not end in time.
    #[error("{} is not compiled within {seconds} s; it is tried again in a while", path.display())]
    CompileTime {
        /// The file.
        path: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// The component wants something that the operator has not given.
    #[error(
        "plugin `{plugin}` imports `{import}`, which it is not granted; under `[grants]` in {plugin}.toml add {grant}"
    )]
    NotGranted {
        /// The plugin's name, taken from the file name.
        plugin: String,
        /// The imported interface, as the component names it.
        import: String,
        /// The line that would allow it.
        grant: &'static str,
    },
    /// Its imports or exports do not fit the contract.
    #[error("plugin `{plugin}` does not fit the contract freefans:plugin@1.0.0")]
    Contract {
        /// The plugin's name.
        plugin: String,
        /// The first difference.
        source: wasmtime::Error,
    },
    /// `describe` or `init` did not come back well.
    #[error("plugin `{plugin}` failed in `{function}`: {reason}")]
    Start {
        /// The plugin's name.
        plugin: String,
        /// Which export.
        function: &'static str,
        /// What happened.
        reason: String,
    },
    /// What it says about itself breaks the contract.
    #[error("plugin `{plugin}` describes itself wrongly: {problem}")]
    Description {
        /// The plugin's name.
        plugin: String,
        /// What is wrong.
        problem: String,
    },
    /// Its settings name another component as the only one.
    #[error(
        "plugin `{plugin}` has the digest {digest}, and `digest` under `[swap]` in {plugin}.toml takes only {pinned}"
    )]
    Pinned {
        /// The plugin's name.
        plugin: String,
        /// SHA-256 of the file, in hex.
        digest: String,
        /// What is taken.
        pinned: String,
    },
    /// It did not answer the trial task of its settings well.
    #[error("plugin `{plugin}` failed its trial, a `{task_type}`: {reason}")]
    Trial {
        /// The plugin's name.
        plugin: String,
        /// The trial's type.
        task_type: TaskType,
        /// What came of it.
        reason: String,
    },
    /// It was in force before and went back, because too many of its first tasks failed.
    #[error(
        "this version of plugin `{plugin}` was rolled back: {failed} of its first {ended} tasks failed; put a mended file \
         in place, or run `worker plugins accept {plugin}` to try it once more"
    )]
    RolledBack {
        /// The plugin's name.
        plugin: String,
        /// How many tasks failed,
        failed: u32,
        /// of how many.
        ended: u32,
    },
    /// It took much less of a data file than the version that it would replace.
    #[error(
        "plugin `{plugin}` would have {now} {unit} of its data `{data}` where {had} are in force, under the share of \
         {share} that is taken; if that is meant, run `worker plugins accept {plugin}`, or set `keep_data_at_least` under \
         [swap] in {plugin}.toml"
    )]
    DataShrank {
        /// The plugin's name.
        plugin: String,
        /// The data's name.
        data: String,
        /// What is counted: `rows` that the plugin took, or `bytes` of the file.
        unit: &'static str,
        /// What is in force.
        had: u64,
        /// What there would be.
        now: u64,
        /// The least share, from the settings.
        share: f64,
    },
    /// Another plugin answers one of its task types.
    #[error(
        "plugin `{plugin}` handles `{task_type}`, which plugin `{owner}` handles already; remove one of the two files"
    )]
    TypeTaken {
        /// The plugin's name.
        plugin: String,
        /// The task type.
        task_type: TaskType,
        /// Who has it.
        owner: String,
    },
    /// Another file holds a plugin that calls itself the same.
    #[error(
        "plugin `{plugin}` calls itself `{declared}`, as plugin `{owner}` does already; remove one of the two files"
    )]
    NameTaken {
        /// The plugin's name, taken from the file name.
        plugin: String,
        /// Its name for itself.
        declared: String,
        /// Who has it.
        owner: String,
    },
}

impl LoadError {
    /// The code of [`LoadError::RolledBack`].
    pub(crate) const ROLLED_BACK: &'static str = "plugin-rolled-back";

    /// Whether the same files may be accepted later: what stood in the way lies outside them.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Read { .. }
            | Self::TypeTaken { .. }
            | Self::NameTaken { .. }
            | Self::Start { .. }
            | Self::Trial { .. }
            | Self::CompileTime { .. }
            | Self::RolledBack { .. } => true,
            Self::TooLarge { .. }
            | Self::Shape { .. }
            | Self::Settings { .. }
            | Self::Compile { .. }
            | Self::NotGranted { .. }
            | Self::Contract { .. }
            | Self::Pinned { .. }
            | Self::DataShrank { .. }
            | Self::Description { .. } => false,
        }
    }

    /// Whether it may pass as soon as another plugin is gone or has changed.
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
            Self::NotGranted { .. } => "capability-not-granted",
            Self::Contract { .. } => "plugin-contract",
            Self::Start { .. } => "plugin-start",
            Self::Description { .. } => "plugin-description",
            Self::Pinned { .. } => "plugin-pinned",
            Self::Trial { .. } => "plugin-trial",
            Self::RolledBack { .. } => Self::ROLLED_BACK,
            Self::DataShrank { .. } => "data-shrank",
            Self::TypeTaken { .. } => "task-type-taken",
            Self::NameTaken { .. } => "plugin-name-taken",
        }
    }
}
