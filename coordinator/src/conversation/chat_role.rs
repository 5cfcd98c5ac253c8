//! Buttons of somebody who wrote in a chat's name: an anonymous administrator, or a channel.
//!
//! Telegram does not say who that was, but it says who presses. Every administrator of that chat may press such a button,
//! and acts in the chat's name.

use std::time::Duration;

use crate::chat::callback::ButtonAction;
use crate::chat::event::{Event, Incoming};
use crate::telegram::bot_api::BotApi;

/// Timeout of the question to Telegram; after it the press stays the person's own.
const ASK_AT_MOST: Duration = Duration::from_secs(5);

/// The same press in the name of the chat whose button it is, when the person may act for it; none otherwise.
pub(crate) async fn press_for_chat(bot: &BotApi, incoming: &Incoming) -> Option<Incoming> {
    let Event::Press { data, .. } = &incoming.event else { return None };
    let (_, owner) = ButtonAction::decode(data)?;
    // Bot API: the ids of groups and channels are negative.
    let chat_id = owner.filter(|owner| *owner < 0 && *owner != incoming.address.owner)?;
    let asking = bot.is_administrator(chat_id, incoming.address.owner);
    match tokio::time::timeout(ASK_AT_MOST, asking).await {
        Ok(Ok(true)) => {
            let mut incoming = incoming.clone();
            incoming.address.owner = chat_id;
            Some(incoming)
        }
        Ok(Ok(false)) => None,
        // Telegram does not answer about channels that the bot is not in.
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "chat administrators not read");
            None
        }
        Err(_) => None,
    }
}
