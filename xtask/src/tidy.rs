//! `cargo xtask tidy`: rules about the code that a program can check.
//!
//! Each check answers with its violations; none stops at the first, and none changes anything.

mod arrows;
mod documents;
mod files;
mod idioms;
mod monitoring;
mod sources;

use std::path::Path;

use anyhow::bail;

use crate::workspace::Workspace;
use crate::{chat_doc, structure};

/// Checks crate arrows, the frozen contract, lints, key names, docs/chat.md, files that documents name, alerts
/// and metrics, circles of files and idioms.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Tidy;

impl Tidy {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let workspace = Workspace::load(root)?;
        let mut violations = arrows::check(&workspace);
        violations.extend(sources::frozen_contract(root)?);
        violations.extend(sources::workspace_lints(&workspace)?);
        violations.extend(sources::key_names(root)?);
        violations.extend(chat_doc::check(root)?);
        violations.extend(documents::named_files(root)?);
        violations.extend(monitoring::check(root)?);
        violations.extend(structure::circles(&workspace)?);
        violations.extend(idioms::check(root, &workspace)?);
        for violation in &violations {
            println!("{violation}");
        }
        if !violations.is_empty() {
            bail!("{} rules are broken", violations.len());
        }
        println!(
            "tidy: crate arrows, contract, lints, keys, documents, metrics, imports and idioms are right"
        );
        Ok(())
    }
}
