//! Components of versions that were pushed, and what a component imports.

use std::fs;

use anyhow::{Context, ensure};
use queue::fleet::{Fleet, Record};

use crate::digest::sha256_hex;
use crate::fleet::source::Source;
use crate::offline::OfflineHost;

/// The component of a record, from Redis or from where the record says.
pub(super) async fn component(fleet: &Fleet, record: &Record) -> anyhow::Result<Vec<u8>> {
    let Record { digest, size, version, source, .. } = record;
    let component = match source {
        Some(source) => {
            let place = Source::parse(source).map_err(anyhow::Error::msg)?;
            place.fetch(digest, *size).await.map_err(anyhow::Error::msg)?
        }
        None => fleet.fetch(digest, *size).await?.with_context(|| {
            format!("the component {digest:.12} of {version} is no longer stored")
        })?,
    };
    ensure!(
        sha256_hex(&component) == *digest,
        "the component that is stored has another digest than {digest:.12}"
    );
    Ok(component)
}

/// What a component imports; none when the bytes are no component.
pub(super) async fn imports(component: &[u8]) -> anyhow::Result<Option<Vec<String>>> {
    let place = tempfile::tempdir().context("cannot create a temporary folder")?;
    let path = place.path().join("a.wasm");
    fs::write(&path, component).context("cannot write a temporary file")?;
    let info = OfflineHost::new()?.component(&path).await;
    Ok(info.ok().map(|info| info.imports))
}
