//! Reads a plugin's files, each up to its size limit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::config::Ceilings;
use crate::digest::sha256_hex;
use crate::error::LoadError;
use crate::plugin_config::PluginConfig;
use crate::replay::outside::Outside;
use crate::sandbox::env::PluginEnv;
use crate::sandbox::http::HttpClient;
use crate::version::data_file::{DataFile, DataFiles};
use crate::version::name::{is_plugin_name, stem};

/// A component file and its contents.
pub(super) struct ComponentFile {
    pub(super) plugin: String,
    pub(super) path: PathBuf,
    pub(super) wasm: Bytes,
    /// SHA-256 of `wasm`, in hex.
    pub(super) digest: String,
}

impl ComponentFile {
    pub(super) async fn read(path: &Path, ceilings: &Ceilings) -> Result<Self, LoadError> {
        let plugin = plugin_name(path)?;
        let wasm = read_bounded(path, ceilings.component_bytes).await?;
        let digest = sha256_hex(&wasm);
        Ok(Self { plugin, path: path.to_owned(), wasm, digest })
    }

    /// The file's name, for people.
    pub(super) fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }
}

/// Reads the data files, and builds everything else that the settings grant. There is no queue and no world.
pub(super) async fn read_env(
    file: &ComponentFile,
    config: PluginConfig,
    ceilings: &Ceilings,
) -> Result<PluginEnv, LoadError> {
    let mut data = BTreeMap::new();
    for (name, granted) in &config.data {
        let path = config.data_copies.get(name).unwrap_or(granted);
        let bytes = read_bounded(path, ceilings.data_bytes).await;
        data.insert(name.clone(), bytes.map_err(|error| named(error, name, &file.plugin))?);
    }
    let http = match config.net {
        Some(net) => {
            let client = HttpClient::new(&file.plugin, net, config.secrets, config.limits);
            Some(Arc::new(client.map_err(|problem| LoadError::Settings {
                path: file.path.with_extension("toml"),
                problem,
            })?))
        }
        None => None,
    };
    Ok(PluginEnv {
        name: file.plugin.clone(),
        settings: config.settings,
        data,
        cache: config.cache,
        http,
        limits: config.limits,
        queue: None,
        outside: Outside::Real,
        diagnosis: None,
    })
}

/// Adds where the settings name a data file that cannot be read.
fn named(error: LoadError, name: &str, plugin: &str) -> LoadError {
    match error {
        LoadError::Read { path, source } => {
            let place =
                format!("{source}; it is `{name}` of `data` under [grants] in {plugin}.toml");
            LoadError::Read { path, source: io::Error::new(source.kind(), place) }
        }
        other => other,
    }
}

/// The data files of `env`, with the rows that the plugin says it took of them.
pub(super) fn data_files(env: &PluginEnv, rows: &BTreeMap<String, u64>) -> DataFiles {
    let data_file = |(name, bytes): (&String, &Bytes)| {
        let file = DataFile {
            bytes: bytes.len() as u64,
            rows: rows.get(name).copied(),
            digest: sha256_hex(bytes),
        };
        (name.clone(), file)
    };
    env.data.iter().map(data_file).collect()
}

fn plugin_name(path: &Path) -> Result<String, LoadError> {
    let name = stem(path);
    if is_plugin_name(&name) {
        return Ok(name);
    }
    Err(LoadError::Description {
        plugin: name.chars().take(64).collect(),
        problem: "a plugin's file name takes 1 to 64 letters, digits, `-` and `_`".to_owned(),
    })
}

/// Reads a whole file of at most `limit` bytes.
pub(crate) async fn read_bounded(path: &Path, limit: u64) -> Result<Bytes, LoadError> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let file = open_regular(&file)?;
        let length = file.metadata()?.len();
        let mut bytes = Vec::new();
        // The file may grow while it is read.
        file.take(limit + 1).read_to_end(&mut bytes)?;
        Ok((length.max(bytes.len() as u64), bytes))
    });
    let read = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (length, bytes) =
        read.map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    if length > limit {
        return Err(LoadError::TooLarge { path: path.to_owned(), bytes: length, limit });
    }
    Ok(bytes.into())
}

/// Opens a regular file. Reading a pipe or a device may block for ever.
pub(crate) fn open_regular(path: &Path) -> io::Result<fs::File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    fs::File::open(path)
}
