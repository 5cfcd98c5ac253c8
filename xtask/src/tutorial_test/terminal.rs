//! A reader's terminal: one shell for all commands, so that a folder and a variable are still there for the next.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::stop::Stop;

/// How long a command may take: the first build compiles forty crates.
const DONE_WITHIN: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A shell that waits for commands. Killed when dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    shell: Child,
    input: ChildStdin,
    /// For the command, its output and its status.
    files: TempDir,
    stop: Stop,
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) status: i32,
    /// Both outputs, as a terminal shows them.
    pub(super) output: String,
}

impl Terminal {
    /// `shell` is a command that starts one.
    pub(super) fn open(mut shell: Command, stop: &Stop) -> anyhow::Result<Self> {
        let files = tempfile::tempdir().context("making a folder for the terminal")?;
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().context("starting a shell")?;
        let input = shell.stdin.take().context("the shell takes no commands")?;
        Ok(Self { shell, input, files, stop: stop.clone() })
    }

    /// The folder that the shell is in.
    pub(super) fn folder(&self) -> anyhow::Result<PathBuf> {
        fs::read_link(format!("/proc/{}/cwd", self.shell.id())).context("asking for the folder")
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    ///
    /// When it takes too long, or ends the shell. A failure of the command is in its status.
    pub(super) fn run(&mut self, command: &str) -> anyhow::Result<Ran> {
        let at = |name: &str| self.files.path().join(name);
        let [script, output, part, status] =
            [at("command"), at("output"), at("part"), at("status")];
        fs::write(&script, format!("{command}\n")).context("writing the command")?;
        let quoted = |path: &Path| format!("'{}'", path.display());
        // The status is renamed into its place, so that it is never read half.
        let line = format!(
            ". {} >{} 2>&1 </dev/null; echo $? >{part}; mv {part} {}\n",
            quoted(&script),
            quoted(&output),
            quoted(&status),
            part = quoted(&part),
        );
        self.input.write_all(line.as_bytes()).context("the shell has ended")?;
        let printed =
            || String::from_utf8_lossy(&fs::read(&output).unwrap_or_default()).into_owned();
        let deadline = Instant::now() + DONE_WITHIN;
        while !status.exists() {
            ensure!(!self.stop.requested(), "interrupted");
            if self.shell.try_wait().context("asking for the shell")?.is_some() {
                bail!("it ended the shell:\n{}", printed());
            }
            if Instant::now() > deadline {
                bail!("it has not ended within {DONE_WITHIN:?}:\n{}", printed());
            }
            thread::sleep(LOOK_AGAIN);
        }
        let number = fs::read_to_string(&status).context("reading the status")?;
        fs::remove_file(&status).context("removing the status")?;
        let status = number.trim().parse().context("the status is no number")?;
        Ok(Ran { status, output: printed() })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_finds_the_folder_and_the_variables_of_those_before() {
        let home = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.current_dir(home.path());
        let mut terminal = Terminal::open(shell, &Stop::default()).unwrap();
        let mut run = |command: &str| {
            let ran = terminal.run(command).unwrap();
            (ran.status, ran.output)
        };
        assert_eq!(run("mkdir a && cd a; X=1"), (0, String::new()));
        assert_eq!(
            run("echo \"$X\" \\\n  two; ls nowhere 2>&- || exit_code=3"),
            (0, "1 two\n".to_owned())
        );
        assert_eq!(run("false"), (1, String::new()));
        assert_eq!(run("cat"), (0, String::new()));
        let folder = terminal.folder().unwrap();
        assert_eq!(folder, home.path().canonicalize().unwrap().join("a"));
        assert!(terminal.run("echo bye; exit 0").unwrap_err().to_string().contains("bye"));
    }
}
