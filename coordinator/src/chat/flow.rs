//! The conversation as a pure function: from a session and an event to effects.
//!
//! Nothing here waits, sends or reads a clock, so that tests can play whole conversations. How an answer becomes a message
//! is in [`answer`].

mod administration;
pub mod answer;
mod help;
#[cfg(test)]
mod properties;
mod settings;
pub mod turn;

use chat_commands::OfferedCommand;
use chat_commands::view::TaskRequest;
pub use help::commands;
use queue::TaskId;

use super::callback::{ButtonAction, view_name};
use super::effect::{Effect, Pressed};
use super::event::Event;
use super::filter::Filter;
use super::question::Question;
use super::render::{content, creators, view};
use super::sanitize::safe_html;
use super::screen::Screen;
use super::session::Session;
use super::text::Arg;
use turn::{Turn, TurnContext, note_on};

/// Longest name that is searched for, in characters; the search plugin takes no more.
const MAX_QUERY_CHARS: usize = 200;

/// Longest argument of a plugin's command, in characters: a paragraph.
const MAX_ARGUMENT_CHARS: usize = 1_000;

/// Decides what to do about an event, and changes the session. `update_id` recognises an update that comes again.
pub fn react(
    session: &mut Session,
    context: TurnContext<'_>,
    update_id: u32,
    event: &Event,
) -> Vec<Effect> {
    session.heard = context.language;
    let number = session.turn_of(update_id);
    let lang = session.lang();
    let mut turn = Turn { session, context, lang, number };
    match event {
        Event::Command { name, argument, addressed } => turn.command(name, argument, *addressed),
        Event::Text(text) => match help::key(text) {
            Some(command) => turn.command(command, "", true),
            None => vec![turn.search(text)],
        },
        Event::NoText { .. } => vec![turn.say("text-only")],
        Event::Unreadable => vec![turn.say("unreadable")],
        Event::Press { query_id, message_id, data } => {
            let pressed = Pressed { query_id: query_id.clone(), message_id: *message_id };
            turn.pressed(data, pressed)
        }
    }
}

