//! Completions for shells, and man pages: both made from the description of the command line.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

/// Prints what a shell needs to complete this program's commands and flags, for instance `worker completions bash >
/// /etc/bash_completion.d/worker`.
#[derive(Debug, clap::Args)]
pub struct CompletionsCommand {
    /// The shell.
    shell: Shell,
}

impl CompletionsCommand {
    /// Writes the completions of `command` to `out`.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written to.
    pub fn run(self, mut command: Command, out: &mut impl Write) -> anyhow::Result<()> {
        let name = command.get_name().to_owned();
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut text);
        Ok(out.write_all(&text)?)
    }
}

/// Prints the man page of this program, or writes those of all its commands into a folder.
#[derive(Debug, clap::Args)]
pub struct ManCommand {
    /// Write one file for each command into this folder, for instance `/usr/local/share/man/man1`.
    #[arg(long)]
    to: Option<PathBuf>,
}

impl ManCommand {
    /// Writes the page of `command` to `out`, or all pages into the folder.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn run(self, command: Command, out: &mut impl Write) -> anyhow::Result<()> {
        let Some(folder) = self.to else {
            return Ok(clap_mangen::Man::new(command).render(out)?);
        };
        std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(command, &folder))
            .with_context(|| format!("cannot write the man pages into {}", folder.display()))
    }
}
