//! Turns a finished task into the message that a person reads.

use chat_commands::view::View;
use queue::{FailureCode, TaskResult};

use crate::chat::callback::ButtonAction;
use crate::chat::contents::ContentView;
use crate::chat::question::Question;
use crate::chat::render::{content, creators, view};
use crate::chat::results::ResultSet;
use crate::chat::sanitize::safe_html;
use crate::chat::screen::{Button, Screen};
use crate::chat::session::Session;
use crate::chat::view::StoredView;

/// Longest error text of a plugin, in characters.
const MAX_REASON_CHARS: usize = 300;

/// The answer as a message. The session remembers what its buttons refer to.
///
/// The same answer twice gives the same message and changes the session once. `view` is the name of what is shown
/// ([`crate::chat::callback::view_name`]).
pub fn answer(
    session: &mut Session,
    view: String,
    question: &Question,
    result: &TaskResult,
) -> Screen {
    if !result.success {
        return failed(session, view, question, result);
    }
    match question {
        Question::Search { query } => {
            keep_results(session, ResultSet::read(view, query.clone(), &result.data))
        }
        Question::Extended { query, back, page } => {
            let query = query.clone();
            let back = back.clone();
            keep_results(session, ResultSet::read_forum(view, query, &result.data, back, *page))
        }
        Question::Random { .. } => {
            let Some(set) = ResultSet::read_random(view.clone(), &result.data) else {
                return failed(session, view, question, &unreadable());
            };
            if let Some(creator) = set.creators.first() {
                session.keep_seen(&creator.url);
            }
            keep_results(session, set)
        }
        Question::Content { creator, back, filter } => {
            let mut content = session.content(&view).cloned().unwrap_or_else(|| ContentView {
                view,
                creator: creator.clone(),
                results: Some(back.clone()).filter(|back| !back.is_empty()),
                filter: *filter,
                ..ContentView::default()
            });
            content.append(&result.data);
            keep_content(session, content)
        }
        Question::More { view, creator, filter, .. } => {
            // The session may have dropped the view by now: then only the new items are shown.
            let mut content = session.content(view).cloned().unwrap_or_else(|| ContentView {
                view: view.clone(),
                creator: creator.clone(),
                filter: *filter,
                ..ContentView::default()
            });
            content.append(&result.data);
            keep_content(session, content)
        }
        Question::Plugin { .. } => match View::read(&result.data) {
            Some(content) => {
                let stored = StoredView { view, content, page: 0 };
                let screen = view::page(session.lang(), &stored, 0);
                session.keep_view(stored);
                screen
            }
            None => {
                let done = session.lang().text("nothing-to-show");
                under(session, question, &done).unwrap_or_else(|| Screen::plain(done))
            }
        },
    }
}

fn keep_results(session: &mut Session, set: ResultSet) -> Screen {
    // An answer that was shown before keeps the page that the person turned to.
    let page = session.results(&set.view).map_or(0, |known| known.page);
    let set = ResultSet { page, ..set };
    let screen = creators::page(session.lang(), &set);
    session.keep_results(set);
    screen
}

fn keep_content(session: &mut Session, content: ContentView) -> Screen {
    let screen = content::page(session.lang(), &content);
    session.keep_content(content);
    screen
}

fn unreadable() -> TaskResult {
    TaskResult::failure(FailureCode::InvalidOutput, "the plugin's answer cannot be read")
}

/// Says what went wrong, with buttons to go on.
fn failed(session: &mut Session, view: String, question: &Question, result: &TaskResult) -> Screen {
    let lang = session.lang();
    let code = result.failure_code();
    // A creator without items is not an error.
    if let (Question::Content { creator, back, filter }, Some(FailureCode::NotFound)) =
        (question, code)
    {
        let content = ContentView {
            view,
            creator: creator.clone(),
            results: Some(back.clone()).filter(|back| !back.is_empty()),
            filter: *filter,
            ..ContentView::default()
        };
        return keep_content(session, content);
    }
    // The plugin itself refuses: trying again cannot help.
    let for_good = matches!(
        code,
        Some(FailureCode::InvalidParams | FailureCode::NotFound | FailureCode::PluginFailed)
    );
    let sentence = match (question, code) {
        (Question::Random { .. }, Some(FailureCode::NotFound)) => lang.text("random-nobody"),
        (Question::Extended { .. }, Some(FailureCode::PluginFailed)) => {
            lang.text("extended-cannot")
        }
        // A plugin with a command of its own writes its own error texts.
        (Question::Plugin { .. }, _) if for_good => {
            safe_html(result.error.as_deref().unwrap_or_default(), MAX_REASON_CHARS)
        }
        _ => lang.failure(code),
    };
    let mark = match (question, code) {
        (_, Some(FailureCode::Cancelled)) => "✋",
        (Question::Random { .. }, Some(FailureCode::NotFound)) => "🤷",
        _ => "⚠️",
    };
    let sentence = format!("{mark} {sentence}");
    // What the message showed stays below the error, with its buttons.
    if let Some(screen) = under(session, question, &sentence) {
        return screen;
    }
    let mut row = Vec::new();
    if !for_good {
        row.push(Button::named(
            lang,
            "button-try-again",
            ButtonAction::Retry { view: view.clone() },
        ));
        session.keep_failed(view, question.clone());
    }
    if let Question::Extended { back, .. } | Question::Content { back, .. } = question
        && let Some(set) = session.results(back)
    {
        let action = ButtonAction::Results { view: set.view.clone() };
        row.push(Button::named(lang, "button-results", action));
    }
    let buttons = if row.is_empty() { Vec::new() } else { vec![row] };
    Screen { html: sentence, buttons, ..Screen::default() }
}

/// What the message showed before, below a sentence; none when the session no longer holds it.
fn under(session: &Session, question: &Question, sentence: &str) -> Option<Screen> {
    let lang = session.lang();
    let mut screen = match question {
        Question::More { view, .. } => content::page(lang, session.content(view)?),
        Question::Plugin { back, .. } => {
            let stored = session.view(back)?;
            view::page(lang, stored, stored.page)
        }
        _ => return None,
    };
    screen.html = format!("{sentence}\n\n{}", screen.html);
    Some(screen)
}
