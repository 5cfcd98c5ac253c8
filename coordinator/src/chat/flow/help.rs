//! `/start`, `/help`, `/privacy`, and the reply keyboard.

use super::turn::TurnContext;
use crate::chat::sanitize::{escape, safe_html};
use crate::chat::screen::Screen;
use crate::chat::text::{Arg, Lang};

/// The reply keyboard, in rows: the sentence on each key, and its command.
const KEYS: [[(&str, &str); 2]; 2] = [
    [("key-search", "search"), ("key-random", "random")],
    [("key-status", "status"), ("key-settings", "settings")],
];

/// The bot's own commands, in the order of the menu.
const COMMANDS: [(&str, &str); 7] = [
    ("search", "command-search"),
    ("random", "command-random"),
    ("status", "command-status"),
    ("cancel", "command-cancel"),
    ("settings", "command-settings"),
    ("privacy", "command-privacy"),
    ("help", "command-help"),
];

/// Name and description of the bot's own commands.
pub fn commands(lang: Lang) -> Vec<(String, String)> {
    COMMANDS.map(|(name, id)| (name.to_owned(), lang.text(id))).into()
}

/// The command of a key with this text, in any language: the keys may have been sent in another one.
pub(super) fn key(text: &str) -> Option<&'static str> {
    let mut keys = KEYS.iter().flatten();
    let found = keys.find(|(id, _)| Lang::ALL.iter().any(|lang| lang.text(id) == text.trim()));
    found.map(|(_, command)| *command)
}

/// The privacy notice: the operator's, or the bot's own.
pub(super) fn privacy(context: &TurnContext<'_>, lang: Lang) -> Screen {
    match context.privacy.said_in(lang) {
        Some(text) => Screen::plain(escape(text)),
        None => Screen::plain(lang.text("privacy")),
    }
}

/// The message of `/start` or `/help`.
pub(super) fn screen(context: &TurnContext<'_>, lang: Lang, name: &str) -> Screen {
    let private = context.address.private();
    let mut html = match name {
        _ if !private => lang.format("help-group", &[("bot", Arg::Text(&escape(context.bot)))]),
        "start" => lang.text("welcome"),
        _ => lang.text("help"),
    };
    let mut offered = context.menu.iter().peekable();
    if name == "help" && offered.peek().is_some() {
        html.push_str("\n\n");
        html.push_str(&lang.text("help-plugins"));
        html.push('\n');
        for command in offered {
            let description = safe_html(command.description_in(lang.code()), 256);
            html.push_str(&format!("\n• /{}: {description}", command.name));
        }
    }
    if context.admin && name == "help" {
        html.push_str("\n\n");
        html.push_str(&lang.text("help-admin"));
    }
    let mut screen = Screen::plain(html);
    // In a group everybody would get the keys.
    if private {
        screen.keys =
            KEYS.iter().map(|row| row.iter().map(|(id, _)| lang.text(id)).collect()).collect();
    }
    screen
}
