//! `cargo xtask build-plugins`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::target_dir;
use crate::toolchain::{TARGET, Toolchain};

/// What is built when nothing is named: what the product ships, and what only tests use.
const ALL: &[&str] = &["search", "content", "probe"];
const TEST_GUESTS: &[&str] = &["probe"];
/// What has a marked twin.
const MARKED: &[&str] = &["search", "probe"];
/// `\0asm`, then the version and layer of a component.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// Builds the plugins into `plugins/NAME.wasm` and the test guests into `target/guests/NAME.wasm`.
///
/// A component is written beside its place and renamed into it, so that a worker that watches the folder never loads
/// half a file.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BuildPlugins {
    /// Build only these; all of them when none is named.
    names: Vec<String>,
    /// Put the components here instead.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Builds marked twins of `search` and `probe`, told apart by their version, into `target/guests/marked`: what
    /// the tests swap in.
    #[arg(long)]
    pub(crate) marked: bool,
}

impl BuildPlugins {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        let names = self.selected()?;
        println!("building {} for {TARGET}", names.join(", "));
        let toolchain = Toolchain::find(root)?;
        println!("  with {}", toolchain.describe());
        let target = target_dir(root).join("guest");
        let mut cargo = toolchain.cargo(root)?;
        cargo.env("CARGO_TARGET_DIR", &target);
        for name in &names {
            cargo.args(["--package", name]);
            if self.marked {
                cargo.arg("--features").arg(format!("{name}/marked"));
            }
        }
        let status = cargo.status().context("starting cargo")?;
        ensure!(status.success(), "the guests do not build");
        for name in &names {
            let built = target.join(TARGET).join("guest").join(format!("{name}.wasm"));
            let component =
                std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
            ensure!(
                component.starts_with(COMPONENT_MAGIC),
                "{} is not a component: the linker made a plain module",
                built.display()
            );
            let place = self.folder(root, name).join(format!("{name}.wasm"));
            let changed = replace_file(&place, &component)
                .with_context(|| format!("writing {}", place.display()))?;
            println!(
                "  {name}: {} KiB, sha256 {}, {}",
                component.len() >> 10,
                short_digest(&component),
                if changed { "new" } else { "unchanged" }
            );
        }
        println!("built in {:.1} s", started.elapsed().as_secs_f32());
        Ok(())
    }

    fn selected(&self) -> anyhow::Result<Vec<&str>> {
        let all = || if self.marked { MARKED } else { ALL }.iter().copied();
        if self.names.is_empty() {
            return Ok(all().collect());
        }
        for name in &self.names {
            if !all().any(|known| known == name) {
                bail!(
                    "there is no plugin `{name}`; there are {}",
                    all().collect::<Vec<_>>().join(", ")
                );
            }
        }
        Ok(self.names.iter().map(String::as_str).collect())
    }

    fn folder(&self, root: &Path, name: &str) -> PathBuf {
        match &self.out {
            Some(folder) => folder.clone(),
            None if self.marked => target_dir(root).join("guests").join("marked"),
            None if TEST_GUESTS.contains(&name) => target_dir(root).join("guests"),
            None => root.join("plugins"),
        }
    }
}

/// Writes `bytes` to `place` in one rename; false when they stand there already.
fn replace_file(place: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    if std::fs::read(place).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    let folder = place.parent().context("a file lies in a folder")?;
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".component-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(readable)?;
    file.persist(place)?;
    Ok(true)
}

fn short_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}
