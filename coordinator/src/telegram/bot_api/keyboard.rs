//! The buttons under a message, and the keys below the input field, as Telegram takes them.

use reqwest::Url;
use teloxide::types::{
    InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton, KeyboardMarkup, ReplyMarkup,
};

use crate::chat::address::Place;
use crate::chat::render::links;
use crate::chat::screen::{Action, Button, Screen};

pub(super) fn markup(place: &Place, screen: &Screen) -> Option<ReplyMarkup> {
    if screen.keys.is_empty() {
        return keyboard(place, screen).map(ReplyMarkup::InlineKeyboard);
    }
    let rows =
        screen.keys.iter().map(|row| row.iter().map(KeyboardButton::new).collect::<Vec<_>>());
    Some(ReplyMarkup::Keyboard(KeyboardMarkup::new(rows).persistent().resize_keyboard()))
}

pub(super) fn keyboard(place: &Place, screen: &Screen) -> Option<InlineKeyboardMarkup> {
    if screen.buttons.is_empty() {
        return None;
    }
    let addresses: Vec<&str> = screen.buttons.iter().flatten().filter_map(address).collect();
    let mut fit = links::fitting_buttons(&addresses).into_iter();
    let mut fits = |of: &&Button| address(of).is_none() || fit.next().unwrap_or(false);
    let rows: Vec<Vec<InlineKeyboardButton>> = screen
        .buttons
        .iter()
        .map(|row| row.iter().filter(&mut fits).filter_map(|of| button(place, of)).collect())
        .filter(|row: &Vec<_>| !row.is_empty())
        .collect();
    (!rows.is_empty()).then(|| InlineKeyboardMarkup::new(rows))
}

/// The address that a button opens.
fn address(button: &Button) -> Option<&str> {
    match &button.action {
        Action::Open(url) => Some(url),
        Action::Press(_) => None,
    }
}

fn button(place: &Place, button: &Button) -> Option<InlineKeyboardButton> {
    match &button.action {
        Action::Press(token) => {
            Some(InlineKeyboardButton::callback(&button.text, token.encode(place)))
        }
        // An address that does not parse has no button; its text stands in the message.
        Action::Open(url) => {
            Url::parse(url).ok().map(|url| InlineKeyboardButton::url(&button.text, url))
        }
    }
}
