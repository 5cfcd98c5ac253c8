//! Replies without a task: messages, turned pages, albums, answers to presses.

use std::sync::Arc;
use std::time::Duration;

use chat_commands::media::Media;
use ops::shutdown::{Shutdown, ShuttingDown};
use ops::trace;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::slow_chats::SlowChats;
use crate::answers::message_edit::{Attempt, MessageEdit, MessageEditor, REPEATED_AFTER};
use crate::chat::address::ChatAddress;
use crate::chat::sanitize::link;
use crate::chat::screen::Screen;
use crate::chat::session::Session;
use crate::chat::text::Lang;
use crate::chat_order::ChatOrder;
use crate::session_store::SessionStore;
use crate::telegram::bot_api::BotError;
use crate::telegram::retry::{CALL_AGAIN, call_until};
use crate::telegram::send::{Priority, Sender};

/// How long a reply is tried: as long as a task would live.
const REPLY_AT_MOST: Duration = Duration::from_secs(120);
/// How long an update waits for its reply before it is confirmed.
const REPLY_HOLDS_UP: Duration = Duration::from_secs(10);
/// Telegram refuses the answer to an older press.
const BUTTON_AT_MOST: Duration = Duration::from_secs(15);

/// Sends replies, in the order of their chat. Used through an [`Arc`]: slow replies go on in the background.
#[derive(Debug)]
pub(crate) struct Replies {
    sender: Sender,
    sessions: SessionStore,
    editor: MessageEditor,
    /// What is sent to a chat keeps its order.
    order: ChatOrder,
    slow_chats: SlowChats,
    background: TaskTracker,
    shutdown: Shutdown,
}

impl Replies {
    /// Replies keep the order of `order`; slow ones go on in `background`.
    pub(crate) fn new(
        sender: Sender,
        sessions: SessionStore,
        editor: MessageEditor,
        order: ChatOrder,
        background: TaskTracker,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let slow_chats = SlowChats::default();
        Arc::new(Self { sender, sessions, editor, order, slow_chats, background, shutdown })
    }

    /// Sends a message, after earlier messages to this chat.
    pub(crate) async fn tell(
        self: &Arc<Self>,
        address: ChatAddress,
        screen: Screen,
    ) -> Result<(), ShuttingDown> {
        let ticket = self.order.ticket(address.chat_id);
        let replies = Arc::clone(self);
        let send = async move {
            ticket.wait().await;
            replies.say(address, screen).await
        };
        self.reply(address.chat_id, send).await
    }

    /// Sends a message in the background, out of order and without retries.
    pub(crate) fn tell_aside(self: &Arc<Self>, address: ChatAddress, screen: Screen) {
        let replies = Arc::clone(self);
        self.background.spawn(trace::carry(async move {
            if let Err(error) = replies.sender.send(&address, &screen, Priority::Reply).await {
                tracing::debug!(error = %error, "notice not sent");
            }
        }));
    }

    /// Sends a reply. A slow one continues in the background: a chat that Telegram slows down must not delay the updates of
    /// others.
    async fn reply(
        &self,
        chat_id: i64,
        make: impl Future<Output = Result<(), ShuttingDown>> + Send + 'static,
    ) -> Result<(), ShuttingDown> {
        let mut making = self.background.spawn(trace::carry(make));
        // The updates of a slow chat do not wait again.
        let holds_up = if self.slow_chats.has(chat_id) { Duration::ZERO } else { REPLY_HOLDS_UP };
        match tokio::time::timeout(holds_up, &mut making).await {
            // A panic is a bug, and would come again with the update.
            Ok(joined) => joined.unwrap_or(Ok(())),
            Err(_) => {
                let slow = self.slow_chats.note(chat_id);
                self.background.spawn(async move {
                    let _ = making.await; // It has said what there was to say.
                    drop(slow);
                });
                Ok(())
            }
        }
    }

    /// Edits a message, unless it shows something newer.
    pub(crate) async fn show(
        self: &Arc<Self>,
        address: ChatAddress,
        message_id: i64,
        screen: Screen,
        turn: u64,
    ) -> Result<(), ShuttingDown> {
        let replies = Arc::clone(self);
        let show = async move { replies.show_now(address, message_id, screen, turn).await };
        self.reply(address.chat_id, show).await
    }

    async fn show_now(
        self: Arc<Self>,
        address: ChatAddress,
        message_id: i64,
        screen: Screen,
        turn: u64,
    ) -> Result<(), ShuttingDown> {
        let until = Instant::now() + REPLY_AT_MOST;
        let mut page = Page { address, message_id, turn, screen, refused: false, until };
        let mut edit = MessageEdit::new(message_id, turn);
        if self.show_page(&mut page, &mut edit).await? == Attempt::Again {
            // In the background: the page is shown already.
            let replies = Arc::clone(&self);
            self.background.spawn(trace::carry(async move {
                let _ = replies.repeat_page(&mut page, &mut edit).await; // Ends with the process.
            }));
        }
        Ok(())
    }

