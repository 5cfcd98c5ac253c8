//! What a version that is pushed wants to reach or use, beside the one before.

use std::io::Write;

use queue::fleet::{Fleet, Record};

use super::stored;
use crate::cli::plugins::output::one_line;
use crate::grants::diff::{Access, Wider, diff};

/// What a candidate may do more than the version that the fleet has, if its settings count.
pub(super) struct Asks {
    /// The version before; none for a first push.
    before: Option<String>,
    wider: Vec<Wider>,
}

impl Asks {
    /// Compares. A version before that is no longer stored, or was no component, counts as one with the same imports.
    pub(super) async fn read(
        fleet: &Fleet,
        live: Option<&Record>,
        component: &[u8],
        settings: &str,
    ) -> anyhow::Result<Self> {
        let imports = stored::imports(component).await?.unwrap_or_default();
        let read = |text: &str, imports: &[String]| {
            Access::read(text, imports)
                .map_err(|problem| anyhow::anyhow!("the settings cannot be read: {problem}"))
        };
        let new = read(settings, &imports)?;
        let old = match live {
            None => read("", &imports)?,
            Some(live) => {
                let before = match stored::component(fleet, live).await {
                    Ok(before) => stored::imports(&before).await?,
                    Err(_) => None,
                };
                let before = before.unwrap_or(imports);
                // Settings that nobody can read granted nothing.
                Access::read(&live.settings, &before).unwrap_or(read("", &before)?)
            }
        };
        let before = live.map(|live| live.version.clone());
        Ok(Self { before, wider: diff(&old, &new) })
    }

    /// Why the operator must allow it first; none for a first push, which has nothing to compare with.
    pub(super) fn refusal(&self) -> Option<String> {
        let before = self.before.as_ref().filter(|_| !self.wider.is_empty())?;
        Some(format!(
            "it asks for more than {before}. If that is meant, add --grant:\n{}",
            self.list()
        ))
    }

    /// Says what is new.
    pub(super) fn tell(&self, out: &mut impl Write) -> std::io::Result<()> {
        match &self.before {
            _ if self.wider.is_empty() => Ok(()),
            Some(before) => writeln!(out, "it asks for more than {before}:\n{}", self.list()),
            None => writeln!(out, "it asks for:\n{}", self.list()),
        }
    }

    fn list(&self) -> String {
        let lines = self.wider.iter().map(|wider| format!("  {}", one_line(&wider.to_string())));
        lines.collect::<Vec<_>>().join("\n")
    }
}
