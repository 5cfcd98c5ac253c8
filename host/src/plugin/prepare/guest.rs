//! The two calls that make a version: `describe`, and `init` on a fresh instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use ops::chain::chain;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::{Descriptor, v1};
use crate::error::LoadError;
use crate::plugin::load::Loader;
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Breaches;
use crate::version::Surroundings;

/// Longest reason of a guest that is passed on.
const MAX_REASON_CHARS: usize = 2_000;

impl Loader {
    pub(crate) async fn describe(
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

    /// What a plugin says after `init` that it took of its data. One that cannot be asked says nothing.
    pub(crate) async fn rows(
        &self,
        component: &v1::PluginPre<Sandbox>,
        initialised: bool,
        around: &Arc<Surroundings>,
    ) -> BTreeMap<String, u64> {
        if around.data.is_empty() {
            return BTreeMap::new();
        }
        let described = match initialised {
            true => self.describe(component, around).await.ok(),
            false => match self.start(component, around).await {
                Ok((mut store, instance)) => {
                    let call = async {
                        let guest = v1::Plugin::new(&mut store, &instance)?;
                        guest.call_describe(&mut store).await
                    };
                    let described = tokio::time::timeout(around.limits.wall, call).await;
                    described.ok().and_then(Result::ok).and_then(|said| v1::descriptor(said).ok())
                }
                Err(_) => None,
            },
        };
        described.map(|descriptor| descriptor.rows).unwrap_or_default()
    }

    /// A fresh instance on which `init` has run.
    pub(crate) async fn start(
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