impl Turn<'_> {
    fn command(&mut self, name: &str, argument: &str, addressed: bool) -> Vec<Effect> {
        let effect = match name {
            "start" | "help" => Effect::Say(help::screen(&self.context, self.lang, name)),
            "search" if argument.is_empty() && self.context.address.private() => {
                self.say("search-what")
            }
            "search" if argument.is_empty() => self.say("search-what-group"),
            "search" => self.search(argument),
            "random" => self.ask(self.random(), None),
            "status" => Effect::Status(self.session.pending.clone()),
            "cancel" => Effect::Cancel { tasks: self.under_way(), pressed: None },
            "privacy" => Effect::Say(help::privacy(&self.context, self.lang)),
            "settings" => Effect::Say(settings::screen(self.session, self.lang)),
            "stats" if self.context.admin && addressed => Effect::Stats,
            "plugins" if self.context.admin && addressed => Effect::Plugins,
            _ => match self.context.menu.get(name) {
                Some(command) => self.plugins_command(command, argument),
                None if addressed && self.context.menu.was_known(name) => {
                    let name = [("command", Arg::Text(name))];
                    Effect::Say(Screen::plain(self.lang.format("command-gone", &name)))
                }
                // In a group an unknown command is for another bot.
                None if addressed => self.say("unknown-command"),
                None => return Vec::new(),
            },
        };
        vec![effect]
    }

    fn plugins_command(&self, command: &OfferedCommand, argument: &str) -> Effect {
        if argument.chars().count() > MAX_ARGUMENT_CHARS {
            let most = [("most", Arg::Number(MAX_ARGUMENT_CHARS as u64))];
            return Effect::Say(Screen::plain(self.lang.format("too-much-text", &most)));
        }
        if let Some(of) = command.argument.as_ref().filter(|of| of.required)
            && argument.is_empty()
        {
            let example = safe_html(of.example.as_deref().unwrap_or("…"), 64);
            let needs = [("command", Arg::Text(&command.name)), ("example", Arg::Text(&example))];
            return Effect::Say(Screen::plain(self.lang.format("command-needs", &needs)));
        }
        let question = Question::Plugin {
            task_type: command.task_type.clone(),
            params: command.params_with(argument, self.lang.code()),
            title: format!("/{} {argument}", command.name).trim_end().to_owned(),
            back: String::new(),
        };
        self.ask(question, None)
    }

    fn search(&self, text: &str) -> Effect {
        let query = text.trim();
        if query.chars().count() > MAX_QUERY_CHARS {
            return self.say("too-long");
        }
        if !query.chars().any(char::is_alphanumeric) {
            return self.say("nothing-to-search");
        }
        self.ask(Question::Search { query: query.to_owned() }, None)
    }

    fn random(&self) -> Question {
        Question::Random { exclude: self.session.seen.clone() }
    }

    fn pressed(&mut self, data: &str, pressed: Pressed) -> Vec<Effect> {
        let action = ButtonAction::decode(data);
        let owner = action.as_ref().and_then(|(_, owner)| *owner);
        let address = self.context.address;
        let note = match owner {
            Some(owner) if owner == address.owner => None,
            Some(owner) if owner == address.chat_id => Some("administrators-button"),
            Some(owner) if owner < 0 => Some("channels-button"),
            Some(_) => Some("foreign-button"),
            None => None,
        };
        let note = match note {
            Some(note) => note,
            None => match action.and_then(|(action, _)| self.press(action, &pressed)) {
                Some(effects) => return effects,
                None => "stale-button",
            },
        };
        vec![note_on(pressed, self.lang.text(note))]
    }

    /// None when the session no longer holds what the button is about.
    fn press(&mut self, action: ButtonAction, pressed: &Pressed) -> Option<Vec<Effect>> {
        let effects = match action {
            ButtonAction::Cancel { view } => {
                let tasks = self.under_way().into_iter().filter(|id| view_name(id) == view);
                let tasks: Vec<TaskId> = tasks.collect();
                if tasks.is_empty() {
                    vec![note_on(pressed.clone(), self.lang.text("cancelled-none"))]
                } else {
                    vec![Effect::Cancel { tasks, pressed: Some(pressed.clone()) }]
                }
            }
            ButtonAction::Album { view, page } => {
                let media = match self.session.view(&view) {
                    Some(stored) => view::album(self.lang, stored),
                    None => content::album(self.session.content(&view)?, page),
                };
                let note = note_on(pressed.clone(), self.lang.text("note-album"));
                vec![note, Effect::Album { media, message_id: pressed.message_id, page }]
            }
            ButtonAction::ViewPage { view, page } => {
                let stored = self.session.view_mut(&view)?;
                stored.page = page;
                let screen = view::page(self.lang, stored, page);
                self.show(pressed, screen)
            }
            ButtonAction::PressViewButton { view, index } => {
                let ask = self.session.view(&view)?.content.task_request(index)?.clone();
                if !self.context.menu.offers(&ask.task_type) {
                    return Some(vec![note_on(pressed.clone(), self.lang.text("gone-button"))]);
                }
                let label = self.session.view(&view)?.content.label(index).to_owned();
                let title = if label.is_empty() { self.lang.text("button-more") } else { label };
                let TaskRequest { task_type, params } = ask;
                let question = Question::Plugin { task_type, params, title, back: view };
                vec![self.ask(question, Some(pressed.clone()))]
            }
            ButtonAction::Stats
            | ButtonAction::Plugins
            | ButtonAction::ReplayDead { .. }
            | ButtonAction::Resume { .. } => administration::press(self, action, pressed)?,
            ButtonAction::Settings
            | ButtonAction::Language(_)
            | ButtonAction::Forget
            | ButtonAction::ForgetConfirmed => settings::press(self, &action, pressed),
            ButtonAction::ResultsPage { view, page } => {
                let set = self.session.results_mut(&view)?;
                set.page = page.min(set.last_page());
                let screen = creators::page(self.lang, set);
                self.show(pressed, screen)
            }
            ButtonAction::ContentPage { view, page } => {
                let content = self.session.content_mut(&view)?;
                content.page = page.min(content.last_page());
                let screen = content::page(self.lang, content);
                self.show(pressed, screen)
            }
            ButtonAction::Results { view } => {
                let screen = creators::page(self.lang, self.session.results(&view)?);
                self.show(pressed, screen)
            }
            // Pressed twice: the next items are loaded already.
            ButtonAction::LoadMore { view } if self.session.content(&view)?.cursor.is_none() => {
                let screen = content::page(self.lang, self.session.content(&view)?);
                self.show(pressed, screen)
            }
            asking => vec![self.ask(self.asked_by(asking)?, Some(pressed.clone()))],
        };
        Some(effects)
    }

    /// The question that a button asks.
    fn asked_by(&self, action: ButtonAction) -> Option<Question> {
        let session = &self.session;
        Some(match action {
            ButtonAction::Random => self.random(),
            ButtonAction::OpenCreator { view, index } => {
                let creator = session.results(&view)?.creators.get(index)?.clone();
                Question::Content { creator, back: view, filter: Filter::All }
            }
            ButtonAction::SearchForum { view } => {
                let query = session.results(&view)?.query.clone();
                Question::Extended { query, back: view, page: 1 }
            }
            ButtonAction::ForumPage { view, page } => {
                let set = session.results(&view)?;
                let query = set.query.clone();
                let back = set.extended_from.clone()?;
                Question::Extended { query, back, page: page as u64 }
            }
            ButtonAction::LoadMore { view } => {
                let content = session.content(&view)?;
                let creator = content.creator.clone();
                let filter = content.filter;
                Question::More { creator, cursor: content.cursor.clone()?, filter, view }
            }
            ButtonAction::Filter { view, filter } => {
                let content = session.content(&view)?;
                let back = content.results.clone().unwrap_or_default();
                Question::Content { creator: content.creator.clone(), back, filter }
            }
            ButtonAction::Retry { view } => {
                let failed = session.failed.iter().find(|(known, _)| *known == view);
                failed.map(|(_, question)| question.clone())?
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
