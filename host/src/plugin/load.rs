//! Loads a plugin version: takes the steps up to publishing in order, each with its own refusal.
//!
//! Settings, bytes, digest (pinned? rolled back?), signature, structure, imports, compile, link, `describe`, schemas, `init` and its
//! snapshot, trial.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use queue::{PluginFacts, TaskQueue};
use wasmtime::Engine;

use crate::archive::VersionArchive;
use crate::bindings::Descriptor;
use crate::config::Ceilings;
use crate::diagnosis::Diagnosis;
use crate::digest::sha256_hex;
use crate::error::LoadError;
use crate::grants::NetGrants;
use crate::imports::Linkers;
use crate::plugin::check::signature::{SignatureCheck, Source};
use crate::plugin::compile::cache::PreparedCache;
use crate::plugin::compile::program::CompilerProgram;
use crate::plugin::compile::{self, Compiler};
use crate::plugin::prepare::{Compiled, Prepared, Preparer, guest};
use crate::plugin::read::{self, ComponentFile};
use crate::plugin::{check, trial};
use crate::plugin_config::PluginConfig;
use crate::plugin_config::base::PathBase;
use crate::replay::outside::Outside;
use crate::sandbox::env::PluginEnv;
use crate::trust::Policy;
use crate::trust::memory::Memory;
use crate::version::PluginVersion;
use crate::version::health::TaskCounts;

/// Loads plugins; one per process.
#[derive(Debug)]
pub struct Loader {
    preparer: Preparer,
    ceilings: Ceilings,
    queue: Option<TaskQueue>,
    archive: Option<VersionArchive>,
    signatures: SignatureCheck,
    base: PathBase,
    outside: Outside,
    diagnosis: Option<Arc<Diagnosis>>,
}

/// What a component file holds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ComponentInfo {
    /// Size of the file.
    pub bytes: usize,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Names of its imports.
    pub imports: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
}

impl Loader {
    /// A loader for `engine`. `queue` is the Redis for caches and progress.
    ///
    /// # Errors
    ///
    /// When the linkers cannot be built.
    pub fn new(
        engine: Engine,
        ceilings: Ceilings,
        queue: Option<TaskQueue>,
    ) -> wasmtime::Result<Self> {
        let linkers = Linkers::new(&engine)?;
        let compiler = Compiler::new(engine.clone());
        let preparer = Preparer { engine, linkers, compiler, snapshots: true };
        let signatures = SignatureCheck::default();
        let base = PathBase::default();
        Ok(Self {
            preparer,
            ceilings,
            queue,
            archive: None,
            signatures,
            base,
            outside: Outside::Real,
            diagnosis: None,
        })
    }

    /// Compiles in a process of `program`, which is a `worker`; without one in this process.
    #[must_use]
    pub fn with_compiler(mut self, program: Option<PathBuf>) -> Self {
        let program = program.map(|path| CompilerProgram::new(path, &self.ceilings));
        self.preparer.compiler = self.preparer.compiler.with_program(program);
        self
    }

    /// Caches prepared plugins for the next start.
    #[must_use]
    pub fn with_cache(mut self, cache: Option<PreparedCache>) -> Self {
        self.preparer.compiler = self.preparer.compiler.with_cache(cache);
        self
    }

