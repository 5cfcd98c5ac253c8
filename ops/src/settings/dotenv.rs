//! The `.env` file of this folder, or of the nearest one above.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What `.env` added to the environment.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// The file; none when there is none.
    pub(super) path: Option<PathBuf>,
    /// The variables that the environment did not have.
    pub(super) names: BTreeSet<String>,
    /// Why it could not be read to its end.
    pub(super) problem: Option<String>,
}

pub(super) fn load() -> Loaded {
    let before = names();
    let (path, problem) = match dotenvy::dotenv() {
        Ok(path) => (Some(path), None),
        Err(error) if error.not_found() => (None, None),
        Err(error) => {
            let path = nearest();
            let problem = Some(explain(path.as_deref(), &error));
            (path, problem)
        }
    };
    let names = names().difference(&before).cloned().collect();
    Loaded { path, names, problem }
}

fn names() -> BTreeSet<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

fn nearest() -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    folder.ancestors().map(|folder| folder.join(".env")).find(|file| file.is_file())
}

/// The number of the line in place of its text, which may hold a secret.
fn explain(path: Option<&Path>, error: &dotenvy::Error) -> String {
    let shown = path.map_or_else(|| ".env".to_owned(), |path| path.display().to_string());
    match error {
        dotenvy::Error::LineParse(..) => {
            let text = path.and_then(|path| std::fs::read_to_string(path).ok());
            let number = text.as_deref().map(wrong_line);
            let number = number.map(|number| format!(", line {number}")).unwrap_or_default();
            format!(
                "{shown}{number}: it is not `NAME=value`; a value with a space stands in 'quotes'. What follows was not read"
            )
        }
        dotenvy::Error::Io(error) => format!("{shown}: cannot be read: {error}"),
        _ => format!("{shown}: cannot be read"),
    }
}

/// The line after the longest beginning that can be read. A value in quotes may have several lines, so that a shorter one may
/// not be readable.
fn wrong_line(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let is_readable = |count: &usize| {
        let beginning = lines.get(..*count).unwrap_or_default().join("\n");
        dotenvy::from_read_iter(beginning.as_bytes()).all(|line| line.is_ok())
    };
    (0..lines.len()).rev().find(is_readable).unwrap_or_default() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A='1\n\n2'\n\nTOKEN=12 s3cret\nB=2\n").unwrap();
        let error = dotenvy::from_path(&path).unwrap_err();
        let said = explain(Some(&path), &error);
        assert!(said.contains(".env, line 5: ") && !said.contains("s3cret"), "{said}");
    }
}
