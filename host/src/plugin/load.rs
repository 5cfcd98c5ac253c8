//! From files to a plugin version: the admission steps, in order, each with its own refusal.
//!
//! Settings → bytes → digest → compile → imports within the grants → link → `describe` → `init`. Whoever calls this
//! publishes only what comes out of it, so a refused candidate changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ops::chain::chain;
use queue::TaskQueue;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};

use crate::bindings::{Descriptor, v1};
use crate::config::Ceilings;
use crate::error::LoadError;
use crate::imports::Linkers;
use crate::imports::http::HttpClient;
use crate::plugin::cache::{Key, PreparedCache};
use crate::plugin::snapshot::{self, Instrumented};
use crate::plugin::tally::Tally;
use crate::plugin::{PluginVersion, Surroundings};
use crate::plugin_config::PluginConfig;
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Breaches;

/// What loading needs; one per process.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    linkers: Linkers,
    ceilings: Ceilings,
    queue: Option<TaskQueue>,
    prepared: Option<PreparedCache>,
    /// One compile at a time: more would take the processor from running tasks.
    compiling: tokio::sync::Semaphore,
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
        let compiling = tokio::sync::Semaphore::new(1);
        Ok(Self { engine, linkers, ceilings, queue, prepared: None, compiling })
    }

    /// Keeps prepared plugins for the next start.
    #[must_use]
    pub fn with_cache(self, prepared: Option<PreparedCache>) -> Self {
        Self { prepared, ..self }
    }

    /// What a component is made of, whether it would be accepted or not.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no component.
    pub async fn dissect(&self, path: &Path) -> Result<Anatomy, LoadError> {
        let bytes = read_bounded(path, self.ceilings.component_bytes).await?;
        let (size, digest) = (bytes.len(), hex(&Sha256::digest(&bytes)));
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
    pub async fn load(&self, path: &Path) -> Result<PluginVersion, LoadError> {
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
    ) -> Result<PluginVersion, LoadError> {
        let name = plugin_name(path)?;
        let bytes = read_bounded(path, self.ceilings.component_bytes).await?;
        let digest = hex(&Sha256::digest(&bytes));
        let allows_requests = config.net.is_some();
        let around = self.surroundings(name, path, config).await?;
        let key = self.key(&digest, &around);
        let contract = |source| LoadError::Contract { plugin: around.name.clone(), source };
        let kept = self.kept(&key).await;
        // Compiled once for everything up to `init`, and once more with what `init` left.
        let instrumented = kept.is_none().then(|| Instrumented::new(&bytes));
        let component = match (kept, &instrumented) {
            (Some(kept), _) => Ok(kept),
            (None, Some(Ok(instrumented))) => self.compile(instrumented.wasm.clone()).await,
            (None, _) => self.compile(bytes.clone()).await,
        };
        let component =
            component.map_err(|source| LoadError::Compile { path: path.to_owned(), source })?;
        check_imports(&around.name, &component, &self.engine, allows_requests)?;
        let component = self.link(&component, &around).map_err(contract)?;
        let descriptor = self.describe(&component, &around).await?;
        let validators = compile_schemas(&around.name, &descriptor)?;
        let (component, initialised, told) = match instrumented {
            None => (component, true, Vec::new()),
            Some(instrumented) => {
                self.initialise(&component, instrumented, &bytes, &around, &key).await?
            }
        };
        Ok(PluginVersion {
            descriptor,
            digest,
            path: path.to_owned(),
            told,
            around,
            component,
            initialised,
            tally: Tally::default(),
            validators,
        })
    }

    /// Runs `init`, and gives a component that begins with what it left, and what it told; where that cannot be, the
    /// component as it came.
    async fn initialise(
        &self,
        component: &v1::PluginPre<Sandbox>,
        instrumented: wasmtime::Result<Instrumented<'_>>,
        wasm: &Bytes,
        around: &Arc<Surroundings>,
        key: &str,
    ) -> Result<(v1::PluginPre<Sandbox>, bool, Vec<String>), LoadError> {
        let contract = |source| LoadError::Contract { plugin: around.name.clone(), source };
        let (store, instance) = self.start(component, around).await?;
        let told = store.data().output.told();
        let prepared = match &instrumented {
            Ok(instrumented) => self.prepare(instrumented, store, instance, around, key).await,
            Err(reason) => Err(wasmtime::Error::msg(chain(reason.as_ref()).to_string())),
        };
        match prepared {
            Ok(prepared) => Ok((prepared, true, told)),
            Err(reason) => {
                tracing::warn!(
                    plugin = around.name,
                    reason = %chain(reason.as_ref()),
                    "no snapshot of this plugin: `init` runs for each task"
                );
                let plain = self.compile(wasm.clone()).await.map_err(contract)?;
                Ok((self.link(&plain, around).map_err(contract)?, false, told))
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

    async fn compile(&self, wasm: Bytes) -> wasmtime::Result<Component> {
        let _turn = self.compiling.acquire().await; // Never closed.
        let engine = self.engine.clone();
        // A panic in the compiler arrives as a join error and refuses the file like any other.
        let compiling = tokio::task::spawn_blocking(move || snapshot::compile(&engine, &wasm));
        compiling.await.unwrap_or_else(|error| {
            Err(wasmtime::Error::msg(format!("the compiler panicked: {error}")))
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
        instrumented: &Instrumented<'_>,
        mut store: Store<Sandbox>,
        instance: Instance,
        around: &Surroundings,
        key: &str,
    ) -> wasmtime::Result<v1::PluginPre<Sandbox>> {
        let began = std::time::Instant::now();
        let snapshot = instrumented.snapshot(&mut store, instance).await?;
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
            Ok(Ok((_, Err(reason)))) => Err(LoadError::Start { plugin, function, reason }),
            Ok(Err(error)) => Err(start_error(&store, function, &error)),
            Err(_) => {
                let reason = "it took too long".to_owned();
                Err(LoadError::Start { plugin, function, reason })
            }
        }
    }
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

fn plugin_name(path: &Path) -> Result<String, LoadError> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let valid = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if valid {
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
) -> Result<std::collections::HashMap<queue::TaskType, jsonschema::Validator>, LoadError> {
    let mut validators = std::collections::HashMap::new();
    for described in &descriptor.task_types {
        let wrong = |problem: String| LoadError::Description { plugin: plugin.to_owned(), problem };
        let validator =
            jsonschema::draft202012::new(&described.params_schema).map_err(|error| {
                wrong(format!(
                    "the params schema of `{}` is not a JSON Schema: {error}",
                    described.name
                ))
            })?;
        if validators.insert(described.name.clone(), validator).is_some() {
            return Err(wrong(format!("it names `{}` twice", described.name)));
        }
    }
    Ok(validators)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}
