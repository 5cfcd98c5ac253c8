//! Dispatches updates: a person's action to the handler, news about a chat to the sender.

use std::sync::Arc;

use ops::shutdown::ShuttingDown;
use ops::trace::{self, Current};

use crate::access::admission::{AccessControl, Admission};
use crate::chat::event::Incoming;
use crate::conversation::handler::Handler;
use crate::metrics;
use crate::spans;
use crate::telegram::send::Sender;
use crate::telegram::updates::incoming::{self, BotIdentity, IgnoreReason};
use crate::telegram::updates::update::{Message, ParsedUpdate, Update};

/// An update that is not ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChatUpdate {
    /// The update's number.
    pub(crate) update_id: u32,
    /// Updates of one chat are handled in order.
    pub(crate) chat_id: i64,
    chat_status: ChatStatus,
    incoming: Option<Incoming>,
}

/// What an update says about its chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChatStatus {
    /// It can be written to.
    Reachable,
    /// The bot was blocked or thrown out.
    Blocked,
    /// It is the new chat of this group.
    MigratedFrom(i64),
    /// The group migrated to this chat.
    MigratedTo(i64),
}

/// Reads an update. None when it is ignored or cannot be read; both are counted. An unreadable one is logged by its id,
/// never with its content.
pub(crate) fn read(
    update_id: u32,
    parsed: ParsedUpdate,
    me: BotIdentity<'_>,
) -> Option<ChatUpdate> {
    metrics::update_received();
    let update = match parsed.update {
        Ok(update) => update,
        Err(error) => {
            metrics::update_unreadable(error.reason());
            tracing::warn!(update_id, reason = %error, "update skipped: not readable");
            let incoming = incoming::unreadable(update_id, parsed.sender?)?;
            return Some(ChatUpdate::of(incoming));
        }
    };
    let told = chat_status(&update);
    match (told, incoming::read(update_id, update, me)) {
        (Some((chat_id, chat_status)), incoming) => {
            let incoming = incoming.ok();
            Some(ChatUpdate { update_id, chat_id, chat_status, incoming })
        }
        (None, Ok(incoming)) => Some(ChatUpdate::of(incoming)),
        (None, Err(reason)) => {
            passed_over(update_id, reason);
            None
        }
    }
}

fn passed_over(update_id: u32, reason: IgnoreReason) {
    metrics::update_passed_over(reason.label());
    tracing::debug!(update_id, rule = reason.label(), "update ignored");
}

fn chat_status(update: &Update) -> Option<(i64, ChatStatus)> {
    match update {
        Update::Membership { chat_id, present } => {
            let chat_status = if (*present)? { ChatStatus::Reachable } else { ChatStatus::Blocked };
            Some((*chat_id, chat_status))
        }
        Update::Message(message) => {
            let Message { chat, moved_from, moved_to, .. } = message.as_ref();
            let chat_status = match (moved_from, moved_to) {
                (Some(old), _) => ChatStatus::MigratedFrom(*old),
                (None, Some(new)) => ChatStatus::MigratedTo(*new),
                (None, None) => return None,
            };
            Some((chat.id, chat_status))
        }
        Update::Press(_) | Update::Other => None,
    }
}

impl ChatUpdate {
    fn of(incoming: Incoming) -> Self {
        Self {
            update_id: incoming.update_id,
            chat_id: incoming.address.chat_id,
            chat_status: ChatStatus::Reachable,
            incoming: Some(incoming),
        }
    }
}

/// An update, and whether it is handled.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// What the update asks for.
    pub(crate) chat_update: ChatUpdate,
    admission: Admission,
}

/// Hands updates on.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    access: AccessControl,
    sender: Sender,
    handler: Handler,
}

impl Dispatcher {
    /// What `access` admits goes to `handler`; what an update says about its chat goes to `sender`.
    pub(crate) fn new(access: AccessControl, sender: Sender, handler: Handler) -> Arc<Self> {
        Arc::new(Self { access, sender, handler })
    }

    /// Decides whether an update is handled. Called when it arrives, before it waits for its chat.
    pub(crate) async fn admit(&self, chat_update: ChatUpdate) -> Admitted {
        let admission = match &chat_update.incoming {
            Some(incoming) if self.access.is_allowed(incoming) => {
                // At once, which takes one round trip.
                let preparing = self.handler.prepare(incoming);
                tokio::join!(self.access.admit(incoming), preparing).0
            }
            Some(incoming) => self.access.admit(incoming).await,
            None => Admission::Handle,
        };
        Admitted { chat_update, admission }
    }

