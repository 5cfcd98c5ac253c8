//! The processes that a stranger has started, found by a variable that all of them inherit, and by the folder that they run in:
//! Redis writes its title over its variables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

/// The variable's name.
const NAME: &str = "FREEFANS_STRANGER";

/// What marks the processes of one person.
#[derive(Debug)]
pub(super) struct Marked {
    value: String,
    /// Where the person does everything.
    place: PathBuf,
}

impl Marked {
    /// For a person who works in the folder `place`.
    pub(super) fn new(place: &Path) -> Self {
        // One process is one run, and a test may have several people at once.
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self { value: format!("{}-{number}", std::process::id()), place: place.to_owned() }
    }

    /// To be set for everything that the person starts.
    pub(super) fn variable(&self) -> (&'static str, &str) {
        (NAME, &self.value)
    }

    /// All that run, each with its command.
    pub(super) fn all(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.folders()?.iter().map(|folder| described(folder)).collect())
    }

    /// Those whose program, folder, command or environment names something in `folder`.
    pub(super) fn that_name(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        let name = folder.to_string_lossy().into_owned();
        let uses = |process: &PathBuf| {
            let links = ["exe", "cwd"].map(|link| fs::read_link(process.join(link)));
            let texts = ["cmdline", "environ"].map(|text| fs::read(process.join(text)));
            links.iter().flatten().any(|path| path.starts_with(folder))
                || texts.iter().flatten().any(|text| String::from_utf8_lossy(text).contains(&name))
        };
        Ok(self.folders()?.iter().filter(|process| uses(process)).map(|it| described(it)).collect())
    }

    /// Kills all that run.
    pub(super) fn kill_all(&self) {
        let folders = self.folders().unwrap_or_default();
        let numbers = folders.iter().filter_map(|folder| folder.file_name());
        let mut kill = Command::new("sh");
        kill.args(["-c", "[ $# = 0 ] || kill -KILL \"$@\"", "sh"]).args(numbers);
        // One that has ended meanwhile is told as an error.
        let _ = kill.stderr(Stdio::null()).status();
    }

    /// Their folders in `/proc`. One that ends meanwhile is left out.
    fn folders(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mark = format!("{NAME}={}", self.value);
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("listing processes in /proc")? {
            let folder = entry.context("listing processes")?.path();
            let is_here =
                fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.place));
            let environment = fs::read(folder.join("environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            if is_here || variables.any(|variable| variable == mark.as_bytes()) {
                found.push(folder);
            }
        }
        Ok(found)
    }
}

/// Its number and command.
fn described(process: &Path) -> String {
    let number = process.file_name().unwrap_or_default().to_string_lossy();
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    format!("process {number}: {}", command.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_mark_and_by_its_folder_until_it_has_ended() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let marked = Marked::new(&place);
        let (name, value) = marked.variable();
        let mut children = [
            Command::new("sleep").arg("60").env(name, value).spawn().unwrap(),
            Command::new("sleep").arg("61").current_dir(&place).spawn().unwrap(),
        ];
        // Between fork and exec it is still what we are.
        let ends_with = |text: &str| marked.all().unwrap().iter().any(|one| one.ends_with(text));
        while !(ends_with("sleep 60") && ends_with("sleep 61")) {
            assert!(children.iter_mut().all(|child| child.try_wait().unwrap().is_none()));
        }
        let program = fs::read_link(format!("/proc/{}/exe", children[0].id())).unwrap();
        assert_eq!(marked.that_name(program.parent().unwrap()).unwrap().len(), 2);
        assert!(marked.that_name(Path::new("/nowhere")).unwrap().is_empty());
        assert!(Marked::new(Path::new("/nowhere")).all().unwrap().is_empty());
        marked.kill_all();
        for child in &mut children {
            child.wait().unwrap();
        }
        assert!(marked.all().unwrap().is_empty());
    }
}
