//! The calls of a plugin's `describe` and `init` while it is loaded, each in a fresh instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use ops::chain::chain;
use wasmtime::component::Instance;
use wasmtime::{Engine, Store};

use crate::bindings::{Descriptor, v1};
use crate::error::LoadError;
use crate::sandbox::Sandbox;
use crate::sandbox::env::PluginEnv;
use crate::sandbox::limits::{Breaches, Limit, settings};

/// Longest reason of a guest that is reported.
const MAX_REASON_CHARS: usize = 2_000;

pub(crate) async fn describe(
    engine: &Engine,
    component: &v1::PluginPre<Sandbox>,
    env: &Arc<PluginEnv>,
) -> Result<Descriptor, LoadError> {
    let mut store = Sandbox::store(engine, env, None, None, Breaches::default());
    let call = async {
        let instance = component.instantiate_async(&mut store).await?;
        instance.call_describe(&mut store).await
    };
    let described = match tokio::time::timeout(env.limits.wall, call).await {
        Ok(Ok(described)) => described,
        Ok(Err(error)) => return Err(trapped(&store, "describe", &error)),
        Err(_) => return Err(timed_out(env, "describe")),
    };
    v1::descriptor(described)
        .map_err(|problem| LoadError::Description { plugin: env.name.clone(), problem })
}

/// A fresh instance in which `init` has run.
pub(crate) async fn init(
    engine: &Engine,
    component: &v1::PluginPre<Sandbox>,
    env: &Arc<PluginEnv>,
) -> Result<(Store<Sandbox>, Instance), LoadError> {
    let mut store = Sandbox::store(engine, env, None, None, Breaches::default());
    let call = async {
        let instance = component.instance_pre().instantiate_async(&mut store).await?;
        let guest = v1::Plugin::new(&mut store, &instance)?;
        let initialised = guest.call_init(&mut store).await?;
        wasmtime::Result::Ok((instance, initialised))
    };
    match tokio::time::timeout(env.limits.wall, call).await {
        Ok(Ok((instance, Ok(())))) => Ok((store, instance)),
        Ok(Ok((_, Err(reason)))) => Err(LoadError::Start {
            plugin: env.name.clone(),
            function: "init",
            reason: reason.chars().take(MAX_REASON_CHARS).collect(),
        }),
        Ok(Err(error)) => Err(trapped(&store, "init", &error)),
        Err(_) => Err(timed_out(env, "init")),
    }
}

/// The rows that a plugin took of each data file, as it describes them after `init`. Empty when it cannot be asked.
pub(crate) async fn data_rows(
    engine: &Engine,
    component: &v1::PluginPre<Sandbox>,
    has_snapshot: bool,
    env: &Arc<PluginEnv>,
) -> BTreeMap<String, u64> {
    if env.data.is_empty() {
        return BTreeMap::new();
    }
    let descriptor = if has_snapshot {
        describe(engine, component, env).await.ok()
    } else {
        describe_after_init(engine, component, env).await
    };
    descriptor.map(|descriptor| descriptor.rows).unwrap_or_default()
}

async fn describe_after_init(
    engine: &Engine,
    component: &v1::PluginPre<Sandbox>,
    env: &Arc<PluginEnv>,
) -> Option<Descriptor> {
    let (mut store, instance) = init(engine, component, env).await.ok()?;
    let call = async {
        let guest = v1::Plugin::new(&mut store, &instance)?;
        guest.call_describe(&mut store).await
    };
    let described = tokio::time::timeout(env.limits.wall, call).await.ok()?.ok()?;
    v1::descriptor(described).ok()
}

fn timed_out(env: &PluginEnv, function: &'static str) -> LoadError {
    let limit = settings::describe(Limit::Wall, &env.limits, &env.name);
    let reason = format!("it took too long; {limit}");
    LoadError::Start { plugin: env.name.clone(), function, reason }
}

/// A trap in `function`. The last lines that the guest wrote come first: they hold the text of a panic.
fn trapped(store: &Store<Sandbox>, function: &'static str, error: &wasmtime::Error) -> LoadError {
    let sandbox = store.data();
    let tail = sandbox.output.tail();
    let cause = chain(error.as_ref());
    let mut reason = if tail.is_empty() { cause.to_string() } else { format!("{tail} ({cause})") };
    for limit in sandbox.breaches.all() {
        let limit = settings::describe(limit, &sandbox.env.limits, &sandbox.env.name);
        reason.push_str(&format!("; {limit}"));
    }
    LoadError::Start { plugin: sandbox.env.name.clone(), function, reason }
}
