//! Which crate may depend on which. What only tests need is not looked at.

use crate::violation::Violation;
use crate::workspace::{Package, Workspace};

/// What a crate must never reach, directly or through others; `*` stands for any ending.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "queue",
        &["wasmtime*", "teloxide*", "reqwest", "ops", "host", "coordinator", "chat-commands"],
    ),
    ("chat-commands", &["wasmtime*", "teloxide*", "ops", "host", "coordinator"]),
    ("host", &["teloxide*", "coordinator"]),
    ("coordinator", &["wasmtime*", "host"]),
    ("ops", &["queue", "redis", "wasmtime*", "teloxide*"]),
];

/// They start the others as programs and link none of them.
const STANDALONE: &[&str] = &["xtask", "simulator"];
/// No part of the product: they start servers.
const FOR_TESTS: &[&str] = &["test-kit", "services"];

/// All that a guest may name in its manifest. A new one here must be small, pure and without I/O:
/// it ends up in every instance.
const GUEST_DEPENDENCIES: &[&str] = &[
    "csv",
    "freefans-plugin",
    "kit",
    "rapidfuzz",
    "schemars",
    "serde",
    "serde_json",
    "unicode-normalization",
    "wasip2",
    "wit-bindgen",
];

pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let members: Vec<_> = workspace.members().map(|member| member.name.as_str()).collect();
    workspace.members().flat_map(|package| violations(workspace, package, &members)).collect()
}

fn violations(workspace: &Workspace, package: &Package, members: &[&str]) -> Vec<Violation> {
    let name = package.name.as_str();
    if is_guest(package) {
        return not_for_guests(workspace, package);
    }
    let forbidden: Vec<&str> = if STANDALONE.contains(&name) {
        let may_know = |member: &str| member == name || FOR_TESTS.contains(&member);
        members.iter().copied().filter(|member| !may_know(member)).collect()
    } else {
        let rows = FORBIDDEN.iter().filter(|(crate_name, _)| *crate_name == name);
        rows.flat_map(|(_, forbidden)| forbidden.iter().copied()).collect()
    };
    let ways = forbidden.iter().filter_map(|pattern| {
        let way = workspace.way_to(package, |found| matches(pattern, found))?;
        Some(Violation::new(
            manifest(package),
            format!("`{name}` must not know `{pattern}`, and does: {name} → {}", way.join(" → ")),
            "move what needs it into the crate that may know it (ARCHITECTURE.md, code map)",
        ))
    });
    ways.collect()
}

fn not_for_guests(workspace: &Workspace, package: &Package) -> Vec<Violation> {
    let direct = workspace
        .direct(package)
        .filter(|dependency| !GUEST_DEPENDENCIES.contains(&dependency.name.as_str()));
    let violations = direct.map(|dependency| {
        Violation::new(
            manifest(package),
            format!("guest `{}` depends on `{}`", package.name, dependency.name),
            "do without it, or argue for it in GUEST_DEPENDENCIES of xtask/src/tidy/arrows.rs",
        )
    });
    violations.collect()
}

fn is_guest(package: &Package) -> bool {
    let mut folders = package.manifest.iter().map(|part| part.to_string_lossy());
    folders.any(|folder| folder == "plugins" || folder == "guests")
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

fn manifest(package: &Package) -> String {
    format!("`{}`'s Cargo.toml", package.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::workspace;

    #[test]
    fn a_forbidden_crate_is_found_through_others() {
        let workspace = workspace(
            &[
                ("queue", &["middle"], &[]),
                ("middle", &["wasmtime-wasi"], &[]),
                ("wasmtime-wasi", &[], &[]),
            ],
            &["queue"],
        );
        let violations = check(&workspace);
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].what.ends_with("queue → middle → wasmtime-wasi"));
    }

    #[test]
    fn tests_and_allowed_arrows_break_no_rule() {
        let workspace = workspace(
            &[
                ("coordinator", &["queue"], &["simulator"]),
                ("queue", &[], &[]),
                ("simulator", &[], &[]),
            ],
            &["coordinator", "queue", "simulator"],
        );
        assert_eq!(check(&workspace), []);
    }

    #[test]
    fn the_simulator_stands_alone() {
        let rows: &[(&str, &[&str], &[&str])] = &[("simulator", &["ops"], &[]), ("ops", &[], &[])];
        assert_eq!(check(&workspace(rows, &["simulator", "ops"])).len(), 1);
    }

    #[test]
    fn guests_take_only_what_is_listed() {
        let rows: &[(&str, &[&str], &[&str])] = &[
            ("plugins/search", &["serde", "tokio"], &[]),
            ("serde", &[], &[]),
            ("tokio", &[], &[]),
        ];
        let violations = check(&workspace(rows, &["plugins/search"]));
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].what.contains("`tokio`"));
    }
}
