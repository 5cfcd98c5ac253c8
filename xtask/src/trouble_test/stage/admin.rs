//! An administrator's chat: what they are told there.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::chat::{Chat, Message};
use crate::stop::Stop;

/// The administrator.
const ID: i64 = 900;
pub(super) const ID_TEXT: &str = "900";
const TOLD_WITHIN: Duration = Duration::from_secs(90);

/// Remembers what came and was not asked about yet.
#[derive(Debug)]
pub(super) struct Admin {
    chat: Chat,
    unread: Vec<Message>,
    last: Option<Message>,
}

impl Admin {
    /// Writes to the bot, which may not write to anybody who has not.
    pub(super) fn write(simulator: &str, stop: &Stop) -> anyhow::Result<Self> {
        let chat = Chat::open(simulator, ID, stop)?.unseen(TOLD_WITHIN);
        chat.say("/start")?;
        Ok(Self { chat, unread: Vec::new(), last: None })
    }

    /// Waits for a message with all these parts, and forgets it.
    pub(super) fn is_told(&mut self, parts: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + TOLD_WITHIN;
        loop {
            let fits = |message: &Message| parts.iter().all(|part| message.text.contains(part));
            if let Some(at) = self.unread.iter().position(fits) {
                let told = self.unread.remove(at);
                println!("  told │ {}", told.text);
                self.last = Some(told);
                return Ok(());
            }
            if deadline < Instant::now() {
                let unread: Vec<&str> = self.unread.iter().map(|one| one.text.as_str()).collect();
                bail!("the administrator was not told {parts:?}, but {unread:#?}");
            }
            self.unread.extend(self.chat.news()?);
        }
    }

    /// Presses a button of the message that was found last.
    pub(super) fn presses(&self, label: &str) -> anyhow::Result<()> {
        self.chat.press(self.last.as_ref().context("no message was found")?, label)
    }
}
