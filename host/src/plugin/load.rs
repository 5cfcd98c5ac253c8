//! From files to a plugin version: the admission steps, in order, each with its own refusal.
//!
//! Settings → bytes → digest → shape → compile → imports within the grants → link → `describe` → `init`. Whoever calls this
//! publishes only what comes out of it, so a refused candidate changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ops::chain::chain;
use queue::{TaskQueue, TaskType};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};

use crate::bindings::schema::ParamsSchema;
use crate::bindings::{Descriptor, v1};
use crate::config::Ceilings;
use crate::error::LoadError;
use crate::imports::Linkers;
use crate::imports::http::HttpClient;
use crate::plugin::cache::{Key, PreparedCache};
use crate::plugin::shape::{self, Refused};
use crate::plugin::snapshot;
use crate::plugin::tally::Tally;
use crate::plugin::versions::{KeptVersions, VersionId};
use crate::plugin::{PluginVersion, Surroundings, trial};
use crate::plugin_config::PluginConfig;
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Breaches;

/// Longest compile, the wait for its turn included. A shipped plugin takes a second or two; a file made to keep the
/// compiler busy must not keep the folder from being looked at again.
const COMPILE_AT_MOST: Duration = Duration::from_secs(120);

/// How nice a compile is to running tasks: of a core that both want it gets about a tenth, so it ends all the same.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 10;

/// Longest reason of a guest that is passed on.
const MAX_REASON_CHARS: usize = 2_000;

