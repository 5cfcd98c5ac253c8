//! From files to a plugin version: the admission steps, in order, each with its own refusal.
//!
//! Settings → bytes → digest (pinned? rolled back?) → shape → compile ([`super::compile`]) → imports within the grants →
//! link → `describe` ([`super::prepare`]) → `init` and its memory kept ([`super::prepare`]) → trial. Whoever calls this
//! publishes only what comes out of it, so a refused candidate changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use queue::{TaskQueue, TaskType};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::archive::{KeptVersions, VersionId};
use crate::bindings::schema::ParamsSchema;
use crate::bindings::{Descriptor, commands, v1};
use crate::config::Ceilings;
use crate::error::LoadError;
use crate::imports::Linkers;
use crate::plugin::check::structure::{self, Refused};
use crate::plugin::compile::cache::PreparedCache;
use crate::plugin::compile::cache_writer::Keeper;
use crate::plugin::compile::{self, Compiler};
use crate::plugin::publish::data_guard::{DataFact, DataFacts};
use crate::plugin::trial;
use crate::plugin_config::PluginConfig;
use crate::sandbox::Sandbox;
use crate::sandbox::http::HttpClient;
use crate::swap::files::open_regular;
use crate::version::health::Tally;
use crate::version::{PluginVersion, Surroundings};

/// What loading needs; one per process.
#[derive(Debug)]
pub struct Loader {
    pub(crate) engine: Engine,
    linkers: Linkers,
    ceilings: Ceilings,
    queue: Option<TaskQueue>,
    pub(crate) prepared: Option<PreparedCache>,
    pub(crate) keeper: Keeper,
    versions: Option<KeptVersions>,
    pub(crate) snapshots: bool,
    pub(crate) compiler: Compiler,
}

/// What a component is made of.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Anatomy {
    /// Size of its file.
    pub bytes: usize,
    /// SHA-256 of its file, in hex.
    pub digest: String,
    /// What it wants from its host.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
}