    /// Ends when everything prepared so far is in the cache. Plugins are used before that.
    pub fn cache_written(&self) -> impl Future<Output = ()> + Send + 'static {
        self.preparer.compiler.cache_written()
    }

    /// Refuses versions that `archive` says were rolled back.
    #[must_use]
    pub fn with_archive(mut self, archive: Option<VersionArchive>) -> Self {
        let folder = archive.as_ref().map(|archive| archive.folder().to_owned());
        self.signatures.memory = Arc::new(Memory::new(folder));
        Self { archive, ..self }
    }

    /// Checks signatures by `policy`, before anything of a plugin is compiled.
    #[must_use]
    pub fn with_trust(mut self, policy: Policy) -> Self {
        self.signatures.policy = policy;
        self
    }

    /// The policy for signatures.
    pub(crate) fn policy(&self) -> &Policy {
        &self.signatures.policy
    }

    /// What was accepted of each plugin.
    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.signatures.memory)
    }

    /// Tells the fleet's plugins from the operator's own, and where the paths in their settings begin.
    #[must_use]
    pub(crate) fn with_base(self, base: PathBase) -> Self {
        Self { base, ..self }
    }

    pub(crate) fn base(&self) -> &PathBase {
        &self.base
    }

    /// The archive of the last good versions.
    pub fn archive(&self) -> Option<&VersionArchive> {
        self.archive.as_ref()
    }

    /// Runs `init` for each task, for benchmarks.
    #[must_use]
    pub fn without_snapshots(mut self) -> Self {
        self.preparer.snapshots = false;
        self
    }

    /// What answers the plugins' tasks. Loading a plugin is as always.
    #[must_use]
    pub(crate) fn with_outside(self, outside: Outside) -> Self {
        Self { outside, ..self }
    }

    /// Lets an author look into the tasks' runs.
    #[must_use]
    pub(crate) fn with_diagnosis(self, diagnosis: Arc<Diagnosis>) -> Self {
        Self { diagnosis: Some(diagnosis), ..self }
    }

    /// The engine that loaded plugins run on.
    pub fn engine(&self) -> &Engine {
        &self.preparer.engine
    }

    /// Reads what a component holds, whether a worker would accept it or not.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not well formed.
    pub async fn component_info(&self, path: &Path) -> Result<ComponentInfo, LoadError> {
        let wasm = read::read_bounded(path, self.ceilings.component_bytes).await?;
        let bytes = wasm.len();
        let digest = sha256_hex(&wasm);
        let outline = check::check_structure(path, wasm).await?;
        Ok(ComponentInfo { bytes, digest, imports: outline.imports, exports: outline.exports })
    }

    /// Reads a component file, up to this server's limit.
    pub(crate) async fn read(&self, path: &Path) -> Result<Bytes, LoadError> {
        read::read_bounded(path, self.ceilings.component_bytes).await
    }

    /// Reads a component and runs its `describe`, without settings and data. Signatures are not looked at.
    pub(crate) async fn describe(&self, path: &Path) -> Result<(Bytes, Descriptor), LoadError> {
        let mut config = PluginConfig::without_file(path, &self.ceilings)?;
        // It may be imported; no request is allowed.
        config.net = Some(NetGrants::default());
        let file = ComponentFile::read(path, &self.ceilings).await?;
        let outline = check::check_structure(path, file.wasm.clone()).await?;
        check::check_imports(&file.plugin, &outline, config.net.is_some())?;
        let env = Arc::new(read::read_env(&file, config, &self.ceilings).await?);
        let preparer = &self.preparer;
        let compiled = preparer.compile(&file, &env).await;
        let compiled = compiled.map_err(|source| compile::refusal(path, source))?;
        let component = preparer.link(compiled.component(), &env);
        let component = component.map_err(|source| check::contract_error(&file.plugin, source))?;
        let descriptor = guest::describe(self.engine(), &component, &env).await?;
        Ok((file.wasm, descriptor))
    }

    /// Loads the component at `path` with the settings beside it.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: what is wrong and, where a person can act, what to do.
    pub async fn load(&self, path: &Path) -> Result<Arc<PluginVersion>, LoadError> {
        let config = PluginConfig::for_component_in(path, self.base.of(path), &self.ceilings)?;
        self.load_with(path, config).await
    }

    /// Loads the component at `path` with other settings.
    ///
    /// # Errors
    ///
    /// As [`Loader::load`].
    pub async fn load_with(
        &self,
        path: &Path,
        config: PluginConfig,
    ) -> Result<Arc<PluginVersion>, LoadError> {
        self.load_from(Source::InPlace, path, config).await
    }

    /// As [`Loader::load_with`], for a component in the archive: it may be older than what was accepted since.
    pub(crate) async fn load_archived(
        &self,
        path: &Path,
        config: PluginConfig,
    ) -> Result<Arc<PluginVersion>, LoadError> {
        self.load_from(Source::Archive, path, config).await
    }

    async fn load_from(
        &self,
        source: Source,
        path: &Path,
        config: PluginConfig,
    ) -> Result<Arc<PluginVersion>, LoadError> {
        let file = ComponentFile::read(path, &self.ceilings).await?;
        check::check_allowed(&file, &config, self.archive.as_ref()).await?;
        // Compiled code is read from the cache, and new code is compiled, only for bytes that are trusted.
        let signature = self.signatures.check(&file, &config.source, source).await?;
        let outline = check::check_structure(path, file.wasm.clone()).await?;
        let access = signature.check_grants(&outline.imports)?;
        let mut warnings: Vec<String> =
            config.remarks.iter().map(|remark| format!("settings: {remark}")).collect();
        let granted = config.granted();
        let is_fleets = self.base.is_fleets(&file.path);
        let facts = PluginFacts { is_fleets, ..config.facts() };
        let settings_text = config.source.clone();
        let swap = config.swap.clone();
        let env = Arc::new(PluginEnv {
            queue: self.queue.clone(),
            outside: self.outside.clone(),
            diagnosis: self.diagnosis.clone(),
            ..read::read_env(&file, config, &self.ceilings).await?
        });
        let plugin = env.name.as_str();
        check::check_imports(plugin, &outline, env.http.is_some())?;

        let preparer = &self.preparer;
        let compiled = preparer.compile(&file, &env).await;
        let compiled = compiled.map_err(|source| compile::refusal(path, source))?;
        let engine = self.engine();
        let component = preparer.link(compiled.component(), &env);
        let component = component.map_err(|source| check::contract_error(plugin, source))?;
        let descriptor = guest::describe(engine, &component, &env).await?;
        signature.check_declared(&descriptor.name, &descriptor.version)?;
        let schemas = check::params_schemas(plugin, &descriptor)?;
        let (prepared, rows) = match compiled {
            // A component from the cache describes itself as it does after `init`.
            Compiled::Prepared(_) => {
                let prepared = Prepared { component, has_snapshot: true, log: Vec::new() };
                (prepared, descriptor.rows.clone())
            }
            Compiled::BeforeInit(_, can_snapshot) => {
                let prepared = preparer.initialize(&file, &env, &component, can_snapshot).await?;
                let Prepared { component, has_snapshot, .. } = &prepared;
                let rows = guest::data_rows(engine, component, *has_snapshot, &env).await;
                (prepared, rows)
            }
        };
        if descriptor.name != plugin {
            warnings.push(format!(
                "the plugin calls itself `{}`, and the file's name counts; name the file {}.wasm",
                descriptor.name, descriptor.name
            ));
        }
        warnings.extend(descriptor.remarks.iter().cloned());
        let version = Arc::new(PluginVersion {
            descriptor,
            digest: file.digest,
            is_own: !is_fleets,
            path: file.path,
            warnings,
            messages: prepared.log,
            data: read::data_files(&env, &rows),
            env,
            component: prepared.component,
            has_snapshot: prepared.has_snapshot,
            granted,
            facts,
            settings_text,
            signature: signature.into_signed(access),
            swap,
            task_counts: TaskCounts::default(),
            schemas,
        });
        if version.swap.trial.is_some() && !self.is_archived(&version).await {
            trial::run(engine, &version).await?;
        }
        Ok(version)
    }

    /// Whether the version was in force before: it passed its trial then.
    async fn is_archived(&self, version: &Arc<PluginVersion>) -> bool {
        let Some(archive) = self.archive.clone() else { return false };
        let version = Arc::clone(version);
        let reading = move || {
            let archived = archive.versions(version.name());
            archived.iter().any(|archived| archived.id == version.id())
        };
        tokio::task::spawn_blocking(reading).await.unwrap_or(false)
    }
}
