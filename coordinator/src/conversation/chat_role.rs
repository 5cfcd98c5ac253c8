//! Buttons of somebody who wrote in a chat's name: an anonymous administrator, or a channel.
//!
//! Telegram does not say who that was, but it says who presses. Whoever is an administrator of that chat has the role, and
//! acts in it.

use std::time::Duration;

use super::handler::Performer;
use crate::chat::callback::Token;
use crate::chat::event::{Event, Incoming};

/// How long it may take to find out; without an answer somebody has no role.
const ASK_AT_MOST: Duration = Duration::from_secs(5);

impl Performer {
    /// The same press by the chat whose button it is, when whoever pressed may act for it; none otherwise.
    pub(crate) async fn in_role(&self, incoming: &Incoming) -> Option<Incoming> {
        let Event::Press { data, .. } = &incoming.event else { return None };
        let (_, owner) = Token::decode(data)?;
        // Bot API: the ids of groups and channels are negative.
        let role = owner.filter(|owner| *owner < 0 && *owner != incoming.place.owner)?;
        let asking = self.sender.bot().is_administrator(role, incoming.place.owner);
        match tokio::time::timeout(ASK_AT_MOST, asking).await {
            Ok(Ok(true)) => {
                let mut incoming = incoming.clone();
                incoming.place.owner = role;
                Some(incoming)
            }
            Ok(Ok(false)) => None,
            // Of a channel that the bot is not in, Telegram says nothing.
            Ok(Err(error)) => {
                tracing::debug!(error = %error, "it is not known who may act for a chat");
                None
            }
            Err(_) => None,
        }
    }
}
