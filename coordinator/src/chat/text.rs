//! Every sentence a person can read, by language. The sentences themselves are in `locales/LANGUAGE.ftl`.
//!
//! Messages are HTML, with whatever is put in escaped by the caller; buttons, notes and the command menu are plain.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use queue::FailureCode;
use serde::{Deserialize, Serialize};

/// A language that the bot speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English, also for people with another language.
    #[default]
    En,
    /// German.
    De,
}

/// An argument of a sentence.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// A text, escaped where the sentence is HTML.
    Text(&'a str),
    /// A number; the sentence chooses its form by it.
    Number(u64),
}

type Catalogue = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Catalogue> =
    LazyLock::new(|| catalogue("en", include_str!("../../locales/en.ftl")));
static GERMAN: LazyLock<Catalogue> =
    LazyLock::new(|| catalogue("de", include_str!("../../locales/de.ftl")));

/// Parses a catalogue. Errors are skipped; the tests check that there are none.
fn catalogue(code: &str, source: &str) -> Catalogue {
    let resource = FluentResource::try_new(source.to_owned());
    let resource = resource.unwrap_or_else(|(as_far_as_it_goes, _)| as_far_as_it_goes);
    let mut bundle = FluentBundle::new_concurrent(code.parse().into_iter().collect());
    // Isolation marks would show in buttons and in `<code>`; direction marks are removed from names instead.
    bundle.set_use_isolating(false);
    let _ = bundle.add_resource(resource);
    bundle
}

impl Lang {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The language for Telegram's `language_code` (IETF tag, such as `de-AT`).
    pub fn of_code(code: &str) -> Self {
        let primary = code.split(['-', '_']).next().unwrap_or_default();
        let found = Self::ALL.into_iter().find(|lang| lang.code().eq_ignore_ascii_case(primary));
        found.unwrap_or_default()
    }

    /// Its code (ISO 639-1).
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// Its own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "Deutsch",
        }
    }

    fn catalogue(self) -> &'static Catalogue {
        match self {
            Self::En => &ENGLISH,
            Self::De => &GERMAN,
        }
    }

    /// A sentence without arguments.
    pub fn text(self, id: &str) -> String {
        self.format(id, &[])
    }

    /// A sentence with arguments.
    pub fn format(self, id: &str, args: &[(&str, Arg<'_>)]) -> String {
        let mut values = FluentArgs::with_capacity(args.len());
        for (name, arg) in args {
            let value = match arg {
                Arg::Text(text) => FluentValue::from(*text),
                Arg::Number(number) => FluentValue::from(*number),
            };
            values.set(*name, value);
        }
        for lang in [self, Self::En] {
            let catalogue = lang.catalogue();
            let pattern = catalogue.get_message(id).and_then(|message| message.value());
            if let Some(pattern) = pattern {
                let mut problems = Vec::new();
                return catalogue
                    .format_pattern(pattern, Some(&values), &mut problems)
                    .into_owned();
            }
        }
        id.to_owned()
    }

    /// `1 item`, `7 items`.
    pub fn counted(self, id: &str, count: u64) -> String {
        self.format(id, &[("count", Arg::Number(count))])
    }

    /// What a person reads when a task failed, by its code.
    pub fn failure(self, code: Option<FailureCode>) -> String {
        self.text(failure_id(code))
    }
}

fn failure_id(code: Option<FailureCode>) -> &'static str {
    use FailureCode as Code;
    let Some(code) = code else { return "failure" };
    match code {
        Code::InvalidTask | Code::InvalidParams => "failure-not-understood",
        Code::TaskTooLarge => "failure-too-long",
        Code::UnknownTaskType | Code::NoWorker => "failure-nobody",
        Code::NotFound => "failure-not-found",
        Code::PluginFailed => "failure-cannot",
        Code::RetriesExhausted => "failure-service",
        Code::Trap | Code::Exited | Code::InvalidOutput => "failure-broke",
        Code::WallLimit | Code::CpuLimit => "failure-took-too-long",
        Code::MemoryLimit
        | Code::TableLimit
        | Code::StackLimit
        | Code::HandleLimit
        | Code::HostCallLimit
        | Code::InputLimit
        | Code::OutputLimit
        | Code::LogLimit => "failure-too-much",
        Code::RequestLimit | Code::RequestBodyLimit | Code::ResponseLimit | Code::CacheLimit => {
            "failure-too-much-lookup"
        }
        Code::HostError | Code::WorkerCrashed => "failure-accident",
        Code::DeadlineExceeded => "failure-late",
        Code::Cancelled => "failure-cancelled",
    }
}

#[cfg(test)]
mod tests;