/// What loading needs; one per process.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    linkers: Linkers,
    ceilings: Ceilings,
    queue: Option<TaskQueue>,
    prepared: Option<PreparedCache>,
    versions: Option<KeptVersions>,
    snapshots: bool,
    /// One compile at a time: more would take the processor from running tasks.
    compiling: Arc<tokio::sync::Semaphore>,
    compile_at_most: Duration,
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
        Ok(Self {
            engine,
            linkers,
            ceilings,
            queue,
            prepared: None,
            versions: None,
            snapshots: true,
            compiling: Arc::new(tokio::sync::Semaphore::new(1)),
            compile_at_most: COMPILE_AT_MOST,
        })
    }

    /// Keeps prepared plugins for the next start.
    #[must_use]
    pub fn with_cache(self, prepared: Option<PreparedCache>) -> Self {
        Self { prepared, ..self }
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
        let component = self.compile(bytes).await;
        let component =
            component.map_err(|source| LoadError::Compile { path: path.to_owned(), source })?;
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
            (None, Some(Ok(instrumented))) => self.compile(instrumented.clone()).await,
            (None, _) => self.compile(bytes.clone()).await,
        };
        let component =
            component.map_err(|source| LoadError::Compile { path: path.to_owned(), source })?;
        check_imports(&around.name, &component, &self.engine, allows_requests)?;
        let component = self.link(&component, &around).map_err(contract)?;
        let descriptor = self.describe(&component, &around).await?;
        let schemas = compile_schemas(&around.name, &descriptor)?;
        let (component, initialised) = match instrumented {
            None => (component, true),
            Some(instrumented) => {
                self.initialise(&component, instrumented, &bytes, &around, &key).await?
            }
        };
        let version = Arc::new(PluginVersion {
            descriptor,
            digest,
            path: path.to_owned(),
            around,
            component,
            initialised,
            granted,
            settings,
            swap,
            tally: Tally::default(),
            schemas,
        });
        trial::run(self, &version).await?;
        Ok(version)
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

    /// Runs `init`, and gives a component that begins with what it left; where that cannot be, the one as it came.
    async fn initialise(
        &self,
        component: &v1::PluginPre<Sandbox>,
        instrumented: wasmtime::Result<Bytes>,
        wasm: &Bytes,
        around: &Arc<Surroundings>,
        key: &str,
    ) -> Result<(v1::PluginPre<Sandbox>, bool), LoadError> {
        let contract = |source| LoadError::Contract { plugin: around.name.clone(), source };
        let (store, instance) = self.start(component, around).await?;
        let prepared = match &instrumented {
            Ok(_) => self.prepare(wasm, store, instance, around, key).await,
            Err(reason) => Err(wasmtime::Error::msg(chain(reason.as_ref()).to_string())),
        };
        match prepared {
            Ok(prepared) => Ok((prepared, true)),
            Err(reason) => {
                tracing::warn!(
                    plugin = around.name,
                    reason = %chain(reason.as_ref()),
                    "no snapshot of this plugin: `init` runs for each task"
                );
                let plain = self.compile(wasm.clone()).await.map_err(contract)?;
                Ok((self.link(&plain, around).map_err(contract)?, false))
            }
        }
    }

    /// The name of what `init` makes of these files and settings.
    fn key(&self, digest: &str, around: &Surroundings) -> String {
        let mut key = Key::new(&self.engine);
        key.add(digest.as_bytes());
        key.add(
            format!("{:?} {} {}", around.limits, around.cache, around.http.is_some()).as_bytes(),
        );
        for (name, value) in &around.settings {
            key.add(name.as_bytes());
            key.add(value.as_bytes());
        }
        for (name, bytes) in &around.data {
            key.add(name.as_bytes());
            key.add(&Sha256::digest(bytes));
        }
        key.finish()
    }

    async fn kept(&self, key: &str) -> Option<Component> {
        let (cache, engine, key) = (self.prepared.clone()?, self.engine.clone(), key.to_owned());
        let reading = tokio::task::spawn_blocking(move || cache.get(&engine, &key));
        reading.await.ok().flatten()
    }

    async fn keep(&self, key: &str, component: Component) {
        let Some(cache) = self.prepared.clone() else { return };
        let key = key.to_owned();
        let storing = tokio::task::spawn_blocking(move || cache.put(&key, &component));
        match storing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "a prepared plugin was not kept for the next start");
            }
            Err(error) => tracing::warn!(error = %error, "a prepared plugin was not kept"),
        }
    }

    async fn instrument(&self, wasm: &Bytes) -> wasmtime::Result<Bytes> {
        if !self.snapshots {
            wasmtime::bail!("none is wanted");
        }
        let wasm = wasm.clone();
        aside(move || snapshot::instrument(&wasm)).await
    }

    async fn compile(&self, wasm: Bytes) -> wasmtime::Result<Component> {
        let (engine, compiling) = (self.engine.clone(), Arc::clone(&self.compiling));
        let compiled = async {
            let turn = compiling.acquire_owned().await; // Never closed.
            aside(move || {
                // A compiler that is given up on has its turn until it ends: no thread can be stopped.
                let _turn = turn;
                snapshot::compile(&engine, &wasm)
            })
            .await
        };
        let limit = self.compile_at_most;
        tokio::time::timeout(limit, compiled).await.unwrap_or_else(|_elapsed| {
            let limit = limit.as_secs();
            Err(wasmtime::Error::msg(format!("compiling it takes longer than {limit} s")))
        })
    }

    fn link(
        &self,
        component: &Component,
        around: &Surroundings,
    ) -> wasmtime::Result<v1::PluginPre<Sandbox>> {
        let linker = self.linkers.for_grants(around.http.is_some());
        v1::PluginPre::new(linker.instantiate_pre(component)?)
    }

    /// A component whose instances begin with what `init` left in this one.
    async fn prepare(
        &self,
        wasm: &Bytes,
        mut store: Store<Sandbox>,
        instance: Instance,
        around: &Surroundings,
        key: &str,
    ) -> wasmtime::Result<v1::PluginPre<Sandbox>> {
        let began = std::time::Instant::now();
        let (wasm, executor) = (wasm.clone(), tokio::runtime::Handle::current());
        let (snapshot, store) = aside(move || {
            let snapshot = executor.block_on(snapshot::take(&wasm, &mut store, instance))?;
            Ok((snapshot, store))
        })
        .await?;
        let snapshot_bytes = snapshot.len();
        let component = self.compile(snapshot.into()).await?;
        let prepared = self.link(&component, around)?;
        // What `init` fetched may be another thing at the next start.
        if !store.data().asked_outside() {
            self.keep(key, component).await;
        }
        tracing::debug!(
            plugin = around.name,
            peak_memory_bytes = store.data().memory.peak,
            snapshot_bytes,
            took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "plugin initialised"
        );
        Ok(prepared)
    }

    async fn surroundings(
        &self,
        name: String,
        path: &Path,
        config: PluginConfig,
    ) -> Result<Arc<Surroundings>, LoadError> {
        let mut data = BTreeMap::new();
        for (key, file) in &config.data {
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

    async fn describe(
        &self,
        component: &v1::PluginPre<Sandbox>,
        around: &Arc<Surroundings>,
    ) -> Result<Descriptor, LoadError> {
        let plugin = around.name.clone();
        let mut store = Sandbox::store(&self.engine, around, None, Breaches::default());
        let call = async {
            let instance = component.instantiate_async(&mut store).await?;
            instance.call_describe(&mut store).await
        };
        let described = match tokio::time::timeout(around.limits.wall, call).await {
            Ok(Ok(described)) => described,
            Ok(Err(error)) => return Err(start_error(&store, "describe", &error)),
            Err(_) => {
                let reason = "it took too long".to_owned();
                return Err(LoadError::Start { plugin, function: "describe", reason });
            }
        };
        v1::descriptor(described).map_err(|problem| LoadError::Description { plugin, problem })
    }

    /// A fresh instance on which `init` has run.
    async fn start(
        &self,
        component: &v1::PluginPre<Sandbox>,
        around: &Arc<Surroundings>,
    ) -> Result<(Store<Sandbox>, Instance), LoadError> {
        let plugin = around.name.clone();
        let mut store = Sandbox::store(&self.engine, around, None, Breaches::default());
        let call = async {
            let instance = component.instance_pre().instantiate_async(&mut store).await?;
            let guest = v1::Plugin::new(&mut store, &instance)?;
            let initialised = guest.call_init(&mut store).await?;
            wasmtime::Result::Ok((instance, initialised))
        };
        let function = "init";
        match tokio::time::timeout(around.limits.wall, call).await {
            Ok(Ok((instance, Ok(())))) => Ok((store, instance)),
            Ok(Ok((_, Err(reason)))) => {
                let reason = reason.chars().take(MAX_REASON_CHARS).collect();
                Err(LoadError::Start { plugin, function, reason })
            }
            Ok(Err(error)) => Err(start_error(&store, function, &error)),
            Err(_) => {
                let reason = "it took too long".to_owned();
                Err(LoadError::Start { plugin, function, reason })
            }
        }
    }
}

/// Does what takes long on a thread of its own, behind running tasks. A panic in it is an error like any other, and
/// refuses the file.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> wasmtime::Result<T> + Send + 'static,
) -> wasmtime::Result<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("compile".to_owned()).spawn(move || {
        step_back();
        let _ = tell.send(work()); // Whoever asked may have gone.
    })?;
    told.await.unwrap_or_else(|_gone| {
        Err(wasmtime::Error::msg("the compiler panicked; standard error has its words"))
    })
}

