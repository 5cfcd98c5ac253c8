//! Secrets in files of their own, as Docker, Kubernetes and systemd hand them over.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::setting::Level;

/// Longest secret, in bytes.
const MOST_BYTES: u64 = 64 << 10;

/// A secret that was read from a file.
pub(crate) struct SecretFile {
    pub(super) path: PathBuf,
    pub(super) content: String,
    pub(super) level: Level,
}

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SecretFile {
    /// Reads the file that `named_by` names.
    pub(super) fn read(named_by: &str, path: PathBuf, level: Level) -> Result<Self, String> {
        let content = read(&path).map_err(|problem| format!("{named_by}: {problem}"))?;
        Ok(Self { path, content, level })
    }
}

/// The secret in a file, without the line break at its end.
///
/// # Errors
///
/// Says what is wrong with the file. An empty one is an error: a default in its place would be a surprise.
pub fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    file.map_err(|error| format!("cannot read {shown}: {error}"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("{shown} is longer than {} KiB; a secret is not", MOST_BYTES >> 10));
    }
    let text = String::from_utf8(bytes).map_err(|_invalid| format!("{shown} is not UTF-8"))?;
    match text.trim_end() {
        "" => Err(format!("{shown} is empty")),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_break_and_an_odd_file_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(read(&path).unwrap_err().contains("cannot read"));
        for (bytes, expected) in [
            (b"123:abc\n".to_vec(), Ok("123:abc")),
            (b"123:abc\r\n\n".to_vec(), Ok("123:abc")),
            (b" \n".to_vec(), Err("is empty")),
            (b"\xff".to_vec(), Err("is not UTF-8")),
            (vec![b'x'; 70_000], Err("is longer than 64 KiB")),
        ] {
            std::fs::write(&path, bytes).unwrap();
            match (read(&path), expected) {
                (Ok(secret), Ok(expected)) => assert_eq!(secret, expected),
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
