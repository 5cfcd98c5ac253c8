//! Lists what `worker plugins new` writes, so that it is all in the program: templates, libraries and the contract.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folders of the repository whose files are embedded, and what their paths begin with then.
const FOLDERS: &[(&str, &str)] =
    &[("plugins/templates", "templates"), ("plugins/sdk", "sdk"), ("wit", "wit")];
/// What tools leave behind, and the contract's older versions and its other crates.
const PASSED_OVER: &[&str] =
    &["target", "node_modules", "__pycache__", ".build", "released", "chat-commands"];

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let root = variable("CARGO_MANIFEST_DIR")?.join("..").canonicalize()?;
    let mut files = Vec::new();
    for (folder, name) in FOLDERS {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
        add(&root.join(folder), name, &mut files)?;
    }
    files.sort();
    let mut list = String::from("&[\n");
    for (name, path) in files {
        let _ = writeln!(list, "    ({name:?}, include_bytes!({path:?})),");
    }
    list.push_str("]\n");
    fs::write(variable("OUT_DIR")?.join("embedded.rs"), list)
}

/// Adds a folder's files: their names in the program, and where they are. A link to a folder is not followed.
fn add(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let name = format!("{name}/{file_name}");
        if PASSED_OVER.contains(&file_name.as_str()) || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            add(&entry.path(), &name, files)?;
        } else {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}
