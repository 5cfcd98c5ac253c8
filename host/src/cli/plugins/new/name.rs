//! The name of a new plugin, and what it is called in each place.

use std::fmt;

use chat_commands::RESERVED;

use super::language::Language;

/// As long as the name of a chat command may be: the plugin brings one that is called the same.
const MAX_BYTES: usize = 32;

/// Names that a package in Rust cannot have, or not beside the crates that the plugin uses.
const NOT_IN_RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "freefans-plugin",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "serde-json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// A plugin's name that may also be a command's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PluginName(String);

impl PluginName {
    /// Checks a name that somebody wrote.
    pub(super) fn parse(name: &str, language: Language) -> anyhow::Result<Self> {
        let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        anyhow::ensure!(
            name.len() <= MAX_BYTES
                && name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(of_name),
            "`{name}` cannot be a plugin's name: it must have 1 to {MAX_BYTES} lower case letters, digits and `-`, beginning with a letter"
        );
        let name = Self(name.to_owned());
        anyhow::ensure!(
            !RESERVED.contains(&name.ident().as_str()),
            "`{name}` cannot be a plugin's name: its command /{} is one of the bot's own",
            name.ident()
        );
        anyhow::ensure!(
            language != Language::Rust || !NOT_IN_RUST.contains(&name.as_str()),
            "`{name}` cannot be the name of a plugin in Rust: it is a word of the language, or a crate that the plugin uses"
        );
        Ok(name)
    }

    /// The name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a name in code, of its task type and of its command.
    pub(super) fn ident(&self) -> String {
        self.0.replace('-', "_")
    }

    /// As people read it: `tide-pool` is `Tide pool`.
    fn title(&self) -> String {
        let words = self.0.replace('-', " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| {
            let first = first.to_ascii_uppercase();
            format!("{first}{}", letters.as_str())
        })
    }

    /// Fills in a template.
    pub(super) fn fill(&self, text: &str) -> String {
        text.replace("PLUGIN_NAME", &self.0)
            .replace("PLUGIN_IDENT", &self.ident())
            .replace("PLUGIN_TYPE", &self.ident())
            .replace("PLUGIN_TITLE", &self.title())
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fills_in_what_is_called_after_it() {
        let name = PluginName::parse("tide-pool-2", Language::Rust).unwrap();
        let filled = name.fill("PLUGIN_NAME.toml PLUGIN_IDENT PLUGIN_TYPE PLUGIN_TITLE");
        assert_eq!(filled, "tide-pool-2.toml tide_pool_2 tide_pool_2 Tide pool 2");
    }

    #[test]
    fn a_name_that_cannot_be_is_told_with_its_rule() {
        let told = |name: &str| PluginName::parse(name, Language::Rust).unwrap_err().to_string();
        for name in [
            "",
            "Tide",
            "2tide",
            "-tide",
            "tide pool",
            "../tide",
            "tide_pool",
            "gezeitentafel-der-ganzen-nordsee-1",
        ] {
            let told = told(name);
            assert!(told.contains(&format!("`{name}`")) && told.contains("1 to 32"), "{told}");
        }
        assert!(told("search").contains("/search is one of the bot's own"));
        assert!(told("match").contains("a word of the language"));
        assert!(PluginName::parse("match", Language::Python).is_ok());
    }
}
