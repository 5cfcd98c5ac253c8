//! Inline keyboards and reply keyboards in Telegram's types.

use reqwest::Url;
use teloxide::types::{
    InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton, KeyboardMarkup, ReplyMarkup,
};

use crate::chat::address::ChatAddress;
use crate::chat::render::links;
use crate::chat::screen::{Button, ButtonTarget, Screen};

pub(super) fn markup(address: &ChatAddress, screen: &Screen) -> Option<ReplyMarkup> {
    if screen.keys.is_empty() {
        return keyboard(address, screen).map(ReplyMarkup::InlineKeyboard);
    }
    let rows =
        screen.keys.iter().map(|row| row.iter().map(KeyboardButton::new).collect::<Vec<_>>());
    Some(ReplyMarkup::Keyboard(KeyboardMarkup::new(rows).persistent().resize_keyboard()))
}

pub(super) fn keyboard(address: &ChatAddress, screen: &Screen) -> Option<InlineKeyboardMarkup> {
    if screen.buttons.is_empty() {
        return None;
    }
    let addresses: Vec<&str> = screen.buttons.iter().flatten().filter_map(url).collect();
    let mut fit = links::fitting_buttons(&addresses).into_iter();
    let mut fits = |of: &&Button| url(of).is_none() || fit.next().unwrap_or(false);
    let rows: Vec<Vec<InlineKeyboardButton>> = screen
        .buttons
        .iter()
        .map(|row| row.iter().filter(&mut fits).filter_map(|of| button(address, of)).collect())
        .filter(|row: &Vec<_>| !row.is_empty())
        .collect();
    (!rows.is_empty()).then(|| InlineKeyboardMarkup::new(rows))
}

/// The URL that a button opens.
fn url(button: &Button) -> Option<&str> {
    match &button.target {
        ButtonTarget::Url(url) => Some(url),
        ButtonTarget::Callback(_) => None,
    }
}

fn button(address: &ChatAddress, button: &Button) -> Option<InlineKeyboardButton> {
    match &button.target {
        ButtonTarget::Callback(action) => {
            Some(InlineKeyboardButton::callback(&button.text, action.encode(address)))
        }
        // A URL that does not parse gets no button; the message shows its text.
        ButtonTarget::Url(url) => {
            Url::parse(url).ok().map(|url| InlineKeyboardButton::url(&button.text, url))
        }
    }
}
