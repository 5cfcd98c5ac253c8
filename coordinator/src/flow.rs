//! The conversation as a pure function: a session and what a person did in, effects out.
//!
//! Nothing here waits, sends or reads a clock, so every turn of a conversation is a row in a test. How an answer
//! becomes a message is in [`answer`].

pub mod answer;

use queue::TaskId;

use crate::callback::Token;
use crate::event::{Effect, Event, Pressed};
use crate::question::Question;
use crate::render::{Screen, content, creators};
use crate::session::{ResultSet, Session};
use crate::text;

/// Longest name that is searched for, in characters; the search plugin takes no more.
const MAX_QUERY_CHARS: usize = 200;

/// What an event leads to. May change the session. `update_id` tells an update that comes again from a new one.
pub fn react(session: &mut Session, update_id: u32, event: &Event) -> Vec<Effect> {
    let turn = session.turn_of(update_id);
    match event {
        Event::Command { name, argument, addressed } => {
            let known = command(session, turn, name, argument);
            // In a group somebody else's command is none of our business.
            let unknown = || addressed.then(|| say(text::UNKNOWN_COMMAND));
            known.or_else(unknown).into_iter().collect()
        }
        Event::Text(text) => vec![search(turn, text)],
        Event::NoText => vec![say(text::TEXT_ONLY)],
        Event::Press { query_id, message_id, data } => {
            let pressed = Pressed { query_id: query_id.clone(), message_id: *message_id };
            match Token::decode(data).and_then(|token| press(session, turn, token, &pressed)) {
                Some(effects) => effects,
                None => {
                    let note = Some(text::STALE_BUTTON.to_owned());
                    vec![Effect::AnswerButton { query_id: pressed.query_id, note }]
                }
            }
        }
    }
}

/// The name of what a task's answer shows, in buttons: the end of its id, so that the same answer twice has one name.
pub fn view_name(id: &TaskId) -> String {
    let digits: Vec<char> = id.as_str().chars().rev().filter(char::is_ascii_hexdigit).collect();
    digits.into_iter().take(12).rev().collect()
}

fn say(html: &str) -> Effect {
    Effect::Say(Screen::plain(html))
}

/// None when there is no such command.
fn command(session: &Session, turn: u64, name: &str, argument: &str) -> Option<Effect> {
    Some(match name {
        "start" => say(text::WELCOME),
        "help" => say(text::HELP),
        "search" if argument.is_empty() => say(text::SEARCH_WHAT),
        "search" => search(turn, argument),
        "random" => Effect::Ask { question: random(session), pressed: None, turn },
        _ => return None,
    })
}

fn search(turn: u64, text: &str) -> Effect {
    let query = text.trim();
    if MAX_QUERY_CHARS < query.chars().count() {
        return say(text::TOO_LONG);
    }
    if !query.chars().any(char::is_alphanumeric) {
        return say(text::NOTHING_TO_SEARCH);
    }
    Effect::Ask { question: Question::Search { query: query.to_owned() }, pressed: None, turn }
}

fn random(session: &Session) -> Question {
    Question::Random { exclude: session.seen.clone() }
}

/// None when the button leads to something that is not remembered any more.
fn press(session: &mut Session, turn: u64, token: Token, pressed: &Pressed) -> Option<Vec<Effect>> {
    let ask = |question| Some(vec![Effect::Ask { question, pressed: Some(pressed.clone()), turn }]);
    let show = |screen| show(pressed, turn, screen);
    match token {
        Token::Random => ask(random(session)),
        Token::Choose { view, place } => {
            let creator = session.results(&view)?.creators.get(place)?.clone();
            ask(Question::Content { creator, back: view })
        }
        Token::Extended { view } => {
            let query = session.results(&view)?.query.clone();
            ask(Question::Extended { query, back: view })
        }
        Token::More { view } => {
            let content = session.content(&view)?;
            match content.cursor.clone() {
                Some(cursor) => {
                    let creator = content.creator.clone();
                    ask(Question::More { view, creator, cursor })
                }
                // Pressed twice: what it asked for is loaded already.
                None => Some(show(content::page(content))),
            }
        }
        Token::Page { view, page } => {
            let content = session.content_mut(&view)?;
            content.page = page.min(content.last_page());
            Some(show(content::page(content)))
        }
        Token::Results { view } => Some(show(results(session.results(&view)?))),
    }
}

fn show(pressed: &Pressed, turn: u64, screen: Screen) -> Vec<Effect> {
    vec![
        Effect::AnswerButton { query_id: pressed.query_id.clone(), note: None },
        Effect::Show { message_id: pressed.message_id, screen, turn },
    ]
}

fn results(set: &ResultSet) -> Screen {
    if set.random { creators::random(set) } else { creators::results(set) }
}

#[cfg(test)]
mod tests;
