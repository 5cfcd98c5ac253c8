//! `cargo xtask author-test`: from nothing to an answer in the chat, as somebody does it who has a release and nothing else.
//!
//! [`journey`] is one language, [`chat_page`] the page in a browser.

mod chat_page;
mod journey;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use self::chat_page::ChatPage;
use self::journey::{Journey, Outcome};
use crate::languages::LANGUAGES;
use crate::stop::Stop;
use crate::stranger::{ProgramsFlags, Stranger};

/// Makes a plugin in an empty folder outside the repository, runs it with `worker dev`, asks it through the chat page in a
/// browser, and ends everything with Ctrl-C, in each language. Prints each command, and how long it took.
///
/// A language whose tools cannot be had is named with the reason, and passed over.
#[derive(Debug, clap::Args)]
pub(crate) struct AuthorTest {
    #[command(flatten)]
    programs: ProgramsFlags,
    /// Only this language; may be given several times.
    #[arg(long = "lang", value_name = "LANG", value_parser = LANGUAGES)]
    languages: Vec<String>,
    /// Puts a picture of the chat page with each answer into this folder.
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
}

impl AuthorTest {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let stop = Stop::on_signals()?;
        if let Some(folder) = &self.pictures {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("making {}", folder.display()))?;
        }
        let page = ChatPage::start(&stop)?;
        let mut outcomes = Vec::new();
        for language in LANGUAGES {
            if self.languages.is_empty() || self.languages.iter().any(|named| named == language) {
                println!("\n=== {language}");
                let outcome = self.one(root, language, &page, &stop);
                outcomes.push((language, outcome.with_context(|| format!("in {language}"))?));
            }
        }
        print_table(&outcomes);
        ensure!(
            outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Answered(_))),
            "no language was tried; install the tools that are named above"
        );
        Ok(())
    }

    fn one(
        &self,
        root: &Path,
        language: &'static str,
        page: &ChatPage,
        stop: &Stop,
    ) -> anyhow::Result<Outcome> {
        // A person of their own, so that no language finds what another one left.
        let stranger = Stranger::arrives(root, &self.programs)?;
        let picture = self.pictures.as_ref();
        let picture = picture.map(|folder| folder.join(language).with_extension("png"));
        Journey { stranger: &stranger, language, page, picture, stop }.make()
    }
}

fn print_table(outcomes: &[(&str, Outcome)]) {
    println!(
        "\n{:<10}{:>8}{:>18}{:>8}{:>8}  (seconds)",
        "", "new", "built and loaded", "answer", "whole"
    );
    for (language, outcome) in outcomes {
        match outcome {
            Outcome::Answered(times) => println!(
                "{language:<10}{:>8}{:>18}{:>8}{:>8}",
                seconds(times.new),
                seconds(times.loaded),
                seconds(times.answer),
                seconds(times.whole)
            ),
            Outcome::Skipped(why) => println!("{language:<10}SKIPPED: {why}"),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