impl Loader {
    /// A loader for `engine`. `queue` is where caches and progress live.
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
        Ok(Self {
            engine,
            linkers,
            ceilings,
            queue,
            prepared: None,
            keeper: Keeper::new(),
            versions: None,
            snapshots: true,
            compiler,
        })
    }

    /// Keeps prepared plugins for the next start.
    #[must_use]
    pub fn with_cache(self, prepared: Option<PreparedCache>) -> Self {
        Self { prepared, ..self }
    }

    /// Waits until what was prepared so far is on disk. A plugin is used before that.
    pub fn all_kept(&self) -> impl Future<Output = ()> + Send + 'static {
        self.keeper.clone().all_kept()
    }

    /// Keeps the last good versions for a rollback, and takes none that was rolled back.
    #[must_use]
    pub fn with_versions(self, versions: Option<KeptVersions>) -> Self {
        Self { versions, ..self }
    }

    /// Where the last good versions are.
    pub fn versions(&self) -> Option<&KeptVersions> {
        self.versions.as_ref()
    }

    /// Runs `init` for each task, to see what keeping its memory is worth.
    #[must_use]
    pub fn without_snapshots(self) -> Self {
        Self { snapshots: false, ..self }
    }

    /// What a component is made of, whether it would be accepted or not.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no component.
    pub async fn dissect(&self, path: &Path) -> Result<Anatomy, LoadError> {
        let bytes = read_bounded(path, self.ceilings.component_bytes).await?;
        let (size, digest) = (bytes.len(), hex(&Sha256::digest(&bytes)));
        check_shape(path, bytes.clone()).await?;
        let component = self.compiler.compile(bytes).await;
        let component = component.map_err(|source| compile::refusal(path, source))?;
        let of_type = component.component_type();
        let names = |names: &mut dyn Iterator<Item = &str>| names.map(str::to_owned).collect();
        Ok(Anatomy {
            bytes: size,
            digest,
            imports: names(&mut of_type.imports(&self.engine).map(|(name, _)| name)),
            exports: names(&mut of_type.exports(&self.engine).map(|(name, _)| name)),
        })
    }

    /// The engine that loaded plugins run on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads the component at `path` with the settings beside it.
    ///
    /// # Errors
    ///
    /// [`LoadError`], each with what is wrong and, where a person can act, what to do.
    pub async fn load(&self, path: &Path) -> Result<Arc<PluginVersion>, LoadError> {
        let config = PluginConfig::for_component(path, &self.ceilings)?;
        self.load_with(path, config).await
    }

    /// Loads the component at `path` with settings from elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Loader::load`].
    pub async fn load_with(
        &self,
        path: &Path,
        config: PluginConfig,
    ) -> Result<Arc<PluginVersion>, LoadError> {
        let name = plugin_name(path)?;
        let bytes = read_bounded(path, self.ceilings.component_bytes).await?;
        let digest = hex(&Sha256::digest(&bytes));
        self.check_wanted(&name, &digest, &config).await?;
        check_shape(path, bytes.clone()).await?;
        for remark in &config.remarks {
            tracing::warn!(plugin = name, "settings: {remark}");
        }
        let remarks = config.remarks.clone();
        let allows_requests = config.net.is_some();
        let (granted, settings) = (config.granted(), config.source.clone());
        let swap = config.swap.clone();
        let around = self.surroundings(name, path, config).await?;
        let key = self.key(&digest, &around);
        let contract = |source| LoadError::Contract { plugin: around.name.clone(), source };
        let kept = self.kept(&key).await;
        // Compiled once for everything up to `init`, and once more with what `init` left.
        let instrumented = match kept.is_none() {
            true => Some(self.instrument(&bytes).await),
            false => None,
        };
        let component = match (kept, &instrumented) {
            (Some(kept), _) => Ok(kept),
            (None, Some(Ok(instrumented))) => {
                self.compile_once(&digest, instrumented.clone()).await
            }
            (None, _) => self.compiler.compile(bytes.clone()).await,
        };
        let component = component.map_err(|source| compile::refusal(path, source))?;
        check_imports(&around.name, &component, &self.engine, allows_requests)?;
        let component = self.link(&component, &around).map_err(contract)?;
        let descriptor = self.describe(&component, &around).await?;
        let schemas = compile_schemas(&around.name, &descriptor)?;
        let (component, initialised, said, rows) = match instrumented {
            // What was kept describes itself as it does after `init`.
            None => (component, true, Vec::new(), descriptor.rows.clone()),
            Some(instrumented) => {
                let (component, initialised, told) = self
                    .initialise(&component, instrumented, (path, &bytes), &around, &key)
                    .await?;
                let rows = self.rows(&component, initialised, &around).await;
                (component, initialised, told, rows)
            }
        };
        for remark in &descriptor.remarks {
            tracing::warn!(plugin = around.name, "{remark}");
        }
        let told = remarks.into_iter().chain(descriptor.remarks.clone()).chain(said).collect();
        let data = data_facts(&around, &rows);
        let version = Arc::new(PluginVersion {
            descriptor,
            digest,
            path: path.to_owned(),
            told,
            data,
            around,
            component,
            initialised,
            granted,
            settings,
            swap,
            tally: Tally::default(),
            schemas,
        });
        if version.swap.trial.is_some() && !self.was_in_force(&version).await {
            trial::run(self, &version).await?;
        }
        Ok(version)
    }

    /// Whether it is known from an earlier start: it passed its trial then.
    async fn was_in_force(&self, version: &Arc<PluginVersion>) -> bool {
        let Some(versions) = self.versions.clone() else { return false };
        let version = Arc::clone(version);
        let looking =
            move || versions.of(version.name()).iter().any(|kept| kept.id == version.id());
        tokio::task::spawn_blocking(looking).await.unwrap_or(false)
    }

    /// Whether the operator wants this very component with these settings.
    async fn check_wanted(
        &self,
        name: &str,
        digest: &str,
        config: &PluginConfig,
    ) -> Result<(), LoadError> {
        let plugin = name.to_owned();
        if let Some(pinned) = config.swap.digest.clone().filter(|_| !config.swap.takes(digest)) {
            return Err(LoadError::Pinned { plugin, digest: digest.to_owned(), pinned });
        }
        let Some(versions) = self.versions.clone() else { return Ok(()) };
        let id = VersionId::new(digest, &config.source);
        let reading = tokio::task::spawn_blocking(move || versions.rejection(&plugin, &id));
        match reading.await.ok().flatten() {
            None => Ok(()),
            Some(why) => Err(LoadError::RolledBack {
                plugin: name.to_owned(),
                failed: why.failed,
                ended: why.ended,
            }),
        }
    }

    pub(crate) fn link(
        &self,
        component: &Component,
        around: &Surroundings,
    ) -> wasmtime::Result<v1::PluginPre<Sandbox>> {
        let linker = self.linkers.for_grants(around.http.is_some());
        v1::PluginPre::new(linker.instantiate_pre(component)?)
    }

    async fn surroundings(
        &self,
        name: String,
        path: &Path,
        config: PluginConfig,
    ) -> Result<Arc<Surroundings>, LoadError> {
        let mut data = BTreeMap::new();
        for (key, file) in &config.data {
            let file = config.data_at.get(key).unwrap_or(file);
            data.insert(key.clone(), read_bounded(file, self.ceilings.data_bytes).await?);
        }
        let http = match config.net {
            Some(net) => {
                let client = HttpClient::new(&name, net, config.secrets, config.limits);
                Some(Arc::new(client.map_err(|problem| LoadError::Settings {
                    path: path.with_extension("toml"),
                    problem,
                })?))
            }
            None => None,
        };
        Ok(Arc::new(Surroundings {
            name,
            settings: config.settings,
            data,
            cache: config.cache,
            http,
            limits: config.limits,
            queue: self.queue.clone(),
        }))
    }
}

