//! `init` once, its memory kept: in the component that instances start from, and on disk for the next start.

mod guest;
pub(crate) mod snapshot;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ops::chain::chain;
use sha2::{Digest, Sha256};
use wasmtime::Store;
use wasmtime::component::{Component, Instance};

use super::compile::cache::Key;
use super::compile::{self, aside};
use super::load::Loader;
use crate::bindings::v1;
use crate::error::LoadError;
use crate::sandbox::Sandbox;
use crate::version::Surroundings;

impl Loader {
    /// Runs `init`, and gives a component that begins with what it left, and what it told; where that cannot be, the
    /// component as it came.
    pub(crate) async fn initialise(
        &self,
        component: &v1::PluginPre<Sandbox>,
        instrumented: wasmtime::Result<Bytes>,
        (path, wasm): (&Path, &Bytes),
        around: &Arc<Surroundings>,
        key: &str,
    ) -> Result<(v1::PluginPre<Sandbox>, bool, Vec<String>), LoadError> {
        let contract = |source| LoadError::Contract { plugin: around.name.clone(), source };
        let (store, instance) = self.start(component, around).await?;
        let told = store.data().output.told();
        let prepared = match &instrumented {
            Ok(_) => self.prepare(wasm, store, instance, around, key).await,
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
                let plain = self.compiler.compile(wasm.clone()).await;
                let plain = plain.map_err(|source| compile::refusal(path, source))?;
                Ok((self.link(&plain, around).map_err(contract)?, false, told))
            }
        }
    }

    /// The name of what `init` makes of these files and settings.
    pub(crate) fn key(&self, digest: &str, around: &Surroundings) -> String {
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

    pub(crate) async fn kept(&self, key: &str) -> Option<Component> {
        let (cache, engine, key) = (self.prepared.clone()?, self.engine.clone(), key.to_owned());
        let reading = tokio::task::spawn_blocking(move || cache.get(&engine, &key));
        reading.await.ok().flatten()
    }

    /// Has a component kept for the next start. Nobody waits for it: it takes as long as a swap may.
    fn keep(&self, key: &str, component: Component) {
        if let Some(cache) = self.prepared.clone() {
            self.keeper.keep(cache, key.to_owned(), component);
        }
    }

    /// Compiles what `init` runs on; the same file with other data or settings needs no second time.
    pub(crate) async fn compile_once(
        &self,
        digest: &str,
        wasm: Bytes,
    ) -> wasmtime::Result<Component> {
        let mut key = Key::new(&self.engine);
        key.add(b"before init");
        key.add(digest.as_bytes());
        let key = key.finish();
        if let Some(kept) = self.kept(&key).await {
            return Ok(kept);
        }
        let component = self.compiler.compile(wasm).await?;
        self.keep(&key, component.clone());
        Ok(component)
    }

    pub(crate) async fn instrument(&self, wasm: &Bytes) -> wasmtime::Result<Bytes> {
        if !self.snapshots {
            wasmtime::bail!("none is wanted");
        }
        let wasm = wasm.clone();
        aside(move || snapshot::instrument(&wasm)).await
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
        let component = self.compiler.compile(snapshot.into()).await?;
        let prepared = self.link(&component, around)?;
        // What `init` fetched may be another thing at the next start.
        if !store.data().asked_outside() {
            self.keep(key, component);
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
}
