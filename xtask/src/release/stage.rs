//! The folder that becomes the archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::contents::{PROGRAMS, SUMS};
use crate::command::capture;
use crate::digest;

/// Files of the repository that are in the archive as they are.
const FILES: &[&str] = &["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", ".env.example"];
/// The shells for which completions are written, and the file's name for each.
const SHELLS: &[(&str, &str)] = &[("bash", "bash"), ("fish", "fish"), ("zsh", "zsh")];

/// Folders with what was built.
pub(super) struct Built<'a> {
    pub(super) programs: &'a Path,
    pub(super) plugins: &'a Path,
}

/// Puts everything in its place, but lists and signatures.
pub(super) fn fill(root: &Path, built: &Built<'_>, staged: &Path) -> anyhow::Result<()> {
    let bin = staged.join("bin");
    for (program, _) in PROGRAMS {
        copy(&built.programs.join(program), &bin.join(program))?;
        // A development build is ten times as large with them.
        capture(Command::new("strip").arg("--strip-debug").arg(bin.join(program)))
            .context("removing debug symbols (strip is in Debian's package binutils)")?;
    }
    for file in FILES {
        copy(&root.join(file), &staged.join(file))?;
    }
    copy_folder(&root.join("docs"), &staged.join("docs"))?;
    plugins(root, built.plugins, &staged.join("plugins"))?;
    let share = staged.join("share");
    for (program, _) in PROGRAMS {
        let run = |arguments: &[&str]| {
            // In a folder without settings.
            let mut command = Command::new(bin.join(program));
            capture(command.args(arguments).current_dir(&bin).env_clear())
        };
        for (shell, ending) in SHELLS {
            let text = run(&["completions", shell])?;
            write(&share.join(format!("completions/{program}.{ending}")), text.as_bytes())?;
        }
        let manual = share.join("man/man1");
        fs::create_dir_all(&manual)?;
        let manual = manual.to_str().context("the folder's name is no text")?;
        run(&["man", "--to", manual])?;
    }
    Ok(())
}

/// The shipped plugins with settings and sample data.
fn plugins(root: &Path, built: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(built).context("listing the plugins")? {
        let component = entry?.path();
        let name = component.file_name().context("a file has a name")?;
        copy(&component, &to.join(name))?;
        let settings = Path::new(name).with_extension("toml");
        copy(&root.join("plugins").join(&settings), &to.join(&settings))?;
    }
    copy_folder(&root.join("plugins/data"), &to.join("data"))
}

/// Writes the checksums of all files of the folder into it.
pub(super) fn write_sums(staged: &Path) -> anyhow::Result<()> {
    let mut sums = String::new();
    for file in files_below(staged)? {
        let name = file.strip_prefix(staged).context("it is below the folder")?;
        sums.push_str(&format!("{}  {}\n", digest::hex(&fs::read(&file)?), name.display()));
    }
    write(&staged.join(SUMS), sums.as_bytes())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    ensure!(from.is_dir(), "there is no {}", from.display());
    for file in files_below(from)? {
        copy(&file, &to.join(file.strip_prefix(from).context("it is below the folder")?))?;
    }
    Ok(())
}

/// All files of a folder and of those in it, in a fixed order.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(())
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
