//! A plugin's settings file: `NAME.toml` beside `NAME.wasm`.
//!
//! What stands here is the operator's word: what the plugin may reach and how much it may use. Without a file a
//! plugin gets the default limits and no grants.

pub(crate) mod limits;
pub(crate) mod swap;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ops::secret::Secret;
use serde::Deserialize;

use crate::config::Ceilings;
use crate::error::LoadError;
use crate::grants::{NetGrants, Origin};
pub use crate::plugin_config::limits::Limits;
use crate::plugin_config::limits::RawLimits;
use crate::plugin_config::swap::RawSwap;
pub use crate::plugin_config::swap::{SwapConfig, Trial};

/// What a plugin may reach and use, checked.
#[derive(Debug)]
pub struct PluginConfig {
    /// Addresses it may send requests to; none when the file has no `net` at all.
    pub net: Option<NetGrants>,
    /// Files it may read, by the name it uses.
    pub data: BTreeMap<String, PathBuf>,
    /// Whether it has a cache.
    pub cache: bool,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// Headers that the host adds to its requests.
    pub secrets: Vec<SecretHeader>,
    /// What one task may use.
    pub limits: Limits,
    /// How a new version comes into force.
    pub swap: SwapConfig,
    /// What could not be used and is left out: only what asks for it works less well. For the operator, without values.
    pub remarks: Vec<String>,
    /// Where data files are read from instead; what is granted stays the same.
    pub(crate) data_at: BTreeMap<String, PathBuf>,
    /// The text that it was read from; empty without a file.
    pub(crate) source: String,
}

/// A header that the host adds to requests to one origin; the plugin never sees it.
#[derive(Debug, Clone)]
pub struct SecretHeader {
    /// Where it is sent.
    pub origin: Origin,
    /// Its name.
    pub header: http::HeaderName,
    /// Its value.
    pub value: Secret<http::HeaderValue>,
    /// The environment variable that it comes from, and what stands before it.
    pub(crate) from: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawPluginConfig {
    grants: RawGrants,
    config: BTreeMap<String, toml::Value>,
    secrets: Vec<RawSecret>,
    limits: RawLimits,
    swap: RawSwap,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawGrants {
    net: Option<Vec<String>>,
    data: BTreeMap<String, PathBuf>,
    cache: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecret {
    host: String,
    header: String,
    env: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    optional: bool,
}

/// Where `${NAME}` in a settings file comes from; tests hand in a map.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl PluginConfig {
    /// Reads the settings of the component at `wasm`; the defaults when there is no file.
    ///
    /// # Errors
    ///
    /// [`LoadError::Settings`], naming the file and the place.
    pub fn for_component(wasm: &Path, ceilings: &Ceilings) -> Result<Self, LoadError> {
        Self::for_component_in(wasm, wasm.parent().unwrap_or(Path::new(".")), ceilings)
    }

    /// As [`PluginConfig::for_component`], for a component that was put elsewhere: `folder` is where it ran, and what
    /// the paths in its settings are relative to.
    pub(crate) fn for_component_in(
        wasm: &Path,
        folder: &Path,
        ceilings: &Ceilings,
    ) -> Result<Self, LoadError> {
        let path = wasm.with_extension("toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(LoadError::Read { path, source }),
        };
        let environment =
            |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self::parse(&text, folder, ceilings, &environment)
            .map_err(|problem| LoadError::Settings { path: path.clone(), problem })
    }

    /// What it grants, line by line: one that grants less than another has fewer of the same lines.
    pub(crate) fn granted(&self) -> BTreeSet<String> {
        let net = self.net.iter().flat_map(NetGrants::origins);
        let mut granted: BTreeSet<String> = net.map(|origin| format!("net {origin}")).collect();
        granted
            .extend(self.data.iter().map(|(name, path)| format!("data {name} {}", path.display())));
        granted.extend(
            self.secrets.iter().map(|secret| {
                format!("secret {} {} {}", secret.origin, secret.header, secret.from)
            }),
        );
        granted.extend(self.cache.then(|| "cache".to_owned()));
        granted
    }

    /// Adds a grant as it is written on a command line: `net=ORIGIN`, `data.NAME=FILE` or `cache`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn allow(&mut self, grant: &str) -> Result<(), String> {
        match grant.split_once('=') {
            None if grant == "cache" => self.cache = true,
            None if grant == "net" => {
                self.net.get_or_insert_with(|| NetGrants::new(Vec::new()));
            }
            Some(("net", origin)) => {
                let origin =
                    Origin::parse_grant(origin).map_err(|problem| format!("net: {problem}"))?;
                self.net.get_or_insert_with(|| NetGrants::new(Vec::new())).add(origin);
            }
            Some((key, file)) if key.starts_with("data.") => {
                let name = key.strip_prefix("data.").unwrap_or_default();
                self.data.insert(name.to_owned(), PathBuf::from(file));
            }
            _ => {
                return Err(format!(
                    "`{grant}` is no grant; it is `net`, `net=ORIGIN`, `data.NAME=FILE` or `cache`"
                ));
            }
        }
        Ok(())
    }

    /// The `[swap]` of a settings file; none when it cannot be read.
    pub(crate) fn parse_swap(text: &str) -> Option<SwapConfig> {
        let raw: RawPluginConfig = toml::from_str(text).ok()?;
        SwapConfig::from_raw(raw.swap).ok()
    }

    fn parse(
        text: &str,
        folder: &Path,
        ceilings: &Ceilings,
        environment: Environment<'_>,
    ) -> Result<Self, String> {
        let raw: RawPluginConfig = toml::from_str(text).map_err(|error| at_line(text, &error))?;
        let mut remarks = Vec::new();
        let net = raw.grants.net;
        let net = net.map(|grants| parse_net(&grants, environment, &mut remarks)).transpose()?;
        let data =
            raw.grants.data.into_iter().map(|(name, path)| (name, folder.join(path))).collect();
        let mut settings = BTreeMap::new();
        for (key, value) in raw.config {
            if let Some(value) = setting(value, environment) {
                settings.insert(key, value);
            }
        }
        let mut secrets = Vec::new();
        for secret in &raw.secrets {
            secrets.extend(parse_secret(secret, environment, &mut remarks)?);
        }
        // One variable may stand in several places.
        let mut told = BTreeSet::new();
        remarks.retain(|remark| told.insert(remark.clone()));
        let limits = Limits::from_raw(&raw.limits, ceilings)?;
        let swap = SwapConfig::from_raw(raw.swap)?;
        let source = text.to_owned();
        let (cache, data_at) = (raw.grants.cache, BTreeMap::new());
        Ok(Self { net, data, cache, settings, secrets, limits, swap, remarks, data_at, source })
    }

    /// Defaults: no grants, no settings.
    #[cfg(test)]
    pub(crate) fn nothing_granted() -> Self {
        Self::parse("", Path::new("."), &Ceilings::default(), &|_| None).unwrap()
    }
}

/// The place and what is wrong there. Not the line itself, as the library shows it: it may hold a secret, and this goes
/// into logs and to Redis.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn parse_net(
    grants: &[String],
    environment: Environment<'_>,
    remarks: &mut Vec<String>,
) -> Result<NetGrants, String> {
    let mut origins = Vec::new();
    for grant in grants {
        origins.extend(origin("net", grant, environment, remarks)?);
    }
    Ok(NetGrants::new(origins))
}

