//! `worker plugins pull`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::folders;
use super::output::{Format, summary};
use crate::archive::files;
use crate::cli::flags::CacheFlag;
use crate::config::Ceilings;
use crate::digest::sha256_hex;
use crate::oci::address::Address;
use crate::oci::artefact::Artefact;
use crate::oci::{self, Fetched};
use crate::offline::Inspection;
use crate::version::name::is_plugin_name;

/// Fetches a plugin from a registry, checks it as a worker would, and puts it into a folder. Running workers load it from
/// there.
#[derive(Debug, clap::Args)]
pub(super) struct Pull {
    /// The plugin: `oci://registry/name:tag`, or `oci://registry/name@sha256:…` for exactly one version.
    address: String,
    /// The folder.
    #[arg(long = "to", default_value = "./plugins", env = "PLUGINS")]
    folder: PathBuf,
    /// The plugin's name in the folder, without `.wasm`. Default: the last part of the address' name.
    #[arg(long)]
    name: Option<String>,
    /// Takes the settings that come with the plugin, with the permissions that they grant. By default the settings in
    /// place stay, and a plugin without settings gets no permissions.
    #[arg(long)]
    with_settings: bool,
    /// Uses HTTP without TLS also for a registry on another machine. Anyone on the way can then read the password.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Pull {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let address = Address::parse(&self.address, self.insecure)?;
        let name = self.name.as_deref().unwrap_or(address.name());
        anyhow::ensure!(
            is_plugin_name(name),
            "`{name}` is no name for a plugin: it takes 1 to 64 letters, digits, `-` and `_`; give one with --name"
        );
        anyhow::ensure!(
            self.folder.is_dir(),
            "there is no folder {}; create it, or name another with --to",
            self.folder.display()
        );
        match oci::fetch(&address, Ceilings::default().component_bytes).await {
            Ok(fetched) => {
                let pinned = address.pinned(&fetched.digest).to_string();
                let pulled = self.put_in_place(name, &pinned, &fetched).await?;
                pulled.report(out, format, &fetched)
            }
            Err(error) => {
                let refusal = error.causes();
                match format {
                    Format::Json => {
                        let report = json!({"accepted": false, "refusal": refusal});
                        writeln!(out, "{report:#}")?;
                    }
                    Format::Text => {
                        write_refusal(out, &format!("{address} is not fetched:"), &refusal)?;
                    }
                }
                Ok(false)
            }
        }
    }

    /// Checks the plugin, and puts it into the folder when a worker would accept it.
    async fn put_in_place(
        &self,
        name: &str,
        pinned: &str,
        fetched: &Fetched,
    ) -> anyhow::Result<Pulled> {
        let artefact = &fetched.artefact;
        anyhow::ensure!(
            artefact.settings.is_some() || !self.with_settings,
            "{pinned} comes without settings; leave --with-settings out"
        );
        let staged = Staged::write(&self.folder, name, artefact, self.with_settings)?;
        let (_, archive) = folders::open_existing(&self.cache, &self.folder)?.unzip();
        let host = folders::offline_host(&self.cache)?.with_archive(archive);
        let inspection = host.inspect_for(&staged.component(), &self.folder).await;
        let refusal = staged.refusal(&inspection, &self.folder);
        let is_other = artefact.settings.is_some() && artefact.settings != staged.settings_in_place;
        if refusal.is_empty() {
            staged.publish(&self.folder)?;
        }
        Ok(Pulled {
            name: name.to_owned(),
            pinned: pinned.to_owned(),
            summary: summary(&inspection),
            refusal,
            settings_left_out: is_other && !self.with_settings,
        })
    }
}

/// A fetched plugin that is in place, or refused.
struct Pulled {
    name: String,
    pinned: String,
    summary: String,
    refusal: Vec<String>,
    /// The registry has settings other than those in place.
    settings_left_out: bool,
}