/// Whether a plugin may be called so: its name is part of file names and of keys.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A file's name without its ending, as it is shown.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn plugin_name(path: &Path) -> Result<String, LoadError> {
    let name = stem(path);
    if is_plugin_name(&name) {
        return Ok(name);
    }
    Err(LoadError::Description {
        plugin: name.chars().take(64).collect(),
        problem: "a plugin's file name takes 1 to 64 letters, digits, `-` and `_`".to_owned(),
    })
}

async fn read_bounded(path: &Path, limit: u64) -> Result<Bytes, LoadError> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let file = open_regular(&file)?;
        let length = file.metadata()?.len();
        let mut bytes = Vec::new();
        // No more than that, however much is written to it meanwhile.
        file.take(limit + 1).read_to_end(&mut bytes)?;
        Ok((length.max(bytes.len() as u64), bytes))
    });
    let read = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (length, bytes) =
        read.map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    if limit < length {
        return Err(LoadError::TooLarge { path: path.to_owned(), bytes: length, limit });
    }
    Ok(bytes.into())
}

/// The bytes are read here before anything that could be hurt by them reads them.
async fn check_shape(path: &Path, wasm: Bytes) -> Result<(), LoadError> {
    let path = path.to_owned();
    let looking = tokio::task::spawn_blocking(move || structure::check(&wasm)).await;
    let source = match looking {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(Refused::Excess { what, limit })) => {
            return Err(LoadError::Shape { path, what, limit });
        }
        Ok(Err(Refused::Malformed(error))) => wasmtime::Error::new(error),
        Err(error) => wasmtime::Error::msg(format!("looking at it panicked: {error}")),
    };
    Err(LoadError::Compile { path, source })
}

fn data_facts(around: &Surroundings, rows: &BTreeMap<String, u64>) -> DataFacts {
    let fact = |(name, bytes): (&String, &Bytes)| {
        let digest = hex(&Sha256::digest(bytes));
        let fact = DataFact { bytes: bytes.len() as u64, rows: rows.get(name).copied(), digest };
        (name.clone(), fact)
    };
    around.data.iter().map(fact).collect()
}

fn check_imports(
    plugin: &str,
    component: &Component,
    engine: &Engine,
    allows_requests: bool,
) -> Result<(), LoadError> {
    for (import, _) in component.component_type().imports(engine) {
        if import.starts_with("wasi:http/") && !allows_requests {
            return Err(LoadError::NotGranted {
                plugin: plugin.to_owned(),
                import: import.to_owned(),
                grant: "`net = [\"https://host\"]`, or `net = []` to load it with every request refused",
            });
        }
    }
    Ok(())
}

fn compile_schemas(
    plugin: &str,
    descriptor: &Descriptor,
) -> Result<HashMap<TaskType, ParamsSchema>, LoadError> {
    let mut schemas = HashMap::new();
    for described in &descriptor.task_types {
        let name = &described.name;
        let wrong = |problem: String| LoadError::Description { plugin: plugin.to_owned(), problem };
        let schema = ParamsSchema::new(&described.params_schema)
            .map_err(|problem| wrong(format!("the params schema of `{name}`: {problem}")))?;
        if schemas.insert(name.clone(), schema).is_some() {
            return Err(wrong(format!("it names `{name}` twice")));
        }
    }
    commands::try_on(&descriptor.commands, &schemas)
        .map_err(|problem| LoadError::Description { plugin: plugin.to_owned(), problem })?;
    Ok(schemas)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}
