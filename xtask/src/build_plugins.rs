//! `cargo xtask build-plugins`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::digest;
use crate::guests::{Guest, Kind};
use crate::paths::target_dir;
use crate::toolchain::{TARGET, Toolchain};
use anyhow::{Context, bail, ensure};

/// `\0asm`, then the version and layer of a component.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// Builds the plugins of the workspace: the shipped ones into `plugins/NAME.wasm`, the examples with their settings into
/// `target/examples`, and every other member that is a plugin into its own folder.
///
/// A component is written to a temporary file and renamed, so that a worker that watches the folder never loads half a
/// file.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BuildPlugins {
    /// Build only these; by default all.
    names: Vec<String>,
    /// Put the components here instead.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Also build what the tests need: the gauge, the probe, and marked builds.
    #[arg(long, conflicts_with_all = ["names", "out"])]
    tests: bool,
    /// Only the shipped ones.
    #[arg(skip)]
    shipped: bool,
}

/// A set of guests that one cargo call builds.
struct Batch<'a> {
    guests: Vec<&'a Guest>,
    marked: bool,
    /// Where the components are put; by default each in its place.
    folder: Option<PathBuf>,
}

impl BuildPlugins {
    /// The shipped plugins and everything that the tests need.
    pub(crate) fn for_tests() -> Self {
        Self { tests: true, ..Self::default() }
    }

    /// One shipped plugin, into a folder of its own.
    pub(crate) fn of(name: &str, folder: &Path) -> Self {
        Self { names: vec![name.to_owned()], out: Some(folder.to_owned()), ..Self::default() }
    }

    /// All shipped plugins, into another folder than the repository's.
    pub(crate) fn into_folder(folder: &Path) -> Self {
        Self { out: Some(folder.to_owned()), shipped: true, ..Self::default() }
    }

    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        let guests = Guest::all(root)?;
        let batches = self.batches(root, &guests)?;
        println!("building plugins for {TARGET}");
        let toolchain = Toolchain::find(root)?;
        println!("  with {}", toolchain.describe());
        for batch in &batches {
            batch.build(root, &toolchain)?;
        }
        println!("built in {:.1} s", started.elapsed().as_secs_f32());
        Ok(())
    }

    fn batches<'a>(&self, root: &Path, guests: &'a [Guest]) -> anyhow::Result<Vec<Batch<'a>>> {
        let offered = |guest: &Guest| guest.kind != Kind::Test;
        for name in &self.names {
            if !guests.iter().any(|guest| offered(guest) && guest.name == *name) {
                let all: Vec<&str> = guests
                    .iter()
                    .filter(|guest| offered(guest))
                    .map(|guest| guest.name.as_str())
                    .collect();
                bail!(
                    "there is no plugin `{name}` among the workspace's members; there are {}",
                    all.join(", ")
                );
            }
        }
        let of_kind = |kind: Kind| -> Vec<&Guest> {
            let named = |guest: &&Guest| self.names.is_empty() || self.names.contains(&guest.name);
            guests.iter().filter(|guest| guest.kind == kind).filter(named).collect()
        };
        // What is built together decides on the features of shared crates, so each kind is built by itself.
        let kinds: &[Kind] = match (self.shipped, self.tests) {
            (true, _) => &[Kind::Shipped],
            (false, true) => &[Kind::Shipped, Kind::Example, Kind::Own, Kind::Test],
            (false, false) => &[Kind::Shipped, Kind::Example, Kind::Own],
        };
        let batch = |guests| Batch { guests, marked: false, folder: self.out.clone() };
        let mut batches: Vec<Batch<'_>> = kinds.iter().map(|kind| batch(of_kind(*kind))).collect();
        if self.tests {
            let guests = guests.iter().filter(|guest| guest.has_marked).collect();
            let folder = Some(target_dir(root).join("guests/marked"));
            batches.push(Batch { guests, marked: true, folder });
        }
        batches.retain(|batch| !batch.guests.is_empty());
        Ok(batches)
    }
}

impl Batch<'_> {
    fn build(&self, root: &Path, toolchain: &Toolchain) -> anyhow::Result<()> {
        // Marked builds have the same file names, so the two kinds would replace each other.
        let target = target_dir(root).join(if self.marked { "guest-marked" } else { "guest" });
        let mut cargo = toolchain.cargo(root)?;
        cargo.env("CARGO_TARGET_DIR", &target);
        for guest in &self.guests {
            cargo.args(["--package", &guest.name]);
            if self.marked {
                cargo.arg("--features").arg(format!("{}/marked", guest.name));
            }
        }
        let status = cargo.status().context("starting cargo")?;
        ensure!(status.success(), "the guests do not build");
        for guest in &self.guests {
            let name = &guest.name;
            let built = target.join(TARGET).join("guest").join(guest.built());
            let component =
                std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
            ensure!(
                component.starts_with(COMPONENT_MAGIC),
                "{} is not a component: the linker made a plain module",
                built.display()
            );
            let folder = self.folder.clone().unwrap_or_else(|| guest.place(root));
            let path = folder.join(format!("{name}.wasm"));
            let changed = replace_file(&path, &component)
                .with_context(|| format!("writing {}", path.display()))?;
            if let Some(settings) = guest.settings() {
                put_settings(&settings, &folder.join(format!("{name}.toml")))?;
            }
            println!(
                "  {name}{}: {} KiB, sha256 {}, {}",
                if self.marked { " (marked)" } else { "" },
                component.len() >> 10,
                short_digest(&component),
                if changed { "new" } else { "unchanged" }
            );
        }
        Ok(())
    }
}

/// Copies an example's settings next to it, so that both can be copied into a worker's folder.
fn put_settings(from: &Path, to: &Path) -> anyhow::Result<()> {
    let text = std::fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    replace_file(to, &text).with_context(|| format!("writing {}", to.display()))?;
    Ok(())
}

/// Replaces the file by `bytes` with a rename; false when it has them already.
fn replace_file(path: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    if std::fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    let folder = path.parent().context("a file lies in a folder")?;
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".component-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(readable)?;
    file.persist(path)?;
    Ok(true)
}

fn short_digest(bytes: &[u8]) -> String {
    let mut digest = digest::hex(bytes);
    digest.truncate(12);
    digest
}
