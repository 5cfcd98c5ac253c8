//! Where a component is fetched that is only named in Redis: a registry, or a folder that all workers share.
//!
//! Redis is not trusted: a worker goes only where its operator allows (`--fleet-source`), and compares the digest.

use std::path::{Component, Path, PathBuf};

use crate::oci;
use crate::oci::address::Address;
use crate::plugin::read::read_bounded;

/// A place with components.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Exactly one version in a registry.
    Registry(Box<Address>),
    /// A folder with files named by their SHA-256, `DIGEST.wasm`.
    Folder(PathBuf),
}

impl Source {
    /// Reads `oci://registry/name@sha256:…` or `file:///folder`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file://") {
            let path = Path::new(path);
            let is_plain =
                |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
            if !path.is_absolute() || !path.components().all(is_plain) {
                return Err(format!("`{text}` is no whole path without `..`"));
            }
            return Ok(Self::Folder(path.to_owned()));
        }
        let address = Address::parse(text, false).map_err(|error| error.causes().join(": "))?;
        if address.digest().is_none() {
            return Err(format!("`{text}` has no digest, so it may be another version tomorrow"));
        }
        Ok(Self::Registry(Box::new(address)))
    }

    /// The file of a component in a shared folder.
    pub(crate) fn file(folder: &Path, digest: &str) -> PathBuf {
        folder.join(digest).with_extension("wasm")
    }

    /// Fetches a component of `size` bytes. The caller compares its digest.
    ///
    /// # Errors
    ///
    /// Why it is not there, for a person.
    pub(crate) async fn fetch(&self, digest: &str, size: u64) -> Result<Vec<u8>, String> {
        match self {
            Self::Registry(address) => oci::fetch(address, size)
                .await
                .map(|fetched| fetched.artefact.component)
                .map_err(|error| error.causes().join(": ")),
            Self::Folder(folder) => {
                let read = read_bounded(&Self::file(folder, digest), size).await;
                read.map(Into::into).map_err(|error| ops::chain::chain(&error).to_string())
            }
        }
    }
}

/// Whether `source` is one of `allowed`, or below one of them: `oci://registry`, `oci://registry/team`, `file:///mnt/plugins`.
pub(super) fn is_allowed(source: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|allowed| {
        let allowed = allowed.trim_end_matches('/');
        let rest = source.strip_prefix(allowed);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_one_version_or_a_whole_path() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert!(matches!(
            Source::parse(&format!("oci://registry.example/team/search@{digest}")),
            Ok(Source::Registry(_))
        ));
        assert!(matches!(Source::parse("file:///mnt/plugins"), Ok(Source::Folder(_))));
        for wrong in [
            "oci://registry.example/search:1.2.0",
            "file://plugins",
            "file:///mnt/../etc",
            "https://a.example/x",
            "",
        ] {
            assert!(Source::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_the_operator_allows_is_fetched() {
        let allowed = ["oci://registry.example/team".to_owned(), "file:///mnt/plugins/".to_owned()];
        for source in [
            "oci://registry.example/team/search@sha256:00",
            "oci://registry.example/team@sha256:00",
            "file:///mnt/plugins",
            "file:///mnt/plugins/a",
        ] {
            assert!(is_allowed(source, &allowed), "{source}");
        }
        for source in [
            "oci://registry.example/teams/search@sha256:00",
            "oci://registry.example.evil.example/team/search@sha256:00",
            "file:///mnt/plugins-other",
            "",
        ] {
            assert!(!is_allowed(source, &allowed), "{source}");
        }
        assert!(!is_allowed("file:///mnt/plugins", &[]));
    }
}
