//! `cargo xtask build-plugins`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::digest;
use crate::paths::target_dir;
use crate::toolchain::{TARGET, Toolchain};
use anyhow::{Context, bail, ensure};

/// Plugins that the product ships.
pub(crate) const SHIPPED: &[&str] = &["search", "content"];
/// Examples of how to write a plugin. They are not shipped: readers copy them into a running worker's folder.
pub(crate) const EXAMPLES: &[&str] = &["dice"];
/// Plugins for tests and benches only.
const TEST_GUESTS: &[&str] = &["gauge", "probe"];
/// Plugins with a marked build, which has another version and shows a star. Tests swap it in.
const MARKED: &[&str] = &["search", "probe"];
/// `\0asm`, then the version and layer of a component.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// Builds the plugins into `plugins/NAME.wasm`, and the examples with their settings into `target/examples`.
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
    /// Also build what the tests need: the gauge, the probe, and marked builds of `search` and `probe`.
    #[arg(long, conflicts_with_all = ["names", "out"])]
    tests: bool,
}

/// A set of guests that one cargo call builds.
struct Batch<'a> {
    names: Vec<&'a str>,
    marked: bool,
    folder: PathBuf,
}

impl BuildPlugins {
    /// The shipped plugins and everything that the tests need.
    pub(crate) fn for_tests() -> Self {
        Self { tests: true, ..Self::default() }
    }

    /// One shipped plugin, into a folder of its own.
    pub(crate) fn of(name: &str, folder: &Path) -> Self {
        Self { names: vec![name.to_owned()], out: Some(folder.to_owned()), tests: false }
    }

    /// All shipped plugins, into another folder than the repository's.
    pub(crate) fn into_folder(folder: &Path) -> Self {
        let names = SHIPPED.iter().map(|name| (*name).to_owned()).collect();
        Self { names, out: Some(folder.to_owned()), tests: false }
    }

    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        let batches = self.batches(root)?;
        println!("building plugins for {TARGET}");
        let toolchain = Toolchain::find(root)?;
        println!("  with {}", toolchain.describe());
        for batch in &batches {
            batch.build(root, &toolchain)?;
        }
        println!("built in {:.1} s", started.elapsed().as_secs_f32());
        Ok(())
    }

    fn batches(&self, root: &Path) -> anyhow::Result<Vec<Batch<'_>>> {
        let all = [SHIPPED, EXAMPLES].concat();
        for name in &self.names {
            if !all.contains(&name.as_str()) {
                bail!("there is no plugin `{name}`; there are {}", all.join(", "));
            }
        }
        let wanted = |names: &[&'static str]| -> Vec<&str> {
            let named =
                |name: &&&str| self.names.is_empty() || self.names.iter().any(|one| one == **name);
            names.iter().filter(named).copied().collect()
        };
        let into = |folder: PathBuf| self.out.clone().unwrap_or(folder);
        let shipped = (wanted(SHIPPED), into(root.join("plugins")));
        let examples = (wanted(EXAMPLES), into(target_dir(root).join("examples")));
        let batches = [shipped, examples].into_iter().filter(|(names, _)| !names.is_empty());
        let mut batches: Vec<Batch<'_>> =
            batches.map(|(names, folder)| Batch { names, marked: false, folder }).collect();
        if self.tests {
            let guests = target_dir(root).join("guests");
            let names = MARKED.to_vec();
            let folder = guests.join("marked");
            batches.push(Batch { names: TEST_GUESTS.to_vec(), marked: false, folder: guests });
            batches.push(Batch { names, marked: true, folder });
        }
        Ok(batches)
    }
}

impl Batch<'_> {
    fn build(&self, root: &Path, toolchain: &Toolchain) -> anyhow::Result<()> {
        // Marked builds have the same file names, so the two kinds would replace each other.
        let target = target_dir(root).join(if self.marked { "guest-marked" } else { "guest" });
        let mut cargo = toolchain.cargo(root)?;
        cargo.env("CARGO_TARGET_DIR", &target);
        for name in &self.names {
            cargo.args(["--package", name]);
            if self.marked {
                cargo.arg("--features").arg(format!("{name}/marked"));
            }
        }
        let status = cargo.status().context("starting cargo")?;
        ensure!(status.success(), "the guests do not build");
        for name in &self.names {
            let built = target.join(TARGET).join("guest").join(format!("{name}.wasm"));
            let component =
                std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
            ensure!(
                component.starts_with(COMPONENT_MAGIC),
                "{} is not a component: the linker made a plain module",
                built.display()
            );
            let path = self.folder.join(format!("{name}.wasm"));
            let changed = replace_file(&path, &component)
                .with_context(|| format!("writing {}", path.display()))?;
            self.put_settings(root, name)?;
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

    /// Copies an example's settings next to it, so that both can be copied into a worker's folder.
    fn put_settings(&self, root: &Path, name: &str) -> anyhow::Result<()> {
        if !EXAMPLES.contains(&name) {
            return Ok(());
        }
        let settings = Path::new("plugins/examples").join(name).with_extension("toml");
        let text = std::fs::read(root.join(&settings))
            .with_context(|| format!("reading {}", settings.display()))?;
        let path = self.folder.join(format!("{name}.toml"));
        replace_file(&path, &text).with_context(|| format!("writing {}", path.display()))?;
        Ok(())
    }
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
