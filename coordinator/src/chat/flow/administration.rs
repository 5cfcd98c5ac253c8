//! Buttons of the messages to administrators.

use super::turn::{Turn, done};
use crate::chat::callback::ButtonAction;
use crate::chat::effect::{Effect, Pressed};

/// None when the person is no administrator any more.
pub(super) fn press(
    turn: &Turn<'_>,
    action: ButtonAction,
    pressed: &Pressed,
) -> Option<Vec<Effect>> {
    if !turn.context.admin {
        return None;
    }
    let query_id = pressed.query_id.clone();
    Some(match action {
        ButtonAction::Stats => vec![done(pressed), Effect::Stats],
        ButtonAction::Plugins => vec![done(pressed), Effect::Plugins],
        ButtonAction::ReplayDead { task_type } => vec![Effect::ReplayDead { task_type, query_id }],
        ButtonAction::Resume { task_type } => vec![Effect::Resume { task_type, query_id }],
        _ => return None,
    })
}
