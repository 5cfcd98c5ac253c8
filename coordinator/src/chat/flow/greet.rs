//! `/start`, `/help`, `/privacy`, and the keys below the input field.

use super::turn::TurnContext;
use crate::chat::sanitize::{escape, safe_html};
use crate::chat::screen::Screen;
use crate::chat::text::{Arg, Lang};

/// The keys, in rows: the sentence on each, and the command that it stands for.
const KEYS: [[(&str, &str); 2]; 2] = [
    [("key-search", "search"), ("key-random", "random")],
    [("key-status", "status"), ("key-settings", "settings")],
];

/// Commands in the chats' menu, in the order in which they are shown.
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

/// The command of a key with this text, in whichever language it was when the keys were sent.
pub(super) fn key(text: &str) -> Option<&'static str> {
    let mut keys = KEYS.iter().flatten();
    let found = keys.find(|(id, _)| Lang::ALL.iter().any(|lang| lang.text(id) == text.trim()));
    found.map(|(_, command)| *command)
}

/// What is kept about people, for how long, and how to be forgotten.
pub(super) fn privacy(context: &TurnContext<'_>, lang: Lang) -> Screen {
    match context.privacy.said_in(lang) {
        Some(text) => Screen::plain(escape(text)),
        None => Screen::plain(lang.text("privacy")),
    }
}

/// What `name` (`start` or `help`) says.
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
    // In a group the keys would stand below everybody's input field.
    if private {
        screen.keys =
            KEYS.iter().map(|row| row.iter().map(|(id, _)| lang.text(id)).collect()).collect();
    }
    screen
}
