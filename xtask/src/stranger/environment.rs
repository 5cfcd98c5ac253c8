//! The environment of a stranger: what a machine sets for everybody, and nothing that a project has set for itself.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What a login, a desktop or an administrator sets.
const NAMES: &[&str] = &[
    "HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    // Where Rust is, and which one.
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    // How the network is reached.
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];
/// Beginnings of the settings with which a machine names mirrors of registries.
const BEGINNINGS: &[&str] = &[
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "LC_",
    "NPM_CONFIG_",
    "PIP_",
    "PYENV_",
    "npm_config_",
];

/// Takes what everybody has. Of a list of folders, such as `PATH`, those outside the repository.
pub(super) fn of_stranger(
    variables: impl Iterator<Item = (OsString, OsString)>,
    root: &Path,
) -> BTreeMap<OsString, OsString> {
    let taken = variables.filter(|(name, _)| {
        let name = name.to_string_lossy();
        NAMES.contains(&&*name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    });
    taken.filter_map(|(name, value)| Some((name, outside(&value, root)?))).collect()
}

/// The value without folders of the repository. A list with another divider than `PATH` has none of them.
fn outside(value: &OsStr, root: &Path) -> Option<OsString> {
    let folders: Vec<_> =
        std::env::split_paths(value).filter(|folder| !folder.starts_with(root)).collect();
    if folders.len() == std::env::split_paths(value).count() {
        return Some(value.to_owned());
    }
    std::env::join_paths(folders).ok().filter(|left| !left.is_empty())
}

/// Names of the variables whose value has a path into the repository.
pub(super) fn with_path_into(variables: &BTreeMap<OsString, OsString>, root: &Path) -> Vec<String> {
    let root = root.to_string_lossy();
    let seen = variables.iter().filter(|(_, value)| value.to_string_lossy().contains(&*root));
    seen.map(|(name, _)| name.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        all.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn a_stranger_has_what_everybody_has_and_nothing_of_the_repository() {
        let mine = variables(&[
            ("HOME", "/home/ann"),
            ("PATH", "/src/product/target/debug:/usr/bin"),
            ("PIP_INDEX_URL", "https://mirror.example/"),
            ("CARGO_MANIFEST_DIR", "/src/product/xtask"),
            ("CARGO_HOME", "/src/product/.cargo"),
            ("REDIS_URL", "redis://127.0.0.1/"),
        ]);
        let theirs = of_stranger(mine.into_iter(), Path::new("/src/product"));
        let expected = variables(&[
            ("HOME", "/home/ann"),
            ("PATH", "/usr/bin"),
            ("PIP_INDEX_URL", "https://mirror.example/"),
        ]);
        assert_eq!(theirs, expected);
    }

    #[test]
    fn a_path_into_the_repository_is_named_by_its_variable() {
        let all = variables(&[("A", "x=/src/product/a"), ("B", "/src/other")]);
        assert_eq!(with_path_into(&all, Path::new("/src/product")), ["A"]);
    }
}
