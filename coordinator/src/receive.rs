//! Updates from Telegram, by long polling or a webhook, handled in order and confirmed when they are safe.

pub(crate) mod dispatch;
pub(crate) mod poller_lease;
pub(crate) mod polling;
pub(crate) mod problem;
mod watermark;
pub(crate) mod webhook;

pub(crate) use problem::UpdateProblem;
