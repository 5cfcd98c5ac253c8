//! From a finished task to the message that a person reads.

use queue::{FailureCode, TaskResult};

use crate::chat::callback::ButtonAction;
use crate::chat::contents::ContentView;
use crate::chat::question::Question;
use crate::chat::render::{content, creators, view};
use crate::chat::results::ResultSet;
use crate::chat::sanitize::safe_html;
use crate::chat::screen::{Button, Screen};
use crate::chat::session::Session;
use crate::chat::view::{StoredView, View};

/// Longest text of a plugin in an error message, in characters.
const MAX_REASON_CHARS: usize = 300;

/// The answer as a message; the session remembers what its buttons lead to.
///
/// The same answer twice gives the same message and changes the session once. `view` names what is shown
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
            // The view is gone when the person did much else in between: what came is then shown alone.
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
    // Shown before: the page that the person has turned to stays.
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

/// Says what went wrong in plain words, with a way on.
fn failed(session: &mut Session, view: String, question: &Question, result: &TaskResult) -> Screen {
    let lang = session.lang();
    let code = result.failure_code();
    // A creator without items is no failure.
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
    // The plugin itself says that it cannot be: once more cannot help.
    let for_good = matches!(
        code,
        Some(FailureCode::InvalidParams | FailureCode::NotFound | FailureCode::PluginFailed)
    );
    let sentence = match (question, code) {
        (Question::Random { .. }, Some(FailureCode::NotFound)) => lang.text("random-nobody"),
        (Question::Extended { .. }, Some(FailureCode::PluginFailed)) => {
            lang.text("extended-cannot")
        }
        // A plugin that brings its own command speaks for itself.
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
    // What was there stays there, under the news, with the button that asks again.
    if let Some(screen) = under(session, question, &sentence) {
        return screen;
    }
    let mut row = Vec::new();
    if !for_good {
        row.push(Button::named(
            lang,
            "button-try-again",
            ButtonAction::Again { view: view.clone() },
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

/// What a question's message showed before, under a sentence; none when that is not remembered.
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
