//! Every sentence a person can read. HTML where markup is wanted; whatever is put in is escaped by the caller.

/// Command menu: name and description.
pub const COMMANDS: &[(&str, &str)] = &[
    ("search", "Find a creator by name"),
    ("random", "Show a creator by chance"),
    ("help", "What I can do"),
];

/// `/start`.
pub const WELCOME: &str = "👋 <b>Welcome!</b>\n\nSend me the name of a creator and I will find them, also when it is \
                           misspelt.\n\nTry <code>luna marlow</code>, or /random for a surprise. /help says more.";

/// `/help`.
pub const HELP: &str = "<b>What I can do</b>\n\n• Send a name, or part of one: I search.\n• /search NAME does the \
                        same.\n• /random shows a creator by chance.\n\nThe buttons under my messages lead on: open a \
                        creator, page through the items, load more, go back.";

/// `/search` without a name.
pub const SEARCH_WHAT: &str =
    "Whom shall I look for? Write for instance <code>/search luna marlow</code>.";

/// A command that is not known.
pub const UNKNOWN_COMMAND: &str = "I do not know this command. /help says what I can do.";

/// A message without letters.
pub const NOTHING_TO_SEARCH: &str = "Please send a name with at least one letter or digit.";

/// A message that is too long for a name.
pub const TOO_LONG: &str = "That is too long for a name. Please send at most 200 characters.";

/// A message without text.
pub const TEXT_ONLY: &str = "I understand text only. Send me a name.";

/// A button whose view is not in the session any more, or belongs to somebody else.
pub const STALE_BUTTON: &str = "These buttons are no longer valid. Please search again.";

/// The queue is full.
pub const BUSY: &str = "🙏 I am very busy at the moment. Please try again in a minute.";

/// One person has too much under way.
pub const ONE_AT_A_TIME: &str =
    "⏳ You have several questions under way. Please wait for their answers first.";

/// Placeholder of a random pick.
pub const PICKING: &str = "🎲 Picking somebody…";

/// Note on a pressed "Load more".
pub const LOADING_MORE: &str = "Loading more…";

/// A message that is sent when the answer's own cannot be shown.
pub const CANNOT_SHOW: &str =
    "⚠️ I have an answer, but Telegram does not take it. Please ask differently.";

/// No results.
pub const TRY_OTHERWISE: &str = "Try another spelling or a shorter part of the name.";

/// Button: other results of the forum.
pub const BUTTON_EXTENDED: &str = "🔎 Search more";
/// Button: back.
pub const BUTTON_RESULTS: &str = "↩ Results";
/// Button: earlier page.
pub const BUTTON_PREVIOUS: &str = "◀ Previous";
/// Button: later page.
pub const BUTTON_NEXT: &str = "Next ▶";
/// Button: pages that are not loaded yet.
pub const BUTTON_MORE: &str = "⬇ Load more";
/// Button: items of a creator.
pub const BUTTON_ITEMS: &str = "📂 Show items";
/// Button: somebody else by chance.
pub const BUTTON_ANOTHER: &str = "🎲 Another";
/// Button: the creator's page.
pub const BUTTON_OPEN: &str = "Open page";

/// What a person reads when a task failed, by its code. The way on follows from the sentence.
pub fn failure_sentence(code: &str) -> &'static str {
    match code {
        "invalid-task" | "invalid-params" => "I could not understand that.",
        "task-too-large" => "That was too much text for me.",
        "unknown-task-type" | "no-worker" => {
            "Nobody is there to answer this at the moment. Please try again later."
        }
        "not-found" => "I found nothing.",
        "plugin-failed" => "I cannot answer this.",
        "retries-exhausted" => "A service I depend on does not answer. Please try again later.",
        "trap" | "exited" | "invalid-output" => {
            "Something broke while I was answering. Please try again."
        }
        "wall-limit" | "cpu-limit" => "That took too long, so I stopped. Please try again.",
        "memory-limit" | "table-limit" | "stack-limit" | "handle-limit" | "hostcall-limit"
        | "input-limit" | "output-limit" | "log-limit" => {
            "That was too much at once. Please ask for something smaller."
        }
        "request-limit" | "request-body-limit" | "response-limit" | "cache-limit" => {
            "I would have had to look up too much for that. Please ask for something smaller."
        }
        "host-error" | "worker-crashed" => "I had an accident while answering. Please try again.",
        "deadline-exceeded" => "I did not get to it in time. Please try again.",
        "cancelled" => "Stopped.",
        _ => "Something went wrong. Please try again.",
    }
}

/// Whether the plugin's own words help the person: it speaks to them in these cases.
pub fn plugin_speaks(code: &str) -> bool {
    matches!(code, "invalid-params" | "not-found" | "plugin-failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_code_has_a_sentence_of_its_own() {
        for code in queue::FAILURE_CODES {
            assert_ne!(failure_sentence(code), failure_sentence("no such code"), "{code}");
        }
    }

    #[test]
    fn commands_fit_telegrams_rules() {
        for (name, description) in COMMANDS {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
            assert!((3..=256).contains(&description.len()), "{name}");
        }
    }
}