/// The origin that a line of the file names; none where its variable is not set or holds nothing that can be used.
///
/// What stands in the file itself is refused as a whole when it is wrong: the last good settings go on. A variable is
/// wrong from the start, and what else the plugin can do does not depend on it. Its value is never told, it may hold a
/// password; and it is a service's address, which may lie in a folder of its host.
fn origin(
    place: &str,
    text: &str,
    environment: Environment<'_>,
    remarks: &mut Vec<String>,
) -> Result<Option<Origin>, String> {
    let Some(name) = variable(text) else {
        return Origin::parse_grant(text)
            .map(Some)
            .map_err(|problem| format!("{place}: {problem}"));
    };
    let Some(address) = environment(name) else { return Ok(None) };
    let origin = Origin::of_address(&address).ok();
    if origin.is_none() {
        remarks.push(format!(
            "`{name}` is no address that can be used, so no request is allowed there; write it as `https://host`, \
             `https://host:port` or `https://host/folder`"
        ));
    }
    Ok(origin)
}

fn parse_secret(
    raw: &RawSecret,
    environment: Environment<'_>,
    remarks: &mut Vec<String>,
) -> Result<Option<SecretHeader>, String> {
    let Some(origin) = origin("secrets", &raw.host, environment, remarks)? else {
        if let Some(name) = variable(&raw.host).filter(|name| environment(name).is_none())
            && environment(&raw.env).is_some()
        {
            let key = &raw.env;
            remarks.push(format!("`{key}` is set and goes nowhere, for `{name}` is not set"));
        }
        return Ok(None);
    };
    let header = raw.header.parse().map_err(|error: http::header::InvalidHeaderName| {
        format!("secrets: `{}` is not a header name: {error}", raw.header)
    })?;
    let Some(secret) = environment(&raw.env) else {
        if raw.optional {
            return Ok(None);
        }
        return Err(format!(
            "secrets: the environment variable `{}` is not set; set it, or add `optional = true`",
            raw.env
        ));
    };
    // A line end at a value's end comes from the file that it was read from.
    let value = http::HeaderValue::try_from(format!("{}{}", raw.prefix, secret.trim()));
    let mut value = match value {
        Ok(value) => value,
        Err(_invalid) => {
            let problem = format!("the value of `{}` cannot be sent as a header", raw.env);
            if raw.optional {
                remarks.push(format!("{problem}, so requests go without it"));
                return Ok(None);
            }
            return Err(format!("secrets: {problem}"));
        }
    };
    value.set_sensitive(true);
    let from = format!("{}${}", raw.prefix, raw.env);
    Ok(Some(SecretHeader { origin, header, value: Secret::new(value), from }))
}

/// The environment variable that a text stands for: `${NAME}`.
fn variable(text: &str) -> Option<&str> {
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
}

/// `${NAME}` stands for an environment variable; one that is not set makes the whole entry disappear.
fn expand(text: &str, environment: Environment<'_>) -> Option<String> {
    match variable(text) {
        Some(name) => environment(name),
        None => Some(text.to_owned()),
    }
}

fn setting(value: toml::Value, environment: Environment<'_>) -> Option<String> {
    match value {
        toml::Value::String(text) => expand(&text, environment),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Datetime(time) => Some(time.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => serde_json::to_string(&value).ok(),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
