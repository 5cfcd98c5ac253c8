//! What a guest can call: our five interfaces, WASI without access to anything, and HTTP when it is granted.

mod cache;
mod config;
mod data;
mod log;
mod progress;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::v1;
use crate::sandbox::Sandbox;

/// The linkers, built once per process. Grants are in the store, so all plugins share the linkers.
pub(crate) struct Linkers {
    closed: Linker<Sandbox>,
    with_http: Linker<Sandbox>,
}

impl std::fmt::Debug for Linkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linkers").finish_non_exhaustive()
    }
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut closed = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut closed)?;
        v1::log::add_to_linker::<_, HasSelf<Sandbox>>(&mut closed, |sandbox| sandbox)?;
        v1::config::add_to_linker::<_, HasSelf<Sandbox>>(&mut closed, |sandbox| sandbox)?;
        v1::cache::add_to_linker::<_, HasSelf<Sandbox>>(&mut closed, |sandbox| sandbox)?;
        v1::data::add_to_linker::<_, HasSelf<Sandbox>>(&mut closed, |sandbox| sandbox)?;
        v1::progress::add_to_linker::<_, HasSelf<Sandbox>>(&mut closed, |sandbox| sandbox)?;
        let mut with_http = closed.clone();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut with_http)?;
        Ok(Self { closed, with_http })
    }

    /// The linker for a plugin with or without a `net` grant.
    pub(crate) fn for_grants(&self, net: bool) -> &Linker<Sandbox> {
        if net { &self.with_http } else { &self.closed }
    }
}
