//! What a worker tells people of a plugin: what it may reach, by name, and its limits.

use queue::PluginFacts;

use super::PluginConfig;
use crate::grants::NetGrants;
use crate::grants::diff::Access;

impl PluginConfig {
    /// What the plugin may reach as its settings are in force here: without variables that are not set, and never the value
    /// of a secret.
    pub(crate) fn facts(&self) -> PluginFacts {
        // Read before, or there would be no settings in force.
        let written = Access::read(&self.source, &[]).unwrap_or_default();
        let net = self.net.iter().flat_map(NetGrants::origins);
        let traced = self.net.iter().flat_map(NetGrants::traced_origins);
        let data = self.data.iter();
        let secrets = self.secrets.iter();
        let variables = written.variables.iter();
        PluginFacts {
            net: net.map(ToString::to_string).collect(),
            trace: traced.map(ToString::to_string).collect(),
            data: data.map(|(name, file)| format!("{name} = {}", file.display())).collect(),
            secrets: secrets
                .map(|secret| {
                    let variable = secret.from.rsplit('$').next().unwrap_or_default();
                    format!("{variable}, as {} to {}", secret.header, secret.origin)
                })
                .collect(),
            variables: variables.map(|(key, variable)| format!("{variable}, as {key}")).collect(),
            cache: self.cache,
            limits: written.limits,
            ..PluginFacts::default()
        }
        .bounded()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Ceilings;

    #[test]
    fn what_a_plugin_may_reach_is_told_by_name_and_without_a_secrets_value() {
        let text = r#"
[grants]
net = ["https://forum.example", "${FORUM_URL}", "${UNSET}"]
trace = ["${FORUM_URL}"]
data = { words = "words.csv" }
cache = true
[config]
forum = "${FORUM_URL}"
[[secrets]]
host = "${FORUM_URL}"
header = "Authorization"
prefix = "Bearer x$y "
env = "FORUM_KEY"
[limits]
wall_ms = 5000
"#;
        let environment = |name: &str| match name {
            "FORUM_URL" => Some("https://b.example/api".to_owned()),
            "FORUM_KEY" => Some("s3cret".to_owned()),
            _ => None,
        };
        let config =
            PluginConfig::parse(text, Path::new("/p"), &Ceilings::default(), &environment).unwrap();
        let facts = config.facts();
        assert_eq!(facts.net, ["https://forum.example:443", "https://b.example:443"]);
        assert_eq!(facts.trace, ["https://b.example:443"]);
        assert_eq!(facts.data, ["words = /p/words.csv"]);
        assert_eq!(facts.secrets, ["FORUM_KEY, as authorization to https://b.example:443"]);
        assert_eq!(facts.variables, ["FORUM_URL, as forum"]);
        assert!(facts.cache && !format!("{facts:?}").contains("s3cret"));
        assert_eq!((facts.limits["wall_ms"], facts.limits["max_memory_mb"]), (5_000, 256));
    }
}
