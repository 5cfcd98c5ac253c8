//! One language: the three commands, a question in the chat, and the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::chat_page::ChatPage;
use crate::command::{capture, describe, elapsed};
use crate::service::Service;
use crate::stop::Stop;
use crate::stranger::Stranger;

/// What the tutorial calls the plugin.
const NAME: &str = "tide";
const QUESTION: &str = "/tide tea coffee";
/// The beginning of the answer: which word follows is chosen by chance.
const ANSWER: &str = "Tide chooses";
/// `worker dev` writes these when the chat page is there, and when it takes the plugin's command.
const PAGE: &str = "chat page: ";
const TAKEN: &str = "the chat takes /tide";
/// And these when the build fails; 69 is the build script's status when the machine lacks something.
const FAILED: &str = "the build failed";
const MISSING: &str = "the build failed (exit status: 69)";
/// How the build script begins what it says.
const SCRIPT: &str = "build: ";
/// How long it may take: some languages first fetch hundreds of megabytes, and compile an interpreter.
const LOADED_WITHIN: Duration = Duration::from_secs(15 * 60);
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// How a language went.
pub(super) enum Outcome {
    Answered(Times),
    /// In the words of the build script.
    Skipped(String),
}

/// How long each part took.
pub(super) struct Times {
    /// `worker plugins new`.
    pub(super) new: Duration,
    /// From the start of `worker dev` until the chat took the plugin's command.
    pub(super) loaded: Duration,
    /// From the question until its answer was on the page.
    pub(super) answer: Duration,
    /// All of it, the end by Ctrl-C included.
    pub(super) whole: Duration,
}

/// What one language needs.
pub(super) struct Journey<'a> {
    pub(super) stranger: &'a Stranger,
    pub(super) language: &'static str,
    pub(super) page: &'a ChatPage,
    /// The file for a picture of the page with the answer.
    pub(super) picture: Option<PathBuf>,
    pub(super) stop: &'a Stop,
}

/// What `worker dev` said at last.
enum Built {
    Loaded { page: String },
    Missing { why: String },
    Failed,
}

impl Journey<'_> {
    pub(super) fn make(&self) -> anyhow::Result<Outcome> {
        let begun = Instant::now();
        let home = self.stranger.home();
        let mut new = self.worker(&home)?;
        new.args(["plugins", "new", NAME, "--lang", self.language]);
        capture(&mut new)?;
        let new_took = begun.elapsed();
        said(&describe(&new), new_took);

        let started = Instant::now();
        let plugin = home.join(NAME);
        println!("  $ cd {NAME}");
        let mut dev = self.worker(&plugin)?;
        dev.arg("dev");
        let name = describe(&dev);
        let mut dev = Service::start("worker dev", &mut dev, &self.stranger.logs())?;
        let page = match self.wait_until_loaded(&mut dev)? {
            Built::Loaded { page } => page,
            Built::Missing { why } => {
                self.end(&mut dev)?;
                return Ok(Outcome::Skipped(why));
            }
            Built::Failed => bail!("the plugin cannot be built\n{}", dev.tail()),
        };
        let loaded = started.elapsed();
        said(&format!("{name}   # until `{TAKEN}`"), loaded);
        self.stranger.uses_nothing_of_the_repository()?;

        self.page.open(&page)?;
        let asked = Instant::now();
        self.page.says(QUESTION);
        let answered = self.page.answer(ANSWER);
        let shown = answered.map_err(|error| error.context(dev.tail()))?;
        let answer = asked.elapsed();
        said(&format!("{QUESTION}   # in the chat: {shown}"), answer);
        if let Some(file) = &self.picture {
            self.page.picture(file)?;
        }

        let over = Instant::now();
        self.end(&mut dev)?;
        said("Ctrl-C", over.elapsed());
        let whole = begun.elapsed();
        Ok(Outcome::Answered(Times { new: new_took, loaded, answer, whole }))
    }

    fn worker(&self, folder: &Path) -> anyhow::Result<Command> {
        self.stranger.command("worker", folder, self.language)
    }

    fn wait_until_loaded(&self, dev: &mut Service) -> anyhow::Result<Built> {
        dev.wait_until(&format!("`{TAKEN}`"), LOADED_WITHIN, self.stop, |dev| built(&dev.output()))
    }

    /// Ctrl-C, after which nothing is left but the plugin's folder.
    fn end(&self, dev: &mut Service) -> anyhow::Result<()> {
        dev.interrupt(ENDED_WITHIN)?;
        self.stranger.has_left_nothing()
    }
}

/// Reads how far `worker dev` is; none while it is at work.
fn built(output: &str) -> Option<Built> {
    if let Some(failure) = output.lines().find(|line| line.starts_with(FAILED)) {
        let is_missing = failure.starts_with(MISSING);
        let words = output.lines().rfind(|line| line.starts_with(SCRIPT)).unwrap_or(failure);
        let why = words.to_owned();
        return Some(if is_missing { Built::Missing { why } } else { Built::Failed });
    }
    let page = output.lines().find_map(|line| line.strip_prefix(PAGE))?;
    let is_taken = output.lines().any(|line| line == TAKEN);
    is_taken.then(|| Built::Loaded { page: page.to_owned() })
}

fn said(what: &str, time: Duration) {
    println!("  $ {what:<60} {:>12}", elapsed(time));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_loaded_when_the_chat_takes_its_command() {
        let page = "chat page: http://127.0.0.1:4000/?chat=100\nloaded: tide 0.1.0 in 1 s\n";
        assert!(built(page).is_none());
        let whole = format!("{page}the chat takes /tide\n");
        assert!(
            matches!(built(&whole), Some(Built::Loaded { page }) if page == "http://127.0.0.1:4000/?chat=100")
        );
    }

    #[test]
    fn only_a_missing_tool_passes_a_language_over() {
        let missing =
            "build: no node\nthe build failed (exit status: 69); mend it and save: what …\n";
        assert!(matches!(built(missing), Some(Built::Missing { why }) if why == "build: no node"));
        let failed = "error: a typo\nthe build failed (exit status: 1); mend it and save: what …\n";
        assert!(matches!(built(failed), Some(Built::Failed)));
    }
}
