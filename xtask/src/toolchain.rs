//! Finds or makes a toolchain that builds WebAssembly components.
//!
//! Three ways, in this order: the target is installed; rustup adds it; on Debian, the standard library is built from
//! source with Debian's compiler and the C library of a later release.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::debian;

pub(crate) const TARGET: &str = "wasm32-wasip2";
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// Debian 12's own wasi-libc has no wasip2 part; this release's has, and holds only archives and headers.
const WASI_LIBC_SUITE: &str = "forky";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Flags for every compiler call; a path in one may have any character.
pub(crate) const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";
/// What divides them.
pub(crate) const FLAGS_END: &str = "\x1f";

/// A way to build guests.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The compiler in use has the target.
    Installed { how: &'static str },
    /// The standard library is built from source.
    FromSource { linkers: PathBuf, wasi_libc: PathBuf },
}

impl Toolchain {
    /// The first way that works here.
    pub(crate) fn find(root: &Path) -> anyhow::Result<Self> {
        if installed(root) {
            return Ok(Self::Installed { how: "the installed target" });
        }
        println!("  the target {TARGET} is not installed; asking rustup for it");
        let rustup = match add_with_rustup(root) {
            Ok(()) if installed(root) => {
                return Ok(Self::Installed { how: "the target rustup added" });
            }
            Ok(()) => "rustup said yes, but the target is still not there".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        println!("  rustup cannot add it; building the standard library from Debian's sources");
        from_source(root).map_err(|debian| {
            anyhow::anyhow!(
                "no way to build WebAssembly components on this machine:\n  \
                 1. installed target: `rustc --print target-libdir --target {TARGET}` names no standard library\n  \
                 2. `rustup target add {TARGET}`: {rustup}\n  \
                 3. Debian's rustc-web, rust-web-src and wasi-libc: {debian:#}\n\
                 Any one of them is enough."
            )
        })
    }

    /// How it works, for the user.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Installed { how } => how.to_string(),
            Self::FromSource { .. } => "the standard library from Debian's sources".to_owned(),
        }
    }

    /// What a build outside this repository needs in its environment, for instance of a plugin that `worker plugins new` made.
    pub(crate) fn environment(&self) -> anyhow::Result<Vec<(&'static str, OsString)>> {
        let Self::FromSource { linkers, .. } = self else { return Ok(Vec::new()) };
        Ok(vec![
            ("RUSTC", SYSTEM_RUSTC.into()),
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort".into()),
            ("CARGO_TARGET_WASM32_WASIP2_LINKER", linkers.join("wasm-component-ld").into()),
            ("PATH", path_with(&[linkers, &linkers.join("gcc-ld")])?),
            (FLAGS, self.flags().join(OsStr::new(FLAGS_END))),
        ])
    }

    /// Flags of the compiler for the guests.
    fn flags(&self) -> Vec<OsString> {
        let Self::FromSource { wasi_libc, .. } = self else { return Vec::new() };
        let mut native = OsString::from("-Lnative=");
        native.push(wasi_libc);
        vec!["-Clink-self-contained=no".into(), native]
    }

    /// A cargo call for the guests, with everything of the calling cargo removed.
    pub(crate) fn cargo(&self, root: &Path) -> anyhow::Result<Command> {
        self.cargo_with_home(root, &cargo_home()?)
    }

    /// As [`Toolchain::cargo`], with another home of cargo than the caller's.
    pub(crate) fn cargo_with_home(&self, root: &Path, home: &Path) -> anyhow::Result<Command> {
        let mut command = clean_cargo(root);
        command.args(["build", "--locked", "--profile", "guest", "--target", TARGET]);
        let mut flags = without_paths(root, home);
        flags.extend(self.flags());
        command.envs(self.environment()?);
        command.env("CARGO_HOME", home).env(FLAGS, flags.join(OsStr::new(FLAGS_END)));
        Ok(command)
    }
}

/// Cargo as a user would call it: what our own caller set for itself would change the guests' build.
pub(crate) fn clean_cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let from_cargo = text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST")
            || text.starts_with("CARGO_BIN_");
        let changes_flags =
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC", "RUSTC_WRAPPER", "CARGO"];
        if from_cargo || changes_flags.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command
}

/// Where cargo keeps the sources of other crates.
pub(crate) fn cargo_home() -> anyhow::Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        return Ok(home.into());
    }
    Ok(PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cargo"))
}

/// Flags that keep the paths of this machine out of what is built: two machines then build the same, and nobody reads a user's
/// name in it. A panic names its file as `/src/…` or `/crates/…`.
pub(crate) fn without_paths(root: &Path, home: &Path) -> Vec<OsString> {
    let renamed = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flag
    };
    vec![renamed(root, "/src"), renamed(&home.join("registry/src"), "/crates")]
}

fn path_with(front: &[&Path]) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let front = front.iter().map(|folder| (*folder).to_owned());
    std::env::join_paths(front.chain(std::env::split_paths(&path))).context("building PATH")
}

fn installed(root: &Path) -> bool {
    let printed = rustc(root).args(["--print", "target-libdir", "--target", TARGET]).output();
    let Ok(printed) = printed else { return false };
    let folder = String::from_utf8_lossy(&printed.stdout);
    let Ok(entries) = std::fs::read_dir(folder.trim()) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd"))
}

fn rustc(root: &Path) -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(root).env_remove("RUSTFLAGS");
    command
}

