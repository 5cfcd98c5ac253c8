//! The messages themselves, to each administrator.

use std::time::Duration;

use futures::future::join_all;
use ops::retry::{self, RetryPolicy};
use ops::shutdown::Shutdown;
use ops::words::span;
use queue::task::now_ms;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::condition::Condition;
use super::told::Told;
use crate::chat::address::ChatAddress;
use crate::chat::screen::Screen;
use crate::metrics;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::{Priority, Sender};

/// Pause before a message is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// Longest time that one message is tried for. What is wrong meanwhile waits.
const TRIED_FOR: Duration = Duration::from_secs(120);

/// Sends them.
#[derive(Debug)]
pub(super) struct Messenger {
    sender: Sender,
    admins: Vec<i64>,
    shutdown: Shutdown,
}

impl Messenger {
    pub(super) fn new(sender: Sender, admins: Vec<i64>, shutdown: CancellationToken) -> Self {
        Self { sender, admins, shutdown: Shutdown::new(shutdown) }
    }

    /// Something is wrong.
    pub(super) async fn begun(&self, condition: &Condition) {
        tracing::warn!(cause = condition.cause, "telling the administrators what is wrong");
        let mark = if condition.urgent { "🔴" } else { "🟠" };
        let mut screen = Screen::plain(format!("{mark} {}", condition.html));
        screen.buttons = condition.button.iter().map(|button| vec![button.clone()]).collect();
        self.send("begun", &condition.cause, &screen).await;
    }

    /// It is over.
    pub(super) async fn ended(&self, cause: &str, told: &Told) {
        tracing::info!(cause, "telling the administrators that it is over");
        let lasted = Duration::from_millis(now_ms().saturating_sub(told.at));
        let html = format!("✅ Over after {}: {}", span(lasted), told.html);
        self.send("over", cause, &Screen::plain(html)).await;
    }

    async fn send(&self, event: &'static str, cause: &str, screen: &Screen) {
        let sent = join_all(self.admins.iter().map(|admin| self.send_to(*admin, screen))).await;
        let is_sent = sent.contains(&true);
        metrics::administrators_told(event, is_sent);
        if !is_sent {
            tracing::error!(
                cause,
                "no administrator could be told; have they written to the bot once?"
            );
        }
    }

    async fn send_to(&self, admin: i64, screen: &Screen) -> bool {
        let address = ChatAddress { chat_id: admin, owner: admin, ..ChatAddress::default() };
        let until = Instant::now() + TRIED_FOR;
        let send = || self.sender.send(&address, screen, Priority::Reply);
        let pause_after = |error: &BotError, pause| {
            error.try_again_after(pause).filter(|pause| Instant::now() + *pause < until)
        };
        let policy = RetryPolicy::fixed(AGAIN);
        match retry::until_given_up(policy, &self.shutdown, send, pause_after).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "an administrator was not told");
                false
            }
            Err(_) => false,
        }
    }
}
