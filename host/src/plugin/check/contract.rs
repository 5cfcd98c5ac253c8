//! Whether a component is built for the contract that this host speaks.

use semver::Version;

use super::structure::Outline;
use crate::bindings::v1::{EXPORTS, VERSION};

const PACKAGE: &str = "freefans:plugin/";

/// The error says what it is built for, and what to do.
pub(super) fn check(outline: &Outline) -> Result<(), String> {
    for name in outline.imports.iter().chain(&outline.exports) {
        // Of an interface with types alone the engine looks at nothing, not even at its version.
        let Some(interface) = name.strip_prefix(PACKAGE) else { continue };
        let (_, version) = interface.split_once('@').unwrap_or_default();
        let Ok(theirs) = Version::parse(version) else {
            return Err(format!("it names `{name}` without a version; {}", rebuild()));
        };
        if is_spoken(&theirs, &VERSION) {
            continue;
        }
        let or_update = if theirs > VERSION { ", or update the worker" } else { "" };
        return Err(format!(
            "it names `{name}`: it is built for freefans:plugin@{theirs}, and this worker speaks {VERSION}; {}{or_update}",
            rebuild()
        ));
    }
    match EXPORTS.iter().find(|export| !outline.exports.iter().any(|name| name == *export)) {
        None => Ok(()),
        Some(export) => Err(format!(
            "it does not export `{export}`; build it for the world `plugin` of freefans:plugin@{VERSION}"
        )),
    }
}

/// Whether a host of the version `ours` runs what is built for `theirs`: additions come with a higher minor version.
fn is_spoken(theirs: &Version, ours: &Version) -> bool {
    theirs.major == ours.major && theirs.minor <= ours.minor
}

fn rebuild() -> String {
    format!("build it with the folder `wit` of this worker's release (version {VERSION})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(imports: &[&str], exports: &[&str]) -> Outline {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Outline { imports: owned(imports), exports: owned(exports) }
    }

    #[test]
    fn the_version_is_that_of_the_contract() {
        let wit = include_str!("../../../../wit/world.wit");
        assert!(wit.starts_with(&format!("package freefans:plugin@{VERSION};")), "{wit}");
    }

    #[test]
    fn an_older_version_without_a_break_is_spoken() {
        let ours = Version::new(1, 2, 0);
        for (theirs, expected) in
            [("1.0.0", true), ("1.2.9", true), ("1.3.0", false), ("2.0.0", false)]
        {
            assert_eq!(is_spoken(&theirs.parse().unwrap(), &ours), expected, "{theirs}");
        }
    }

    #[test]
    fn a_component_of_another_version_is_refused_with_both() {
        let imports =
            ["freefans:plugin/log@1.0.0", "freefans:plugin/types@1.0.7", "wasi:io/poll@0.2.6"];
        assert_eq!(check(&outline(&imports, &EXPORTS)), Ok(()));
        for (name, part) in [
            (
                "freefans:plugin/types@2.0.0",
                "built for freefans:plugin@2.0.0, and this worker speaks 1.0.0",
            ),
            ("freefans:plugin/types@1.1.0", "or update the worker"),
            ("freefans:plugin/types@0.9.0", "(version 1.0.0)"),
            ("freefans:plugin/types", "without a version"),
        ] {
            let told = check(&outline(&[name], &EXPORTS)).unwrap_err();
            assert!(told.contains(part) && told.contains(name), "{told}");
            assert!(check(&outline(&[], &[&EXPORTS[..], &[name]].concat())).is_err());
        }
        let told = check(&outline(&imports, &["describe", "handle"])).unwrap_err();
        assert!(told.starts_with("it does not export `init`"), "{told}");
    }
}
