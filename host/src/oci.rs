//! Plugins as artefacts in an OCI registry, as other tools for WebAssembly store theirs.
//!
//! An [`address`] names the artefact, [`artefact`] says how a plugin is laid out in one, [`credentials`] finds the
//! user's password, and [`registry`] talks to the server. What a registry sends is not trusted: every part has a limit of
//! size and is compared with its digest, and all of it has a limit of time.
//!
//! Not here: what is done with a plugin that was fetched. `worker plugins pull` checks it and puts it in place.

pub mod address;
pub mod artefact;
mod bounded;
mod credentials;
pub mod error;
mod registry;
mod token;

use std::time::Duration;

use tokio::time::timeout;

use self::address::Address;
use self::artefact::{Artefact, Description};
use self::credentials::Credentials;
pub use self::error::RegistryError;
use self::registry::{Access, Registry};
use crate::digest::sha256_hex;

/// The longest time for fetching or storing one plugin. 64 MiB take 90 s at 6 Mbit/s; a registry that sends a byte now and
/// then is given up.
const TOTAL_TIME: Duration = Duration::from_secs(300);

/// A fetched plugin.
#[derive(Debug)]
pub struct Fetched {
    /// Its parts.
    pub artefact: Artefact,
    /// The digest of its manifest, which names exactly these parts.
    pub digest: String,
}

/// Fetches a plugin whose component has at most `component_bytes` bytes. Nothing is kept on disk.
///
/// # Errors
///
/// [`RegistryError`]: the registry cannot be reached, refuses, or sent something else than it announced.
pub async fn fetch(address: &Address, component_bytes: u64) -> Result<Fetched, RegistryError> {
    in_time(async {
        let registry = open(address, Access::Pull).await?;
        let (manifest, digest) = registry.manifest().await?;
        let parts = artefact::read_manifest(&manifest, component_bytes)?;
        let component = registry.blob(&parts.component_digest, parts.component_bytes).await?;
        let found = format!("sha256:{}", sha256_hex(&component));
        if found != parts.component_digest {
            return Err(RegistryError::Digest {
                what: "component",
                expected: parts.component_digest,
                found,
            });
        }
        let artefact = Artefact { component, settings: parts.settings, signature: parts.signature };
        Ok(Fetched { artefact, digest })
    })
    .await
}

/// Stores a plugin under the address' tag. Returns the digest of its manifest.
///
/// # Errors
///
/// [`RegistryError`]: the address has a digest instead of a tag, a part is too large, the registry cannot be reached, or
/// it refuses.
pub async fn store(
    address: &Address,
    artefact: Artefact,
    description: &Description,
) -> Result<String, RegistryError> {
    if address.digest().is_some() {
        return Err(RegistryError::Address {
            problem: "a digest follows from what is stored; name a tag instead, as in `oci://host/name:1.2.0`"
                .to_owned(),
        });
    }
    let layout = artefact::layout(&artefact, description)?;
    let digest = format!("sha256:{}", sha256_hex(&layout.manifest));
    in_time(async {
        let registry = open(address, Access::Push).await?;
        registry.store_blob(artefact.component).await?;
        registry.store_blob(layout.config).await?;
        // Last: a tag never names parts that are not there.
        registry.store_manifest(layout.manifest).await
    })
    .await?;
    Ok(digest)
}

async fn open(address: &Address, access: Access) -> Result<Registry, RegistryError> {
    let credentials = Credentials::find(address.registry(), address.repository()).await?;
    Registry::open(address, credentials, access).await
}

async fn in_time<T>(
    work: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let seconds = TOTAL_TIME.as_secs();
    timeout(TOTAL_TIME, work).await.unwrap_or(Err(RegistryError::Time { seconds }))
}
