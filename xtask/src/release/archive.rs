//! The archive: a tar that depends on nothing but the files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::command::{capture, run};

/// Its name, without the ending, and that of the folder in it.
pub(super) fn name() -> String {
    format!("freefans-workers-{}-x86_64-linux-gnu", env!("CARGO_PKG_VERSION"))
}

/// Packs a folder into `out`, with a flag of gzip. Order, owners and times do not depend on the machine.
pub(super) fn pack(
    root: &Path,
    folder: &Path,
    out: &Path,
    compression: &str,
) -> anyhow::Result<PathBuf> {
    let name = folder.file_name().context("the folder has a name")?;
    let archive = out.join(format!("{}.tar", name.to_string_lossy()));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
    tar.args(["--mode=u+rw,go+r,go-w", &format!("--mtime=@{}", time(root)?), "--create", "--file"]);
    tar.arg(&archive).arg("--directory").arg(folder.parent().context("it has a parent")?).arg(name);
    run(&mut tar)?;
    // Without the file's name and time.
    run(Command::new("gzip").args(["--no-name", compression, "--force"]).arg(&archive))?;
    Ok(archive.with_file_name(format!("{}.tar.gz", name.to_string_lossy())))
}

/// Unpacks an archive into a folder.
pub(crate) fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    run(Command::new("tar")
        .arg("--extract")
        .arg("--file")
        .arg(archive)
        .arg("--directory")
        .arg(folder))
}

/// The time of all files, in seconds since 1970: `SOURCE_DATE_EPOCH`, or that of the last commit.
pub(super) fn time(root: &Path) -> anyhow::Result<u64> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let text = match given {
        Some(given) => given,
        None => capture(Command::new("git").current_dir(root).args(["log", "-1", "--format=%ct"]))
            .context("asking git for the last commit's time; or set SOURCE_DATE_EPOCH")?,
    };
    text.trim().parse().with_context(|| format!("`{}` is no time in seconds", text.trim()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder whose files were made in this order, with this mode.
    fn folder(at: &Path, files: [&str; 3], mode: u32) -> PathBuf {
        let folder = at.join("product-1.2.3-x");
        fs::create_dir_all(&folder).unwrap();
        for name in files {
            let file = folder.join(name);
            fs::write(&file, name).unwrap();
            fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        folder
    }

    #[test]
    fn the_same_files_give_the_same_archive_and_come_out_of_it() {
        let root = crate::paths::root().unwrap();
        let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let one = folder(places[0].path(), ["a", "b", "c"], 0o644);
        let other = folder(places[1].path(), ["c", "b", "a"], 0o600);
        let packed = pack(&root, &one, places[0].path(), "--best").unwrap();
        assert_eq!(packed.file_name().unwrap(), "product-1.2.3-x.tar.gz");
        let again = pack(&root, &other, places[1].path(), "--best").unwrap();
        assert_eq!(fs::read(&packed).unwrap(), fs::read(again).unwrap());
        let place = tempfile::tempdir().unwrap();
        unpack(&packed, place.path()).unwrap();
        assert_eq!(fs::read(place.path().join("product-1.2.3-x/b")).unwrap(), b"b");
    }
}