    /// Handles an update.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`]: it has to be handled again.
    pub(crate) async fn handle(&self, update: &Admitted) -> Result<(), ShuttingDown> {
        let ChatUpdate { update_id, incoming, .. } = &update.chat_update;
        let mut span = spans::update(*update_id, incoming.as_ref().map(|incoming| &incoming.event));
        let handling = trace::within(Some(Current::new(span.context())), self.handle_now(update));
        let handled = handling.await;
        if handled.is_err() {
            span.fail("shutting-down");
        }
        handled
    }

    async fn handle_now(&self, update: &Admitted) -> Result<(), ShuttingDown> {
        let Admitted { chat_update, admission } = update;
        if let (ChatStatus::Reachable, Some(incoming), Admission::Handle) =
            (chat_update.chat_status, &chat_update.incoming, admission)
        {
            let reachable = self.sender.mark_reachable(chat_update.chat_id);
            return self.handler.handle(incoming, reachable).await;
        }
        match chat_update.chat_status {
            ChatStatus::Reachable => self.sender.mark_reachable(chat_update.chat_id).await,
            ChatStatus::Blocked => self.sender.mark_unreachable(chat_update.chat_id).await,
            ChatStatus::MigratedFrom(old) => {
                self.sender.mark_migrated(old, chat_update.chat_id).await;
            }
            ChatStatus::MigratedTo(new) => {
                self.sender.mark_migrated(chat_update.chat_id, new).await;
            }
        }
        let Some(incoming) = &chat_update.incoming else { return Ok(()) };
        match admission {
            Admission::Handle => self.handler.handle(incoming, std::future::ready(())).await,
            Admission::Ignore => self.handler.ignore(incoming, None).await,
            Admission::Reject(sentence) => self.handler.ignore(incoming, Some(sentence)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telegram::updates::update;

    fn parse(update: &Value) -> Option<ChatUpdate> {
        let parsed = update::read(update.to_string().as_bytes());
        read(5, parsed, BotIdentity { id: 1, username: "freefans_bot" })
    }

    fn member(status: &str) -> Value {
        let bot = json!({"id": 1, "is_bot": true, "first_name": "b"});
        let chat = json!({"id": 7, "type": "private", "first_name": "a"});
        let person = json!({"id": 7, "is_bot": false, "first_name": "a"});
        let member = |status: &str| match status {
            "kicked" => json!({"user": bot, "status": status, "until_date": 0}),
            _ => json!({"user": bot, "status": status}),
        };
        json!({"update_id": 5, "my_chat_member": {
            "chat": chat, "from": person, "date": 1,
            "old_chat_member": member("member"), "new_chat_member": member(status),
        }})
    }

    #[test]
    fn it_is_seen_when_the_bot_is_blocked_and_when_it_is_let_in_again() {
        let chat_status = |status| {
            parse(&member(status)).map(|chat_update| (chat_update.chat_id, chat_update.chat_status))
        };
        assert_eq!(chat_status("kicked"), Some((7, ChatStatus::Blocked)));
        assert_eq!(chat_status("member"), Some((7, ChatStatus::Reachable)));
        assert_eq!(chat_status("a status of the future"), None);
    }

    #[test]
    fn a_group_that_moves_says_so_on_both_sides() {
        let moving = |id: i64, field: &str, other: i64| {
            let mut message = json!({
                "message_id": 3, "date": 1, "chat": {"id": id, "type": "supergroup", "title": "g"},
                "from": {"id": 9, "is_bot": false, "first_name": "a"},
            });
            message[field] = other.into();
            let chat_update = parse(&json!({"update_id": 5, "message": message}));
            chat_update.map(|chat_update| (chat_update.chat_id, chat_update.chat_status))
        };
        let new = -1_000_000_000_007;
        assert_eq!(moving(-7, "migrate_to_chat_id", new), Some((-7, ChatStatus::MigratedTo(new))));
        assert_eq!(
            moving(new, "migrate_from_chat_id", -7),
            Some((new, ChatStatus::MigratedFrom(-7)))
        );
    }
}
