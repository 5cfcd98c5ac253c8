//! What the text of a settings file grants, without a variable or a file being read.

use super::{RawPluginConfig, at_line, variable};
use crate::grants::Origin;
use crate::grants::diff::{Access, SecretUse};

impl Access {
    /// What the settings `text` grants to a component with these imports. No variable and no file is read, so it is the
    /// same on every machine. An empty text stands for no settings file.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the text, and in which line.
    pub fn read(text: &str, imports: &[String]) -> Result<Self, String> {
        let raw: RawPluginConfig = toml::from_str(text).map_err(|error| at_line(text, &error))?;
        let net = raw.grants.net.as_deref().unwrap_or_default();
        let net: Result<_, String> = net.iter().map(|grant| origin("net", grant)).collect();
        let trace = raw.grants.trace.iter();
        let trace: Result<_, String> = trace.map(|grant| origin("trace", grant)).collect();
        let secrets: Result<_, String> = raw
            .secrets
            .into_iter()
            .map(|secret| {
                Ok(SecretUse {
                    origin: origin("secrets", &secret.host)?,
                    header: secret.header.to_ascii_lowercase(),
                    variable: secret.env,
                    prefix: secret.prefix,
                })
            })
            .collect();
        let data = raw.grants.data.into_iter();
        let settings = raw.config.iter();
        Ok(Self {
            imports: imports.iter().cloned().collect(),
            requests: raw.grants.net.is_some(),
            net: net?,
            trace: trace?,
            data: data.map(|(name, path)| (name, path.display().to_string())).collect(),
            cache: raw.grants.cache,
            secrets: secrets?,
            variables: settings
                .filter_map(|(key, value)| {
                    Some((key.clone(), variable(value.as_str()?)?.to_owned()))
                })
                .collect(),
            limits: raw.limits.all().map(|(name, value)| (name.to_owned(), value.into())).collect(),
        })
    }
}

/// An origin in its usual spelling, or the variable that holds one.
fn origin(key: &str, text: &str) -> Result<String, String> {
    if variable(text).is_some() {
        return Ok(text.to_owned());
    }
    let origin = Origin::parse_grant(text).map_err(|problem| format!("{key}: {problem}"))?;
    Ok(origin.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::diff::diff;

    const SETTINGS: &str = r#"
[grants]
net = ["https://Forum.example", "${FORUM_URL}"]
trace = ["${FORUM_URL}"]
data = { words = "words.csv" }
cache = true
[config]
forum = "${FORUM_URL}"
pages = 3
[[secrets]]
host = "${FORUM_URL}"
header = "Api-Key"
env = "FORUM_KEY"
[limits]
max_memory_mb = 300
"#;

    #[test]
    fn settings_are_read_as_they_are_written() {
        let imports = ["freefans:plugin/data@1.0.0".to_owned()];
        let nothing = Access::read("", &[]).unwrap();
        let access = Access::read(SETTINGS, &imports).unwrap();
        let said: Vec<String> = diff(&nothing, &access).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "imports freefans:plugin/data@1.0.0",
                "wants to reach ${FORUM_URL}",
                "wants to reach https://forum.example:443",
                "wants ${FORUM_URL} told the trace of a request",
                "wants to read the data file `words` (words.csv)",
                "wants to use the cache",
                "wants the secret FORUM_KEY sent to ${FORUM_URL} as `api-key`",
                "wants to read the variable FORUM_URL of the worker, as `forum`",
                "wants 300 MB of memory, had 256",
            ]
        );
        assert_eq!(diff(&access, &access), []);
        let again: Access = serde_json::from_str(&serde_json::to_string(&access).unwrap()).unwrap();
        assert_eq!(again, access);
    }

    #[test]
    fn settings_that_a_worker_would_refuse_are_refused() {
        assert!(Access::read("[grants]\nnet = [\"https://a/b\"]\n", &[]).is_err());
        assert!(Access::read("[grant]\n", &[]).unwrap_err().starts_with("line 1"));
    }
}