impl Pulled {
    /// Returns whether the plugin is in place.
    fn report(
        self,
        out: &mut impl Write,
        format: Format,
        fetched: &Fetched,
    ) -> anyhow::Result<bool> {
        let Self { name, pinned, summary, refusal, settings_left_out } = self;
        let accepted = refusal.is_empty();
        if format == Format::Json {
            let report = json!({
                "address": pinned, "digest": fetched.digest, "plugin": name, "accepted": accepted,
                "component": sha256_hex(&fetched.artefact.component), "refusal": refusal,
                "settings_left_out": fetched.artefact.settings.as_ref().filter(|_| settings_left_out),
            });
            writeln!(out, "{report:#}")?;
            return Ok(accepted);
        }
        if accepted {
            writeln!(out, "{summary}")?;
            writeln!(out, "{pinned} is in place; running workers load it within seconds")?;
        } else {
            let what = format!("{pinned} would be refused, and is not put in place:");
            write_refusal(out, &what, &refusal)?;
        }
        let offered = fetched.artefact.settings.as_deref().filter(|_| settings_left_out);
        if let Some(offered) = offered {
            writeln!(
                out,
                "it comes with settings other than those in place, which were left out:"
            )?;
            for line in offered.lines() {
                writeln!(out, "  {}", line.replace(char::is_control, " "))?;
            }
            writeln!(out, "--with-settings takes them, with the permissions that they grant")?;
        }
        Ok(accepted)
    }
}

fn write_refusal(out: &mut impl Write, what: &str, refusal: &[String]) -> io::Result<()> {
    writeln!(out, "{what}")?;
    refusal.iter().try_for_each(|reason| writeln!(out, "  {reason}"))
}

/// The folders of pulls begin with this.
const STAGED: &str = ".pull-";

/// The files of a plugin in a folder of their own, until they have been checked.
struct Staged {
    place: tempfile::TempDir,
    name: String,
    settings_in_place: Option<String>,
    new_settings: bool,
}

impl Staged {
    /// Writes the files into a new folder within `folder`, so that they can be renamed into it. Workers pass over names that
    /// begin with a dot.
    fn write(
        folder: &Path,
        name: &str,
        artefact: &Artefact,
        new_settings: bool,
    ) -> anyhow::Result<Self> {
        files::remove_abandoned(folder, STAGED)
            .with_context(|| format!("cannot tidy {}", folder.display()))?;
        let place = tempfile::Builder::new().prefix(STAGED).tempdir_in(folder);
        let place = place.with_context(|| format!("cannot write to {}", folder.display()))?;
        let settings_in_place = read_settings(&folder.join(format!("{name}.toml")))?;
        let staged = Self { place, name: name.to_owned(), settings_in_place, new_settings };
        write(&staged.component(), &artefact.component)?;
        let settings = if new_settings { &artefact.settings } else { &staged.settings_in_place };
        if let Some(settings) = settings {
            write(&staged.file("toml"), settings.as_bytes())?;
        }
        if let Some(signature) = &artefact.signature {
            write(&staged.file("wasm.minisig"), signature.as_bytes())?;
        }
        Ok(staged)
    }

    fn component(&self) -> PathBuf {
        self.file("wasm")
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.place.path().join(format!("{}.{extension}", self.name))
    }

    /// Why a worker would refuse it, with the names that the files will have.
    fn refusal(&self, inspection: &Inspection, folder: &Path) -> Vec<String> {
        let place = self.place.path().display().to_string();
        let folder = folder.display().to_string();
        inspection.refusal().into_iter().map(|line| line.replace(&place, &folder)).collect()
    }

    /// Renames the files into `folder`, the component last: a worker that looks in between sees the old component.
    fn publish(&self, folder: &Path) -> anyhow::Result<()> {
        let into = |extension: &str| folder.join(format!("{}.{extension}", self.name));
        let rename = |extension: &str| {
            let target = into(extension);
            fs::rename(self.file(extension), &target)
                .with_context(|| format!("cannot write {}", target.display()))
        };
        if self.file("wasm.minisig").exists() {
            rename("wasm.minisig")?;
        } else {
            // It was for another component.
            match fs::remove_file(into("wasm.minisig")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).context("cannot remove the old signature");
                }
                Ok(()) | Err(_) => {}
            }
        }
        if self.new_settings {
            rename("toml")?;
        }
        rename("wasm")?;
        // The renames are on disk when the folder is.
        fs::File::open(folder)?.sync_all().context("cannot write the folder")
    }
}

fn read_settings(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a file and waits until it is on disk.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = fs::File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}
