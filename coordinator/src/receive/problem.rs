//! Why no updates arrive.

use tokio::sync::watch;

use crate::metrics;

/// Why no updates arrive at the moment, as a text for people; none while they arrive.
pub(crate) type UpdateProblem = watch::Sender<Option<String>>;

/// What kind of problem it is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Another program has set a webhook.
    ForeignWebhook,
    /// A coordinator of this bot has set a webhook, and this one polls.
    OwnWebhook,
    /// Another program polls.
    OtherPoller,
    /// Our webhook is not set.
    WebhookNotSet,
    /// The Bot API does not answer, or refuses.
    BotApi,
}

impl Cause {
    /// Every cause.
    pub(crate) const ALL: &[Self] = &[
        Self::ForeignWebhook,
        Self::OwnWebhook,
        Self::OtherPoller,
        Self::WebhookNotSet,
        Self::BotApi,
    ];

    /// As a label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ForeignWebhook => "foreign-webhook",
            Self::OwnWebhook => "own-webhook",
            Self::OtherPoller => "other-poller",
            Self::WebhookNotSet => "webhook-not-set",
            Self::BotApi => "bot-api",
        }
    }
}

/// Notes why no updates arrive. Returns whether that is new.
pub(crate) fn begin(problem: &UpdateProblem, cause: Cause, text: &str) -> bool {
    show(Some(cause));
    let before = problem.send_replace(Some(text.to_owned()));
    before.is_none_or(|before| before != text)
}

/// Notes that they arrive, or that another coordinator looks after them.
pub(crate) fn end(problem: &UpdateProblem) {
    show(None);
    problem.send_replace(None);
}

fn show(current: Option<Cause>) {
    for cause in Cause::ALL {
        metrics::updates_blocked(cause.label(), current == Some(*cause));
    }
}
