//! A plugin's settings file: `NAME.toml` beside `NAME.wasm`.
//!
//! In it the operator says what the plugin may reach and how much it may use. Without a file a plugin gets the default
//! limits and no grants.

pub mod access;
pub(crate) mod base;
mod facts;
pub(crate) mod limits;
pub(crate) mod swap;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ops::secret::Secret;
use ops::settings::read_secret_file;
use serde::Deserialize;

use crate::config::Ceilings;
use crate::error::LoadError;
use crate::grants::{NetGrants, Origin};
pub use crate::plugin_config::limits::Limits;
use crate::plugin_config::limits::RawLimits;
use crate::plugin_config::swap::RawSwap;
pub use crate::plugin_config::swap::{SwapConfig, Trial};

/// The checked settings of a plugin.
#[derive(Debug)]
pub struct PluginConfig {
    /// Origins that it may send requests to; none when the file has no `net`.
    pub net: Option<NetGrants>,
    /// Files that it may read, by the names that it uses.
    pub data: BTreeMap<String, PathBuf>,
    /// Whether it may use the cache.
    pub cache: bool,
    /// The settings for its own use.
    pub settings: BTreeMap<String, String>,
    /// Headers that the host adds to its requests.
    pub secrets: Vec<SecretHeader>,
    /// The limits of one task.
    pub limits: Limits,
    /// How a new version comes into force.
    pub swap: SwapConfig,
    /// Entries that cannot be used and are ignored. For the operator; without values, which may be secret.
    pub remarks: Vec<String>,
    /// Copies to read instead of data files. The grants stay the same.
    pub(crate) data_copies: BTreeMap<String, PathBuf>,
    /// The text of the file; empty without a file.
    pub(crate) source: String,
}

/// A header that the host adds to requests to one origin. The plugin never sees it.
#[derive(Debug, Clone)]
pub struct SecretHeader {
    /// The origin of these requests.
    pub origin: Origin,
    /// The header's name.
    pub header: http::HeaderName,
    /// The header's value.
    pub value: Secret<http::HeaderValue>,
    /// Its prefix and environment variable, to compare grants.
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
    trace: Vec<String>,
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

/// Looks up `${NAME}` in a settings file. Tests pass a map.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl PluginConfig {
    /// Reads the settings of the component at `wasm`, or the defaults when there is no file.
    ///
    /// # Errors
    ///
    /// [`LoadError::Settings`] with the file and the line.
    pub fn for_component(wasm: &Path, ceilings: &Ceilings) -> Result<Self, LoadError> {
        Self::for_component_in(wasm, wasm.parent().unwrap_or(Path::new(".")), ceilings)
    }

    /// As [`PluginConfig::for_component`], for an archived component. Paths in the settings are relative to `folder`.
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

    /// Reads the text of a settings file. Paths in it are relative to `folder`.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which line.
    pub(crate) fn from_text(
        text: &str,
        folder: &Path,
        ceilings: &Ceilings,
    ) -> Result<Self, String> {
        let environment =
            |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self::parse(text, folder, ceilings, &environment)
    }

    /// The grants, one line each. Settings that grant less have a subset of the lines.
    pub(crate) fn granted(&self) -> BTreeSet<String> {
        let net = self.net.iter().flat_map(NetGrants::origins);
        let mut granted: BTreeSet<String> = net.map(|origin| format!("net {origin}")).collect();
        let traced = self.net.iter().flat_map(NetGrants::traced_origins);
        granted.extend(traced.map(|origin| format!("trace {origin}")));
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

    /// Adds a grant from the command line: `net=ORIGIN`, `data.NAME=FILE` or `cache`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
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

    /// The `[swap]` section of a settings file; none when it cannot be read.
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
        let RawGrants { net, trace, data, cache } = raw.grants;
        let net = parse_net(net.as_deref(), &trace, environment, &mut remarks)?;
        let data = data.into_iter().map(|(name, path)| (name, folder.join(path))).collect();
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
        // Several entries may name the same variable.
        let mut seen = BTreeSet::new();
        remarks.retain(|remark| seen.insert(remark.clone()));
        let limits = Limits::from_raw(&raw.limits, ceilings)?;
        let swap = SwapConfig::from_raw(raw.swap)?;
        Ok(Self {
            net,
            data,
            cache,
            settings,
            secrets,
            limits,
            swap,
            remarks,
            data_copies: BTreeMap::new(),
            source: text.to_owned(),
        })
    }

