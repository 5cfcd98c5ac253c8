//! Why a Bot API call failed, grouped by what to do next. Never holds the token.

use std::time::Duration;

use teloxide::errors::ApiError;

/// Why a call failed, grouped by what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BotError {
    /// The message has this text already. Counts as done.
    #[error("the message has this text already")]
    NotModified,
    /// The message is gone or cannot be edited: send a new one.
    #[error("the message cannot be edited")]
    MessageGone,
    /// The person blocked the bot, or the chat is gone: nothing can be sent.
    #[error("the bot cannot write to the chat")]
    Unreachable,
    /// The group has another id now.
    #[error("the group moved to chat {0}")]
    Migrated(i64),
    /// The topic was deleted.
    #[error("the topic is gone")]
    TopicGone,
    /// The rate limit is used up, and the message is not urgent enough to be tried again.
    #[error("the rate limit is used up")]
    RateLimited,
    /// Wait that long, then try again.
    #[error("the Bot API asks to wait {0:?}")]
    RetryAfter(Duration),
    /// Another program polls for updates.
    #[error("another program polls for this bot's updates")]
    Conflict,
    /// A webhook is set, so polling is refused.
    #[error("a webhook is set, so updates cannot be polled")]
    WebhookSet,
    /// The token is refused.
    #[error("the Bot API does not know this token; check TELEGRAM_BOT_TOKEN and TELEGRAM_API_URL")]
    Unauthorized,
    /// The call worked, but its answer lacks a field or cannot be read.
    #[error("the Bot API's answer to {method} cannot be used: {what}")]
    Unreadable {
        /// The method.
        method: String,
        /// What is wrong with it.
        what: String,
    },
    /// A network or server error; it may pass.
    #[error("the Bot API does not answer: {0}")]
    Transient(String),
    /// The call itself is wrong; trying again cannot help.
    #[error("the Bot API refuses the call: {0}")]
    Refused(String),
}

impl BotError {
    /// A stable code, for traces and metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotModified => "not-modified",
            Self::MessageGone => "message-gone",
            Self::Unreachable => "unreachable",
            Self::Migrated(_) => "migrated",
            Self::TopicGone => "topic-gone",
            Self::RateLimited => "rate-limited",
            Self::RetryAfter(_) => "retry-after",
            Self::Conflict => "conflict",
            Self::WebhookSet => "webhook-set",
            Self::Unauthorized => "unauthorized",
            Self::Unreadable { .. } => "unreadable",
            Self::Transient(_) => "no-answer",
            Self::Refused(_) => "refused",
        }
    }

    /// How long to wait before the same call is tried again; none when that cannot help.
    pub fn try_again_after(&self, pause: Duration) -> Option<Duration> {
        match self {
            Self::RetryAfter(wait) => Some(*wait),
            // The server may not know a new token yet, and answers must not be lost.
            Self::Transient(_) | Self::Conflict | Self::WebhookSet | Self::Unauthorized => {
                Some(pause)
            }
            Self::NotModified
            | Self::MessageGone
            | Self::Unreachable
            | Self::Migrated(_)
            | Self::RateLimited
            | Self::TopicGone
            | Self::Unreadable { .. }
            | Self::Refused(_) => None,
        }
    }
}

pub(super) fn network_cause(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    kind.to_owned()
}

pub(super) fn classify(error: ApiError) -> BotError {
    match error {
        ApiError::MessageNotModified => BotError::NotModified,
        ApiError::MessageToEditNotFound
        | ApiError::MessageCantBeEdited
        | ApiError::MessageIdInvalid => BotError::MessageGone,
        ApiError::BotBlocked
        | ApiError::ChatNotFound
        | ApiError::UserDeactivated
        | ApiError::BotKicked
        | ApiError::BotKickedFromSupergroup
        | ApiError::BotKickedFromChannel
        | ApiError::GroupDeactivated
        | ApiError::CantInitiateConversation => BotError::Unreachable,
        ApiError::TerminatedByOtherGetUpdates => BotError::Conflict,
        ApiError::CantGetUpdates => BotError::WebhookSet,
        ApiError::InvalidToken => BotError::Unauthorized,
        ApiError::Unknown(text) => unknown(text),
        other => BotError::Refused(other.to_string()),
    }
}

/// teloxide knows no server errors and not every spelling of the others.
fn unknown(text: String) -> BotError {
    let lower = text.to_ascii_lowercase();
    if lower.contains("internal server error")
        || lower.contains("bad gateway")
        || lower.contains("gateway timeout")
    {
        BotError::Transient(text)
    } else if lower.starts_with("conflict") {
        BotError::Conflict
    } else if lower.contains("message thread not found") {
        BotError::TopicGone
    } else if lower.starts_with("forbidden")
        || lower.contains("not enough rights to send")
        || lower.contains("chat_write_forbidden")
    {
        BotError::Unreachable
    } else {
        BotError::Refused(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_consequence() {
        let check = |text: &str, expected: BotError| {
            let error: ApiError =
                serde_json::from_value(serde_json::Value::String(text.to_owned())).unwrap();
            assert_eq!(classify(error), expected, "{text}");
        };
        check("Bad Request: message to edit not found", BotError::MessageGone);
        check("Forbidden: bot was blocked by the user", BotError::Unreachable);
        check("Forbidden: the group chat was deleted", BotError::Unreachable);
        check("Internal Server Error", BotError::Transient("Internal Server Error".to_owned()));
        check("Unauthorized", BotError::Unauthorized);
        check("can't use getUpdates method while webhook is active", BotError::WebhookSet);
    }

    #[test]
    fn what_waiting_does_not_mend_is_not_tried_again() {
        let pause = Duration::from_secs(3);
        let check = |error: BotError, expected: Option<Duration>| {
            assert_eq!(error.try_again_after(pause), expected, "{error}");
        };
        check(BotError::WebhookSet, Some(pause));
        check(BotError::Conflict, Some(pause));
        check(BotError::Transient(String::new()), Some(pause));
        check(BotError::RetryAfter(pause * 2), Some(pause * 2));
        check(BotError::Unreadable { method: String::new(), what: String::new() }, None);
        check(BotError::Refused(String::new()), None);
    }
}
