//! What is pushed: a file, or an artefact in a registry.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::archive::files;
use crate::cli::plugins::signature::read_signature;
use crate::config::Ceilings;
use crate::digest::sha256_hex;
use crate::fleet::source::Source;
use crate::oci;
use crate::oci::address::Address;
use crate::trust::signature_path;
use crate::version::name::{is_plugin_name, stem};

/// How an address of a registry begins.
const REGISTRY: &str = "oci://";

/// A component with what comes with it.
pub(super) struct Candidate {
    /// The plugin's name.
    pub(super) name: String,
    /// The component as a file.
    pub(super) file: PathBuf,
    pub(super) component: Vec<u8>,
    pub(super) digest: String,
    pub(super) signature: Option<String>,
    /// Settings that come with it from a registry.
    pub(super) settings: Option<String>,
    /// Where workers fetch it, if not from Redis.
    pub(super) source: Option<String>,
    /// Holds `file`, when it was fetched.
    _place: Option<TempDir>,
}

impl Candidate {
    /// Reads a file, or fetches what an address names. `name` is the plugin's, if not the file's.
    pub(super) async fn read(file: &Path, name: Option<&str>) -> anyhow::Result<Self> {
        let address = file.to_str().filter(|text| text.starts_with(REGISTRY));
        match address {
            Some(address) => Self::fetch(address, name).await,
            None => {
                let component =
                    fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                Ok(Self {
                    name: checked(name.map_or_else(|| stem(file), str::to_owned))?,
                    file: file.to_owned(),
                    digest: sha256_hex(&component),
                    component,
                    signature: read_signature(file)?,
                    settings: None,
                    source: None,
                    _place: None,
                })
            }
        }
    }

    async fn fetch(address: &str, name: Option<&str>) -> anyhow::Result<Self> {
        let address = Address::parse(address, false)?;
        let name = checked(name.unwrap_or(address.name()).to_owned())?;
        let fetched = oci::fetch(&address, Ceilings::default().component_bytes).await?;
        let oci::artefact::Artefact { component, settings, signature } = fetched.artefact;
        let place = tempfile::tempdir().context("cannot create a temporary folder")?;
        let file = place.path().join(&name).with_extension("wasm");
        fs::write(&file, &component).context("cannot write a temporary file")?;
        if let Some(signature) = &signature {
            fs::write(signature_path(&file), signature).context("cannot write a temporary file")?;
        }
        Ok(Self {
            name,
            file,
            digest: sha256_hex(&component),
            component,
            signature,
            settings,
            source: Some(address.pinned(&fetched.digest).to_string()),
            _place: Some(place),
        })
    }

    /// Puts the component into a folder that all workers share, from where they fetch it.
    pub(super) fn share(&mut self, folder: &Path) -> anyhow::Result<()> {
        let folder = fs::canonicalize(folder)
            .with_context(|| format!("cannot use the folder {}", folder.display()))?;
        let source = format!("file://{}", folder.display());
        let place = Source::parse(&source).map_err(anyhow::Error::msg)?;
        if let Source::Folder(folder) = place {
            let file = Source::file(&folder, &self.digest);
            files::replace(&file, &self.component)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        self.source = Some(source);
        Ok(())
    }
}

/// It becomes part of file names and keys.
fn checked(name: String) -> anyhow::Result<String> {
    ensure!(
        is_plugin_name(&name),
        "`{name}` is no plugin's name: 1 to 64 letters, digits, `-` and `_`; give one with --name"
    );
    Ok(name)
}
