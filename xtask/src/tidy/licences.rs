//! The licences of everything we build with, against the list in deny.toml.
//!
//! cargo-deny checks them too and more thoroughly; this needs nothing installed.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::violation::Violation;
use crate::workspace::Workspace;

pub(super) fn check(root: &Path, workspace: &Workspace) -> anyhow::Result<Vec<Violation>> {
    let deny = fs::read_to_string(root.join("deny.toml")).context("reading deny.toml")?;
    let allowed = allowed(&deny).context("deny.toml has no `allow = […]` under [licenses]")?;
    let foreign = workspace.packages().filter(|package| !package.member);
    let violations = foreign.filter_map(|package| {
        let license = package.license.as_deref().unwrap_or("none in its manifest");
        if satisfied(license, &|name| allowed.iter().any(|allowed| allowed == name)) {
            return None;
        }
        Some(Violation::new(
            "deny.toml",
            format!("{} {} has the licence `{license}`", package.name, package.version),
            "do without the crate, or read the licence and add it to the list",
        ))
    });
    Ok(violations.collect())
}

/// The strings of `allow = […]` in the section `[licenses]`.
fn allowed(deny: &str) -> Option<Vec<String>> {
    let (_, section) = deny.split_once("[licenses]")?;
    let (_, list) = section.split_once("allow = [")?;
    let (list, _) = list.split_once(']')?;
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries =
        lines.flat_map(|line| line.split(',')).map(|entry| entry.trim().trim_matches('"'));
    Some(entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect())
}

/// Whether an SPDX expression can be met with allowed licences only. `/` is the old form of `OR`.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// `all OR all OR …`
fn any(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        // Not `||`: the right side must be read in any case.
        met |= all(words, allowed);
    }
    met
}

/// `one AND one AND …`, which binds tighter than `OR`.
fn all(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

/// A name, a name `WITH` an exception, or an expression in parentheses.
fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    match words.next() {
        None => false,
        Some("(") => {
            let met = any(words, allowed);
            words.next_if_eq(&")").is_some() && met
        }
        Some(name) => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
            None => allowed(name),
            Some(exception) => allowed(&format!("{name} WITH {exception}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: bool) {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
        assert_eq!(satisfied(expression, &|name| allowed.contains(&name)), expected);
    }

    #[test]
    fn one_side_of_or_is_enough() {
        check("MIT", true);
        check("GPL-3.0 OR MIT", true);
        check("MIT/GPL-3.0", true);
        check("GPL-3.0 OR LGPL-2.1", false);
    }

    #[test]
    fn and_needs_both_and_binds_tighter() {
        check("MIT AND ISC", true);
        check("MIT AND GPL-3.0", false);
        check("(GPL-3.0 OR MIT) AND ISC", true);
        check("GPL-3.0 OR MIT AND ISC", true);
        check("(GPL-3.0 OR MIT) AND BSD-3-Clause", false);
    }

    #[test]
    fn an_exception_is_part_of_the_name() {
        check("Apache-2.0 WITH LLVM-exception", true);
        check("Apache-2.0", false);
        check("MIT WITH LLVM-exception", false);
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        check("", false);
        check("MIT ISC", false);
        check("(MIT", false);
        check("none in its manifest", false);
    }

    #[test]
    fn the_list_is_read_with_its_comments() {
        let deny =
            "[graph]\nx = []\n[licenses]\n# why\nallow = [\n  \"MIT\", # all\n  \"ISC\",\n]\n";
        assert_eq!(allowed(deny).unwrap(), ["MIT", "ISC"]);
        assert_eq!(allowed("[bans]\n"), None);
    }
}
