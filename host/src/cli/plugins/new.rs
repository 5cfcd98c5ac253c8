//! `worker plugins new`.

mod files;
mod language;
mod name;
mod repository;

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use self::files::{NewFile, Surroundings};
use self::language::Language;
use self::name::PluginName;
use self::repository::Repository;

/// Makes a folder with a new plugin that works: source, tests, settings, the contract, the language's library and a script that
/// builds it. Inside the repository of the workers, a plugin in Rust becomes a member of its workspace.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The plugin's name: 1 to 32 lower case letters, digits and `-`, beginning with a letter. The folder is called the same.
    name: String,
    /// The language that it is written in.
    #[arg(long, value_enum)]
    lang: Language,
}

impl New {
    pub(super) fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let name = PluginName::parse(&self.name, self.lang)?;
        let here = std::env::current_dir().context("the folder that this runs in is gone")?;
        let folder = here.join(name.as_str());
        ensure_free(&folder, name.as_str())?;
        let repository = match self.lang {
            Language::Rust => Repository::around(&here),
            Language::Python | Language::Js | Language::C => None,
        };
        let surroundings = match repository {
            Some(_) => Surroundings::Repository,
            None => Surroundings::Anywhere,
        };
        let files = files::of(self.lang, surroundings, &name);
        for file in &files {
            write(&folder, file)?;
        }
        if let Some(repository) = &repository {
            repository.add_member(&folder)?;
            writeln!(
                out,
                "{name} is a member of the workspace in {}",
                repository.root().display()
            )?;
        }
        writeln!(out, "made {name}/ with {} files. README.md explains them. Next:", files.len())?;
        writeln!(out, "  cd {name}")?;
        writeln!(
            out,
            "  worker dev     # builds it, now and when you save, and prints the address of a chat page"
        )?;
        Ok(true)
    }
}

/// Nothing of somebody's is overwritten.
fn ensure_free(folder: &Path, name: &str) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!("`{name}` is here already and is no folder; choose another name")
    })?;
    anyhow::ensure!(
        entries.count() == 0,
        "the folder `{name}` is here already and not empty; choose another name, or remove it"
    );
    Ok(())
}

fn write(folder: &Path, file: &NewFile) -> anyhow::Result<()> {
    let path = folder.join(&file.path);
    let parent = path.parent().unwrap_or(folder);
    let what = || format!("cannot write {}", path.display());
    std::fs::create_dir_all(parent).with_context(what)?;
    std::fs::write(&path, &file.bytes).with_context(what)?;
    #[cfg(unix)]
    if file.is_script() {
        use std::os::unix::fs::PermissionsExt;
        let runnable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, runnable).with_context(what)?;
    }
    Ok(())
}
