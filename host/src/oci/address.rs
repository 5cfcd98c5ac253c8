//! `oci://registry/name[:tag|@sha256:…]`.

use std::fmt;
use std::net::Ipv4Addr;

use oci_client::Reference;

use super::error::RegistryError;

/// Where a plugin is in a registry, and how the registry is reached.
#[derive(Debug, Clone)]
pub struct Address {
    reference: Reference,
    plain: bool,
}

impl Address {
    /// Reads an address. A registry on this machine is reached over plain HTTP, every other one over HTTPS unless
    /// `insecure` is set.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Address`] says what is wrong. It never repeats a user name or password.
    pub fn parse(text: &str, insecure: bool) -> Result<Self, RegistryError> {
        let wrong = |problem: &str| RegistryError::Address { problem: problem.to_owned() };
        let rest = text
            .strip_prefix("oci://")
            .ok_or_else(|| wrong("it begins with `oci://`, as in `oci://host/name:1.2.0`"))?;
        let (registry, _) = rest
            .split_once('/')
            .ok_or_else(|| wrong("a name follows the registry, as in `oci://host/name:1.2.0`"))?;
        if registry.contains('@') {
            return Err(wrong(
                "it has no user or password; they come from the file that `docker login` writes",
            ));
        }
        // Other tools take `name` for `docker.io/library/name`. Here nobody should fetch from there by mistake.
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(wrong("the registry is a host name, as in `oci://registry.example/name`"));
        }
        let reference: Reference =
            rest.parse().map_err(|error: oci_client::ParseError| wrong(&error.to_string()))?;
        if reference.digest().is_some_and(|digest| !is_sha256(digest)) {
            return Err(wrong("a digest is `sha256:` and 64 hexadecimal digits in lower case"));
        }
        let plain = insecure || is_this_machine(registry);
        Ok(Self { reference, plain })
    }

    /// The registry's host, with its port if it has one.
    pub fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// The name in the registry, which may have several parts.
    pub fn repository(&self) -> &str {
        self.reference.repository()
    }

    /// The last part of the name.
    pub fn name(&self) -> &str {
        self.repository().rsplit('/').next().unwrap_or_default()
    }

    /// The digest, when the address has one.
    pub fn digest(&self) -> Option<&str> {
        self.reference.digest()
    }

    /// The digest, or else the tag.
    pub(super) fn wanted(&self) -> &str {
        self.digest().or(self.reference.tag()).unwrap_or("latest")
    }

    /// This address with a digest in place of the tag: it names the same bytes for ever.
    #[must_use]
    pub fn pinned(&self, digest: &str) -> Self {
        Self { reference: self.reference.clone_with_digest(digest.to_owned()), plain: self.plain }
    }

    /// Whether it is reached without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The start of the addresses of the registry's interface.
    pub(super) fn base(&self) -> String {
        let scheme = if self.plain { "http" } else { "https" };
        format!("{scheme}://{}/v2/", self.reference.resolve_registry())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}", self.reference)
    }
}

/// Whether `digest` is a SHA-256 in the one form that is compared.
pub(super) fn is_sha256(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_this_machine(registry: &str) -> bool {
    let host = registry.split_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_registry_name_and_tag_or_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, registry, repository, name, wanted) in [
            ("oci://registry.example/search", "registry.example", "search", "search", "latest"),
            ("oci://localhost:5000/a/search:1.2", "localhost:5000", "a/search", "search", "1.2"),
            ("oci://localhost/search:v1", "localhost", "search", "search", "v1"),
        ] {
            let address = Address::parse(text, false).unwrap();
            assert_eq!(address.registry(), registry);
            assert_eq!(address.repository(), repository);
            assert_eq!(address.name(), name);
            assert_eq!(address.wanted(), wanted);
        }
        let address = Address::parse("oci://registry.example/a:1", false).unwrap().pinned(&digest);
        assert_eq!(address.to_string(), format!("oci://registry.example/a@{digest}"));
        assert_eq!(Address::parse(&address.to_string(), false).unwrap().wanted(), digest);
    }

    #[test]
    fn only_this_machine_is_reached_without_tls_unless_asked() {
        for (registry, plain) in [
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("registry.example", false),
            ("10.0.0.1:5000", false),
            ("localhost.example", false),
            ("127.0.0.1.example:80", false),
        ] {
            let text = format!("oci://{registry}/a");
            assert_eq!(Address::parse(&text, false).unwrap().is_plain(), plain, "{registry}");
            assert!(Address::parse(&text, true).unwrap().is_plain());
        }
    }

    #[test]
    fn a_wrong_address_is_refused_and_a_password_in_it_is_not_repeated() {
        for (text, part) in [
            ("registry.example/a", "begins with `oci://`"),
            ("oci://registry.example", "a name follows"),
            ("oci://search/a", "is a host name"),
            ("oci://registry.example/", "invalid reference format"),
            ("oci://registry.example/A b", "invalid reference format"),
            ("oci://user:hunter2@registry.example/a", "no user or password"),
            ("oci://registry.example/a@sha256:12", "invalid reference format"),
            ("oci://registry.example/../a", "invalid reference format"),
        ] {
            let error = Address::parse(text, false).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let sha512 = format!("oci://registry.example/a@sha512:{}", "0a".repeat(64));
        assert!(Address::parse(&sha512, false).is_err());
        let capitals = format!("oci://registry.example/a@sha256:{}", "0A".repeat(32));
        assert!(Address::parse(&capitals, false).is_err());
    }
}
