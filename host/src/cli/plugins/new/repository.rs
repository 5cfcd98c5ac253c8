//! The workers' own repository, when a plugin is made inside it.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// A repository with the library for plugins.
#[derive(Debug)]
pub(super) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The repository that `folder` is in.
    pub(super) fn around(folder: &Path) -> Option<Self> {
        let is_root = |folder: &&Path| folder.join("plugins/sdk/rust/Cargo.toml").is_file();
        folder.ancestors().find(is_root).map(|root| Self { root: root.to_owned() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Adds a folder to the members of the workspace.
    pub(super) fn add_member(&self, folder: &Path) -> anyhow::Result<()> {
        let path = self.root.join("Cargo.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let member = folder.strip_prefix(&self.root).context("the folder is in the repository")?;
        let member = member.to_string_lossy().replace('\\', "/");
        let with = with_member(&text, &member).with_context(|| {
            format!(
                "{} has no list `members = [` to add \"{member}\" to; add it by hand",
                path.display()
            )
        })?;
        std::fs::write(&path, with).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The manifest with one more member, on a line of its own at the end of the list.
fn with_member(manifest: &str, member: &str) -> Option<String> {
    let (before, list) = manifest.split_once("members = [\n")?;
    let (members, behind) = list.split_once("\n]")?;
    Some(format!("{before}members = [\n{members}\n    \"{member}\",\n]{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_added_at_the_end_of_the_list() {
        let manifest =
            "[workspace]\nmembers = [\n    \"queue\",\n]\n# More.\ndefault-members = [\"queue\"]\n";
        assert_eq!(
            with_member(manifest, "plugins/tide").unwrap(),
            "[workspace]\nmembers = [\n    \"queue\",\n    \"plugins/tide\",\n]\n# More.\ndefault-members = [\"queue\"]\n"
        );
        assert_eq!(with_member("[package]\n", "tide"), None);
    }
}