fn add_with_rustup(root: &Path) -> anyhow::Result<()> {
    ensure!(debian::find("rustup").is_some(), "there is no rustup");
    let added = Command::new("rustup")
        .current_dir(root)
        .args(["target", "add", TARGET])
        .stdin(Stdio::null())
        .output()
        .context("starting rustup")?;
    if !added.status.success() {
        let said = String::from_utf8_lossy(&added.stderr);
        // Behind its error stand hints and, at times, a backtrace.
        let reason = said.lines().find_map(|line| line.strip_prefix("error:"));
        bail!("{}", reason.unwrap_or("it failed").trim());
    }
    Ok(())
}

fn from_source(root: &Path) -> anyhow::Result<Toolchain> {
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/Cargo.toml");
    if !new_enough(&system_rustc()) || !sources.exists() {
        debian::install(&["rustc-web", "rust-web-src"])?;
    }
    ensure!(sources.exists(), "rust-web-src did not bring {}", sources.display());
    let version = system_rustc();
    ensure!(
        new_enough(&version),
        "Debian's compiler is `{}`, and the plugins need {} or newer",
        version.trim(),
        env!("CARGO_PKG_RUST_VERSION")
    );
    let sysroot =
        rustc(root).args(["--print", "sysroot"]).output().context("asking for the sysroot")?;
    let host = rustc(root).arg("-vV").output().context("asking for the host")?;
    let host = String::from_utf8_lossy(&host.stdout);
    let host =
        host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let linkers = Path::new(String::from_utf8_lossy(&sysroot.stdout).trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin");
    ensure!(
        linkers.join("wasm-component-ld").is_file(),
        "the toolchain brings no wasm-component-ld in {}",
        linkers.display()
    );
    Ok(Toolchain::FromSource { linkers, wasi_libc: wasi_libc()? })
}

/// What Debian's compiler says of itself; nothing when it is not there.
fn system_rustc() -> String {
    let printed = Command::new(SYSTEM_RUSTC).arg("--version").output();
    printed.map(|printed| String::from_utf8_lossy(&printed.stdout).into_owned()).unwrap_or_default()
}

/// Whether `rustc 1.96.0 (…)` is at least the version that our manifests ask for.
fn new_enough(version: &str) -> bool {
    let number = |text: &str| -> Option<(u32, u32)> {
        let (major, rest) = text.split_once('.')?;
        Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
    };
    let found = version.split_whitespace().nth(1).and_then(number);
    found.zip(number(env!("CARGO_PKG_RUST_VERSION"))).is_some_and(|(found, asked)| asked <= found)
}

/// The C library for the target, from a later Debian release, unpacked into a cache of its own: the system's package
/// sources stay as they are.
fn wasi_libc() -> anyhow::Result<PathBuf> {
    let cache = cache_dir()?.join("wasi-libc");
    let library = cache.join("root/usr/lib").join(TARGET);
    if library.join("libc.a").is_file() {
        return Ok(library);
    }
    ensure!(debian::find("apt-get").is_some(), "this machine has no apt");
    println!("  fetching wasi-libc from Debian {WASI_LIBC_SUITE}");
    let mirror = mirror()?;
    for folder in ["lists/partial", "archives/partial", "root"] {
        std::fs::create_dir_all(cache.join(folder)).context("making the cache")?;
    }
    let sources = cache.join("sources.list");
    let line = format!("deb [signed-by={KEYRING}] {mirror} {WASI_LIBC_SUITE} main\n");
    std::fs::write(&sources, line).context("writing the private package source")?;
    let apt = |arguments: &[&str]| -> anyhow::Result<()> {
        let status = Command::new("apt-get")
            .current_dir(&cache)
            .arg("-qq")
            .args(["-o", &format!("Dir::Etc::sourcelist={}", sources.display())])
            .args(["-o", "Dir::Etc::sourceparts=/dev/null"])
            .args(["-o", &format!("Dir::State::lists={}", cache.join("lists").display())])
            .args(["-o", &format!("Dir::Cache={}", cache.display())])
            .args(["-o", "APT::Sandbox::User=root"])
            .args(["-o", "Acquire::Languages=none"])
            .args(arguments)
            .stdin(Stdio::null())
            .status()
            .context("starting apt-get")?;
        ensure!(status.success(), "`apt-get {}` failed", arguments.join(" "));
        Ok(())
    };
    apt(&["update"])?;
    apt(&["download", "wasi-libc"])?;
    let package = std::fs::read_dir(&cache)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .context("apt-get downloaded nothing")?;
    let unpacked = Command::new("dpkg").arg("-x").arg(&package).arg(cache.join("root")).status();
    ensure!(unpacked.context("starting dpkg")?.success(), "dpkg cannot unpack wasi-libc");
    ensure!(library.join("libc.a").is_file(), "wasi-libc has no {TARGET} part");
    Ok(library)
}

/// The mirror that the machine's own package sources use.
fn mirror() -> anyhow::Result<String> {
    let targets = || {
        Command::new("apt-get")
            .args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"])
            .output()
            .context("asking apt for its sources")
    };
    let printed = targets()?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let address = text.lines().filter_map(|line| line.split_once(' ')).find(|(_, release)| {
        !release.contains("security")
            && !release.contains("backports")
            && !release.contains("updates")
    });
    Ok(address.context("apt has no package sources")?.0.to_owned())
}

fn cache_dir() -> anyhow::Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("freefans-workers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_compiler_is_not_taken() {
        assert!(new_enough("rustc 1.96.0 (ac68faa20 2026-05-25)"));
        assert!(new_enough("rustc 2.0.0"));
        assert!(!new_enough("rustc 1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)"));
        assert!(!new_enough(""));
    }
}