    /// Shows a page again until no older edit can replace it.
    async fn repeat_page(
        &self,
        page: &mut Page,
        edit: &mut MessageEdit,
    ) -> Result<(), ShuttingDown> {
        loop {
            self.shutdown.sleep(REPEATED_AFTER).await?;
            if self.show_page(page, edit).await? == Attempt::Done {
                return Ok(());
            }
        }
    }

    async fn show_page(
        &self,
        page: &mut Page,
        edit: &mut MessageEdit,
    ) -> Result<Attempt, ShuttingDown> {
        loop {
            let message_id = page.message_id;
            let turn = page.turn;
            let may = |session: &mut Session| session.may_show(message_id, turn);
            let shown = match self.sessions.update(page.address.session_key(), may).await {
                Ok(true) => {
                    self.editor.attempt(&page.address, edit, &page.screen, Priority::Reply).await
                }
                Ok(false) => Ok(Attempt::Done),
                Err(error) => Err(BotError::Transient(error.to_string())),
            };
            let error = match shown {
                Ok(attempt) => return Ok(attempt),
                Err(error) => error,
            };
            match error {
                // The person pressed a button on it a moment ago, so a new message is sent.
                BotError::MessageGone if !edit.instead => edit.instead = true,
                BotError::Refused(reason) if !page.refused => {
                    tracing::error!(reason, "Telegram refused a page");
                    let session = self.sessions.load(page.address.session_key()).await;
                    let lang = session.map_or(Lang::En, |session| session.lang());
                    page.screen = Screen::plain(lang.text("cannot-show"));
                    page.refused = true;
                    edit.instead = true;
                }
                error => match error.try_again_after(CALL_AGAIN) {
                    Some(wait) if Instant::now() + wait <= page.until => {
                        tracing::debug!(error = %error, "page edit failed; retrying");
                        self.shutdown.sleep(wait).await?;
                    }
                    _ => {
                        tracing::warn!(error = %error, "page not shown");
                        return Ok(Attempt::Done);
                    }
                },
            }
        }
    }

    async fn say(&self, address: ChatAddress, screen: Screen) -> Result<(), ShuttingDown> {
        let until = Instant::now() + REPLY_AT_MOST;
        let send = || self.sender.send(&address, &screen, Priority::Reply);
        if let Err(error) = call_until(&self.shutdown, until, send).await? {
            tracing::warn!(error = %error, "reply not sent");
        }
        Ok(())
    }

    /// Sends pictures and videos; their addresses when Telegram cannot load one of them.
    pub(crate) async fn album(
        self: &Arc<Self>,
        address: ChatAddress,
        lang: Lang,
        media: Vec<Media>,
    ) -> Result<(), ShuttingDown> {
        let ticket = self.order.ticket(address.chat_id);
        let replies = Arc::clone(self);
        let send = async move {
            ticket.wait().await;
            replies.album_now(address, lang, media).await
        };
        self.reply(address.chat_id, send).await
    }

    async fn album_now(
        &self,
        address: ChatAddress,
        lang: Lang,
        media: Vec<Media>,
    ) -> Result<(), ShuttingDown> {
        let until = Instant::now() + REPLY_AT_MOST;
        let send = || async {
            match self.sender.album(&address, &media).await {
                // Telegram may still be sending it, so do not retry.
                Err(BotError::Transient(reason)) => Err(BotError::Refused(reason)),
                sent => sent,
            }
        };
        let Err(BotError::Refused(reason)) = call_until(&self.shutdown, until, send).await? else {
            return Ok(());
        };
        tracing::info!(reason, "album not sent; sending links instead");
        let lines: Vec<String> =
            media.iter().map(|media| link(title(media), &media.url, 70)).collect();
        let html = format!("{}\n\n{}", lang.text("album-failed"), lines.join("\n"));
        self.say(address, Screen::plain(html)).await
    }

    /// Answers a press in the background, so that the button stops waiting.
    pub(crate) fn answer_button(self: &Arc<Self>, query_id: String, note: Option<String>) {
        let replies = Arc::clone(self);
        self.background.spawn(trace::carry(async move {
            let until = Instant::now() + BUTTON_AT_MOST;
            let answer = || replies.sender.answer_button(&query_id, note.as_deref());
            if let Ok(Err(error)) = call_until(&replies.shutdown, until, answer).await {
                tracing::debug!(error = %error, "button press not answered");
            }
        }));
    }
}

/// A page that is to be shown.
struct Page {
    address: ChatAddress,
    message_id: i64,
    turn: u64,
    screen: Screen,
    /// Telegram refused the page; the message says so instead.
    refused: bool,
    until: Instant,
}

/// The text of a link to a picture: its caption, or else its URL.
fn title(media: &Media) -> &str {
    media.caption.as_deref().unwrap_or(&media.url)
}
