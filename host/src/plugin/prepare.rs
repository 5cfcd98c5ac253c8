//! Runs `init` once and compiles a component whose instances start from the memory that `init` left.

pub(super) mod guest;
mod snapshot;

use std::sync::Arc;

use bytes::Bytes;
use ops::chain::chain;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};

use crate::bindings::v1;
use crate::error::LoadError;
use crate::imports::Linkers;
use crate::plugin::compile::cache::CacheKey;
use crate::plugin::compile::{Compiler, background};
use crate::plugin::read::ComponentFile;
use crate::sandbox::Sandbox;
use crate::sandbox::env::PluginEnv;

/// What compiling and preparing a plugin needs.
#[derive(Debug)]
pub(super) struct Preparer {
    pub(super) engine: Engine,
    pub(super) linkers: Linkers,
    pub(super) compiler: Compiler,
    /// False to run `init` for each task.
    pub(super) snapshots: bool,
}

/// A compiled component, and whether its `init` is still to be run.
pub(super) enum Compiled {
    /// From the cache; it starts from a snapshot.
    Prepared(Component),
    /// The second value says whether it is instrumented, so that a snapshot can be taken, or why not.
    BeforeInit(Component, wasmtime::Result<()>),
}

impl Compiled {
    pub(super) fn component(&self) -> &Component {
        match self {
            Self::Prepared(component) | Self::BeforeInit(component, _) => component,
        }
    }
}

/// A component that can run tasks.
pub(super) struct Prepared {
    pub(super) component: v1::PluginPre<Sandbox>,
    /// Whether its instances start from a snapshot. Otherwise `init` runs for each task.
    pub(super) has_snapshot: bool,
    /// What `init` logged.
    pub(super) log: Vec<String>,
}

impl Preparer {
    /// Takes the prepared component from the cache, or compiles the one to run `init` in.
    pub(super) async fn compile(
        &self,
        file: &ComponentFile,
        env: &PluginEnv,
    ) -> wasmtime::Result<Compiled> {
        let key = self.snapshot_key(&file.digest, env);
        if let Some(prepared) = self.compiler.cached(Some(&key)).await {
            return Ok(Compiled::Prepared(prepared));
        }
        // The same file with other data or settings is found in the cache.
        let (wasm, can_snapshot) = match self.instrument(&file.wasm).await {
            Ok(instrumented) => (instrumented, Ok(())),
            Err(reason) => (file.wasm.clone(), Err(reason)),
        };
        let key = self.compiler.key(&file.digest, can_snapshot.is_ok());
        let component = self.compiler.component(Some(&key), &file.name(), wasm).await?;
        Ok(Compiled::BeforeInit(component, can_snapshot))
    }

    pub(super) fn link(
        &self,
        component: &Component,
        env: &PluginEnv,
    ) -> wasmtime::Result<v1::PluginPre<Sandbox>> {
        let linker = self.linkers.for_grants(env.http.is_some());
        v1::PluginPre::new(linker.instantiate_pre(component)?)
    }

    /// Runs `init` in an instance of `component` and takes a snapshot. When that is not possible, tasks use `component`
    /// itself: what instrumenting adds is called by nobody.
    pub(super) async fn initialize(
        &self,
        file: &ComponentFile,
        env: &Arc<PluginEnv>,
        component: &v1::PluginPre<Sandbox>,
        can_snapshot: wasmtime::Result<()>,
    ) -> Result<Prepared, LoadError> {
        let (store, instance) = guest::init(&self.engine, component, env).await?;
        let log = store.data().output.init_log();
        let prepared = match can_snapshot {
            Ok(()) => self.snapshot(file, env, store, instance).await,
            Err(reason) => Err(reason),
        };
        match prepared {
            Ok(component) => Ok(Prepared { component, has_snapshot: true, log }),
            Err(reason) => {
                tracing::warn!(
                    plugin = env.name,
                    reason = %chain(reason.as_ref()),
                    "no snapshot; `init` runs for each task"
                );
                Ok(Prepared { component: component.clone(), has_snapshot: false, log })
            }
        }
    }

    /// The cache key of what `init` makes of these files and settings.
    fn snapshot_key(&self, digest: &str, env: &PluginEnv) -> String {
        let mut key = CacheKey::new(&self.engine);
        key.add(digest.as_bytes());
        key.add(format!("{:?} {} {}", env.limits, env.cache, env.http.is_some()).as_bytes());
        for (name, value) in &env.settings {
            key.add(name.as_bytes());
            key.add(value.as_bytes());
        }
        for (name, bytes) in &env.data {
            key.add(name.as_bytes());
            key.add(&Sha256::digest(bytes));
        }
        key.finish()
    }

    async fn instrument(&self, wasm: &Bytes) -> wasmtime::Result<Bytes> {
        if !self.snapshots {
            wasmtime::bail!("snapshots are turned off");
        }
        let wasm = wasm.clone();
        background::run(move || snapshot::instrument(&wasm)).await
    }

    /// Compiles a component whose instances start from the memory of `instance`.
    async fn snapshot(
        &self,
        file: &ComponentFile,
        env: &PluginEnv,
        mut store: Store<Sandbox>,
        instance: Instance,
    ) -> wasmtime::Result<v1::PluginPre<Sandbox>> {
        let started = std::time::Instant::now();
        let wasm = file.wasm.clone();
        let runtime = tokio::runtime::Handle::current();
        let (snapshot, store) = background::run(move || {
            let snapshot = runtime.block_on(snapshot::take(&wasm, &mut store, instance))?;
            Ok((snapshot, store))
        })
        .await?;
        let snapshot_bytes = snapshot.len();
        // What `init` fetched may have changed by the next start.
        let key = (!store.data().has_asked_outside()).then(|| self.snapshot_key(&file.digest, env));
        let what = format!("{} with what `init` left", file.name());
        let component = self.compiler.component(key.as_deref(), &what, snapshot.into()).await?;
        let prepared = self.link(&component, env)?;
        tracing::debug!(
            plugin = env.name,
            peak_memory_bytes = store.data().memory.peak,
            snapshot_bytes,
            took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "plugin initialised"
        );
        Ok(prepared)
    }
}