    /// The defaults, as without a settings file.
    pub(crate) fn without_file(wasm: &Path, ceilings: &Ceilings) -> Result<Self, LoadError> {
        let path = wasm.with_extension("toml");
        Self::parse("", Path::new("."), ceilings, &|_| None)
            .map_err(|problem| LoadError::Settings { path, problem })
    }

    /// The defaults.
    #[cfg(test)]
    pub(crate) fn nothing_granted() -> Self {
        Self::parse("", Path::new("."), &Ceilings::default(), &|_| None).unwrap()
    }
}

/// The line's number and what is wrong. The library would quote the line, but it may hold a secret, and the error is
/// written to logs and to Redis.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn parse_net(
    net: Option<&[String]>,
    trace: &[String],
    environment: Environment<'_>,
    remarks: &mut Vec<String>,
) -> Result<Option<NetGrants>, String> {
    let mut read = |key: &str, grants: &[String]| {
        let mut origins = Vec::new();
        for grant in grants {
            origins.extend(origin(key, grant, environment, remarks)?);
        }
        Ok::<_, String>(origins)
    };
    let granted = NetGrants::new(read("net", net.unwrap_or_default())?);
    let granted = granted.traced(read("trace", trace)?).map_err(|origin| {
        format!("trace: {origin} is not in `net`, so no request goes there; add it to `net` too")
    })?;
    Ok(net.map(|_| granted))
}

/// Reads an origin; none when its variable is not set or cannot be used.
///
/// A wrong origin in the file itself refuses the whole file, and the last good settings stay in force. A wrong variable
/// only disables its entry, because there are no earlier settings to fall back on. Its value is never reported: it may
/// hold a password. It is the address of a service, which may have a path.
fn origin(
    key: &str,
    text: &str,
    environment: Environment<'_>,
    remarks: &mut Vec<String>,
) -> Result<Option<Origin>, String> {
    let Some(name) = variable(text) else {
        return Origin::parse_grant(text).map(Some).map_err(|problem| format!("{key}: {problem}"));
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
            && is_secret_set(&raw.env, environment)
        {
            let key = &raw.env;
            remarks.push(format!("`{key}` is set and goes nowhere, for `{name}` is not set"));
        }
        return Ok(None);
    };
    let header = raw.header.parse().map_err(|error: http::header::InvalidHeaderName| {
        format!("secrets: `{}` is not a header name: {error}", raw.header)
    })?;
    let secret = match secret_of(&raw.env, environment) {
        Err(problem) if raw.optional => {
            remarks.push(format!("{problem}, so requests go without it"));
            None
        }
        secret => secret.map_err(|problem| format!("secrets: {problem}"))?,
    };
    let Some(secret) = secret else {
        if raw.optional {
            return Ok(None);
        }
        return Err(format!(
            "secrets: the environment variable `{}` is not set; set it, or add `optional = true`",
            raw.env
        ));
    };
    // A secret that was read from a file often ends with a line break.
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

/// The name of the variable when `text` is `${NAME}`.
fn variable(text: &str) -> Option<&str> {
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
}

/// Variables of our own that end in `_FILE`, and whose files no plugin gets as a secret.
const NO_SECRETS: [&str; 2] = ["PRIVACY", "REGISTRY_AUTH"];

/// The file that holds a secret, when the variable `NAME_FILE` names one.
fn secret_file(name: &str, environment: Environment<'_>) -> Option<PathBuf> {
    let named = (!NO_SECRETS.contains(&name)).then(|| environment(&format!("{name}_FILE")));
    named.flatten().map(PathBuf::from)
}

fn is_secret_set(name: &str, environment: Environment<'_>) -> bool {
    environment(name).is_some() || secret_file(name, environment).is_some()
}

/// A secret from the variable, or from the file that `NAME_FILE` names.
fn secret_of(name: &str, environment: Environment<'_>) -> Result<Option<String>, String> {
    match (environment(name), secret_file(name, environment)) {
        (Some(_), Some(_)) => Err(format!("`{name}` and `{name}_FILE` are both set; keep one")),
        (Some(secret), None) => Ok(Some(secret)),
        (None, Some(path)) => {
            read_secret_file(&path).map(Some).map_err(|problem| format!("`{name}_FILE`: {problem}"))
        }
        (None, None) => Ok(None),
    }
}

/// Replaces `${NAME}` by the variable's value; none when it is not set, and the entry is then left out.
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
