//! From a finished task to the message that a person reads.

use queue::TaskResult;

use super::results;
use crate::callback::Token;
use crate::question::Question;
use crate::render::{Button, Screen, content, shown};
use crate::session::{ContentView, ResultSet, Session};
use crate::text;

/// Longest text of a plugin in an error message, in characters.
const MAX_REASON_CHARS: usize = 300;

/// The answer as a message; the session remembers what its buttons lead to.
///
/// The same answer twice gives the same message and changes the session once. `view` names what is shown
/// ([`super::view_name`]).
pub fn answer(
    session: &mut Session,
    view: String,
    question: &Question,
    result: &TaskResult,
) -> Screen {
    if !result.success {
        return failed(session, question, result);
    }
    match question {
        Question::Search { query } => {
            let set = ResultSet::read(view, query.clone(), &result.data, None);
            keep_results(session, set)
        }
        Question::Extended { query, back } => {
            let set = ResultSet::read(view, query.clone(), &result.data, Some(back.clone()));
            keep_results(session, set)
        }
        Question::Random { .. } => {
            let Some(set) = ResultSet::read_random(view, &result.data) else {
                return failed(session, question, &unreadable());
            };
            if let Some(creator) = set.creators.first() {
                session.keep_seen(&creator.url);
            }
            keep_results(session, set)
        }
        Question::Content { creator, back } => {
            let mut content = session.content(&view).cloned().unwrap_or_else(|| ContentView {
                view,
                creator: creator.clone(),
                results: Some(back.clone()),
                ..ContentView::default()
            });
            content.append(&result.data);
            keep_content(session, content)
        }
        Question::More { view, creator, .. } => {
            // The view is gone when the person did much else in between: what came is then shown alone.
            let mut content = session.content(view).cloned().unwrap_or_else(|| ContentView {
                view: view.clone(),
                creator: creator.clone(),
                ..ContentView::default()
            });
            content.append(&result.data);
            keep_content(session, content)
        }
    }
}

fn keep_results(session: &mut Session, set: ResultSet) -> Screen {
    let screen = results(&set);
    session.keep_results(set);
    screen
}

fn keep_content(session: &mut Session, content: ContentView) -> Screen {
    let screen = content::page(&content);
    session.keep_content(content);
    screen
}

fn unreadable() -> TaskResult {
    TaskResult::failure("invalid-output", "the plugin's answer cannot be read")
}

/// Says what went wrong in plain words, with a way on.
fn failed(session: &Session, question: &Question, result: &TaskResult) -> Screen {
    let code = result.code().unwrap_or_default();
    let sentence = match result.error.as_deref() {
        Some(reason) if text::plugin_speaks(code) => shown(reason, MAX_REASON_CHARS),
        Some(_) | None => text::failure_sentence(code).to_owned(),
    };
    let sentence = format!("⚠️ {sentence}");
    let back = match question {
        Question::Search { .. } => None,
        Question::Random { .. } => Some((text::BUTTON_ANOTHER, Token::Random)),
        Question::Extended { back, .. } | Question::Content { back, .. } => session
            .results(back)
            .map(|set| (text::BUTTON_RESULTS, Token::Results { view: set.view.clone() })),
        Question::More { view, .. } => {
            // What was there stays there, under the bad news.
            if let Some(content) = session.content(view) {
                let mut screen = content::page(content);
                screen.html = format!("{sentence}\n\n{}", screen.html);
                return screen;
            }
            None
        }
    };
    let buttons = back.map(|(label, token)| vec![Button::press(label, token)]);
    Screen { html: sentence, buttons: buttons.into_iter().collect() }
}
