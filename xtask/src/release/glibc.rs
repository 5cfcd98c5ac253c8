//! Which C library a program needs: that of Debian 12 has to be enough.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::command::capture;

/// Debian 12's.
const NEWEST: Version = Version(2, 36);

/// A version of glibc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "glibc {}.{}", self.0, self.1)
    }
}

/// What the program needs; an error when that is too new.
pub(super) fn check(program: &Path) -> anyhow::Result<Version> {
    let mut objdump = Command::new("objdump");
    let symbols = capture(objdump.arg("--dynamic-syms").arg(program))
        .context("asking for the program's symbols (objdump is in Debian's package binutils)")?;
    let needed = newest(&symbols)
        .with_context(|| format!("{} names no symbol of glibc", program.display()))?;
    ensure!(
        needed <= NEWEST,
        "{} needs {needed}, and {NEWEST} is the newest that Debian 12 has: build on Debian 12",
        program.display()
    );
    Ok(needed)
}

/// The newest version in objdump's table.
fn newest(symbols: &str) -> Option<Version> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let end =
            rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(rest.len());
        let mut numbers = rest.get(..end)?.split('.').map(str::parse);
        Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_all_symbols_counts() {
        let table = "0 DF *UND* 0 (GLIBC_2.9) a\n0 DF *UND* 0 (GLIBC_2.34) b\n0 (GLIBC_2.2.5) c\n0 (GLIBC_PRIVATE) d\n";
        assert_eq!(newest(table), Some(Version(2, 34)));
        assert_eq!(newest("0 DF *UND*"), None);
        let newer = [Version(2, 9), NEWEST, Version(2, 38), Version(3, 0)];
        assert!(newer.is_sorted(), "by numbers, not by letters");
    }

    #[test]
    fn the_shell_of_this_machine_is_read() {
        assert!(check(Path::new("/bin/sh")).unwrap() > Version(2, 0));
        assert!(check(Path::new("/etc/hostname")).is_err());
    }
}
