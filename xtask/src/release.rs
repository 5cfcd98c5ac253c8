//! `cargo xtask release`: an archive with which a person can start without a toolchain.
//!
//! It holds the programs, the plugins with their settings and sample data, completions, man pages, the documents, a list of
//! components (SBOM) for each program and plugin, and the licences of other people's code. Beside it stand its checksum and,
//! with a key, signatures.

mod archive;
mod components;
mod contents;
mod glibc;
mod licences;
mod sbom;
mod signature;
mod stage;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

pub(crate) use self::archive::unpack;
pub(crate) use self::contents::PROGRAMS;
use self::contents::SUMS;
use self::signature::Key;
use crate::build_plugins::BuildPlugins;
use crate::command::{capture, run};
use crate::demo;
use crate::digest;
use crate::paths::target_dir;
use crate::stop::Stop;
use crate::system::Place;
use crate::toolchain::{FLAGS, FLAGS_END, cargo_home, clean_cargo, without_paths};

/// Makes the archive of a release, with checksums, lists of components and, with a key, signatures.
#[derive(Debug, clap::Args)]
pub(crate) struct Release {
    /// The folder for the files. It must be empty or absent.
    #[arg(long)]
    out: PathBuf,
    /// `dev` is for trying the command: quick to build, slow to run.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Sign with this secret key, in minisign's format (`worker plugins keygen`). Without one nothing is signed.
    #[arg(long, value_name = "KEYFILE")]
    key: Option<PathBuf>,
    /// A file with the key's password in its first line. Without one the key has no password.
    #[arg(long, value_name = "FILE", requires = "key")]
    password_file: Option<PathBuf>,
    /// Do not start what is in the archive.
    #[arg(long)]
    untried: bool,
}

impl Release {
    /// Makes an archive of a development build, holds a conversation with what is in it, and throws it away.
    pub(crate) fn tried(root: &Path) -> anyhow::Result<()> {
        let out = tempfile::tempdir().context("making a folder")?;
        let release = Self {
            out: out.path().to_owned(),
            profile: "dev".to_owned(),
            key: None,
            password_file: None,
            untried: false,
        };
        release.run(root)
    }

    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let is_empty = fs::read_dir(&self.out).map_or(true, |mut entries| entries.next().is_none());
        ensure!(is_empty, "{} is not empty", self.out.display());
        let key = Key::read(self.key.as_deref(), self.password_file.as_deref())?;
        let work = tempfile::tempdir().context("making a folder")?;
        let plugins = work.path().join("built");
        BuildPlugins::into_folder(&plugins).run(root)?;
        let programs = self.build_programs(root)?;
        for (program, _) in PROGRAMS {
            println!("{program} needs {}", glibc::check(&programs.join(program))?);
        }
        let built = stage::Built { programs: &programs, plugins: &plugins };
        let name = archive::name();
        let staged = work.path().join(&name);
        stage::fill(root, &built, &staged)?;
        sbom::write_all(root, &staged)?;
        licences::write(root, &staged)?;
        if let Some(key) = &key {
            key.sign_plugins(&staged)?;
        }
        stage::write_sums(&staged)?;
        fs::create_dir_all(&self.out).context("making the folder for the files")?;
        let archive = archive::pack(root, &staged, &self.out, self.compression())?;
        if !self.untried {
            try_it(&archive, &name, &Stop::on_signals()?)?;
        }
        let bytes = fs::read(&archive).context("reading the archive")?;
        let file = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sums = format!("{}  {file}\n", digest::hex(&bytes));
        fs::write(self.out.join(SUMS), &sums).context("writing the checksums")?;
        match &key {
            Some(key) => {
                let signature = key.sign(sums.as_bytes(), &format!("{SUMS} of {name}"))?;
                fs::write(self.out.join(format!("{SUMS}.minisig")), signature)
                    .context("writing the signature")?;
            }
            None => println!("nothing is signed: there is no --key"),
        }
        println!("{}: {} KiB\n{sums}", archive.display(), bytes.len() >> 10);
        Ok(())
    }

    /// For gzip. Programs of a development build are large.
    fn compression(&self) -> &'static str {
        if self.profile == "dev" { "--fast" } else { "--best" }
    }

    /// Builds the programs and returns their folder.
    fn build_programs(&self, root: &Path) -> anyhow::Result<PathBuf> {
        let mut cargo = clean_cargo(root);
        if self.profile == "dev" {
            // As tests build them, so that nothing is compiled twice.
            run(cargo.args(["build", "--locked", "--workspace", "--bins"]))?;
            return Ok(target_dir(root).join("debug"));
        }
        // With it a program tells scanners what it was built from (`cargo audit bin worker`).
        let is_auditable = capture(clean_cargo(root).args(["auditable", "--version"])).is_ok();
        if is_auditable {
            cargo.arg("auditable");
        } else {
            println!(
                "no list of crates in the programs: `cargo install cargo-auditable` brings it"
            );
        }
        cargo.args(["build", "--locked", "--profile", &self.profile]);
        for (_, package) in PROGRAMS {
            cargo.args(["--package", package]);
        }
        let flags = without_paths(root, &cargo_home()?);
        cargo.env(FLAGS, flags.join(OsStr::new(FLAGS_END)));
        // Apart from other builds of this profile, whose flags are others.
        let target = target_dir(root).join("archive");
        run(cargo.args(["--bins", "--target-dir"]).arg(&target))?;
        Ok(target.join(&self.profile))
    }
}

/// Unpacks the archive and holds a conversation with what is in it.
fn try_it(archive: &Path, name: &str, stop: &Stop) -> anyhow::Result<()> {
    println!("trying the archive");
    let place = tempfile::tempdir().context("making a folder")?;
    unpack(archive, place.path())?;
    let folder = place.path().join(name);
    demo::play_once(Place { programs: folder.join("bin"), folder }, stop)
}
