//! `/settings`: choose the language, delete one's data.

use super::turn::{Turn, done, note_on};
use crate::chat::callback::ButtonAction;
use crate::chat::effect::{Effect, Pressed};
use crate::chat::screen::{Button, Screen};
use crate::chat::session::Session;
use crate::chat::text::{Arg, Lang};

/// The settings, with buttons to change them.
pub(super) fn screen(session: &Session, lang: Lang) -> Screen {
    let name = match session.chosen {
        Some(chosen) => chosen.name().to_owned(),
        None => lang.format("settings-language-auto", &[("name", Arg::Text(session.heard.name()))]),
    };
    let mut screen = Screen::plain(lang.format("settings", &[("language", Arg::Text(&name))]));
    let choose = |lang: Lang| Button::press(lang.name(), ButtonAction::Language(Some(lang)));
    screen.buttons.push(Lang::ALL.map(choose).into());
    screen.buttons.push(vec![Button::named(lang, "button-auto", ButtonAction::Language(None))]);
    screen.buttons.push(vec![Button::named(lang, "button-forget", ButtonAction::Forget)]);
    screen
}

pub(super) fn press(turn: &mut Turn<'_>, action: &ButtonAction, pressed: &Pressed) -> Vec<Effect> {
    match action {
        ButtonAction::Language(chosen) => {
            turn.session.chosen = *chosen;
            turn.lang = turn.session.lang();
            let note = note_on(pressed.clone(), turn.lang.text("settings-changed"));
            let mut effects = vec![Effect::SetLanguage(*chosen), note];
            effects.extend(turn.show(pressed, screen(turn.session, turn.lang)).pop());
            effects
        }
        ButtonAction::Forget => {
            let mut sure = Screen::plain(turn.lang.text("forget-sure"));
            let forget =
                Button::named(turn.lang, "button-forget-sure", ButtonAction::ForgetConfirmed);
            let back = Button::named(turn.lang, "button-back", ButtonAction::Settings);
            sure.buttons.push(vec![forget, back]);
            turn.show(pressed, sure)
        }
        ButtonAction::ForgetConfirmed => {
            let message_id = pressed.message_id;
            let turns = turn.number;
            let screen = Screen::plain(turn.lang.text("forgotten"));
            let tasks = turn.session.to_stop();
            let show = Effect::Show { message_id, screen, turn: turns };
            vec![done(pressed), Effect::DeleteData { tasks }, show]
        }
        _ => turn.show(pressed, screen(turn.session, turn.lang)),
    }
}