/// Gives the calling thread what processor time others leave: on a machine with few cores a compile is felt otherwise.
fn step_back() {
    #[cfg(target_os = "linux")]
    // Linux counts it per thread. It may always be made worse; when it may not, a swap is felt more, and that is all.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), BEHIND);
}

/// What a trap during loading says: the guest's own last words first.
fn start_error(
    store: &Store<Sandbox>,
    function: &'static str,
    error: &wasmtime::Error,
) -> LoadError {
    let sandbox = store.data();
    let tail = sandbox.output.tail();
    let reason = match tail.is_empty() {
        true => chain(error.as_ref()).to_string(),
        false => format!("{tail} ({})", chain(error.as_ref())),
    };
    LoadError::Start { plugin: sandbox.around.name.clone(), function, reason }
}

/// Whether a plugin may be called so: its name is part of file names and of keys.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn plugin_name(path: &Path) -> Result<String, LoadError> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if is_plugin_name(name) {
        return Ok(name.to_owned());
    }
    Err(LoadError::Description {
        plugin: name.chars().take(64).collect(),
        problem: "a plugin's file name takes 1 to 64 letters, digits, `-` and `_`".to_owned(),
    })
}

async fn read_bounded(path: &Path, limit: u64) -> Result<Bytes, LoadError> {
    let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
    let bytes = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if limit < bytes {
        return Err(LoadError::TooLarge { path: path.to_owned(), bytes, limit });
    }
    tokio::fs::read(path).await.map(Bytes::from).map_err(unreadable)
}

/// The bytes are read here before anything that could be hurt by them reads them.
async fn check_shape(path: &Path, wasm: Bytes) -> Result<(), LoadError> {
    let path = path.to_owned();
    let looking = tokio::task::spawn_blocking(move || shape::check(&wasm)).await;
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
    Ok(schemas)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_whose_compile_does_not_come_to_an_end_is_refused() {
        let ceilings = Ceilings::default();
        let loader = Loader::new(Engine::default(), ceilings, None).unwrap();
        let loader = Loader { compile_at_most: Duration::from_millis(1), ..loader };
        // As long as another one has not ended, none begins.
        let turn = Arc::clone(&loader.compiling).acquire_owned().await.unwrap();
        let wasm = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        let error = loader.compile(wasm.clone()).await.unwrap_err();
        assert!(error.to_string().contains("takes longer than"), "{error}");
        drop(turn);
        let loader = Loader { compile_at_most: COMPILE_AT_MOST, ..loader };
        assert!(loader.compile(wasm).await.is_ok());
    }
}
