//! A plugin's view as a session keeps it.
//!
//! [`View`] is read from a result by the crate that the worker checks it with, and shown by [`super::render::view`].

use chat_commands::view::View;
use serde::{Deserialize, Serialize};

/// A view as a session stores it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoredView {
    /// Its name in buttons.
    pub view: String,
    /// What it shows.
    pub content: View,
    /// The page that is shown, from 0.
    #[serde(default)]
    pub page: usize,
}

#[cfg(test)]
mod tests {
    use chat_commands::view::ViewAction;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_view_reads_back_from_a_session() {
        let view = json!({"version": 1, "text": "x", "items": [{"title": "One"}], "next": {"task_type": "t"}});
        let content = View::read(&json!({"view": view})).unwrap();
        let stored = StoredView { view: "ab".to_owned(), content, page: 0 };
        let json = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<StoredView>(&json).unwrap(), stored);
    }

    #[test]
    fn what_an_older_coordinator_stored_is_read() {
        let stored = json!({"view": "ab", "content": {"text": "x", "buttons": [[
            {"text": "Again", "does": {"ask": {"task_type": "roll_dice"}}},
            {"text": "Page", "does": {"open": "https://c.example"}},
        ]]}});
        let view: StoredView = serde_json::from_value(stored).unwrap();
        assert!(view.content.task_request(0).is_some());
        let address = ViewAction::OpenUrl("https://c.example".to_owned());
        assert_eq!(view.content.buttons[0][1].action, address);
    }
}
