//! The flags with which an author looks into a run, and the files that they ask for.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::diagnosis::Diagnosis;
use crate::diagnosis::core_dump::{CoreDump, Dumped};
use crate::diagnosis::profile::Profile;

/// What to look into.
#[derive(Debug, clap::Args)]
pub(super) struct DiagnosisFlags {
    /// Writes which functions the plugin is in, each millisecond that it runs, as a file for <https://profiler.firefox.com>. With
    /// `--repeat`, of all runs.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// When the plugin traps, writes its memory and its stack then, as a WebAssembly core dump.
    #[arg(long, value_name = "FILE")]
    coredump: Option<PathBuf>,
}

impl DiagnosisFlags {
    pub(super) fn diagnosis(&self) -> Diagnosis {
        Diagnosis {
            profile: self.profile.as_ref().map(|_| Profile::default()),
            core_dump: self.coredump.as_ref().map(|_| CoreDump::default()),
        }
    }

    /// Writes the files, and tells what is in them and what to do with them.
    pub(super) fn write(&self, diagnosis: &Diagnosis, told: &mut impl Write) -> anyhow::Result<()> {
        if let (Some(file), Some(profile)) = (&self.profile, &diagnosis.profile) {
            let samples = profile.finish(|| File::create(file).map(BufWriter::new));
            tell_profile(
                samples.map_err(anyhow::Error::from).with_context(|| cannot(file))?,
                file,
                told,
            )?;
        }
        if let (Some(file), Some(core_dump)) = (&self.coredump, &diagnosis.core_dump) {
            write_core_dump(&core_dump.take(), file, told)?;
        }
        Ok(())
    }
}

fn cannot(file: &Path) -> String {
    format!("cannot write {}", file.display())
}

fn tell_profile(samples: u64, file: &Path, told: &mut impl Write) -> io::Result<()> {
    if samples == 0 {
        return writeln!(
            told,
            "no profile: there is no sample, because the plugin was done within a millisecond or only waited; run it more often, \
             for instance with --repeat 1000"
        );
    }
    writeln!(
        told,
        "profile: {}, with one sample for each millisecond in the plugin, {samples} in all; open it at https://profiler.firefox.com",
        file.display()
    )
}

fn write_core_dump(dumped: &Dumped, file: &Path, told: &mut impl Write) -> anyhow::Result<()> {
    match dumped {
        Dumped::Nothing => writeln!(told, "no core dump: the plugin did not trap")?,
        Dumped::Composed => writeln!(
            told,
            "no core dump: the plugin is made of several components, and those cannot be dumped; dump the one that traps alone"
        )?,
        Dumped::Bytes(bytes) => {
            std::fs::write(file, bytes).with_context(|| cannot(file))?;
            writeln!(told, "core dump: {} bytes in {}", bytes.len(), file.display())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sample_there_is_no_profile_and_the_author_is_told_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let profile = place.path().join("profile.json");
        let flags = DiagnosisFlags { profile: Some(profile.clone()), coredump: None };
        let mut told = Vec::new();
        flags.write(&flags.diagnosis(), &mut told).unwrap();
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains("no profile") && told.contains("--repeat 1000"), "{told}");
        assert!(!profile.exists());
    }
}
