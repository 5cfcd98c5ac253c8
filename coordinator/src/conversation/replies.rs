//! What is said that is no answer to a task: replies, turned pages, albums, notes on buttons.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::handler::{CALL_AGAIN, Performer};
use crate::answers::message_edit::{Changed, MessageChange, REPEATED_AFTER};
use crate::chat::address::Place;
use crate::chat::sanitize::link;
use crate::chat::screen::{Media, Screen};
use crate::chat::session::Session;
use crate::chat::text::Lang;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::Urgency;

/// A reply that is no answer to a task is tried for this long, as long as a task would live.
const REPLY_AT_MOST: Duration = Duration::from_secs(120);
/// How long such a reply keeps its update from being confirmed.
const REPLY_HOLDS_UP: Duration = Duration::from_secs(10);
/// Telegram takes no answer to a press that is older.
const BUTTON_AT_MOST: Duration = Duration::from_secs(15);

impl Performer {
    /// Sends a message, after what was to be sent to this chat before it.
    pub(crate) async fn tell(self: &Arc<Self>, place: Place, screen: Screen) -> bool {
        let turn = self.turns.join(place.chat_id);
        let send = move |performer: Arc<Self>| async move {
            turn.come().await;
            performer.say(place, screen).await
        };
        self.reply(place.chat_id, send).await
    }

    /// Makes a reply that is no answer to a task. One that takes long goes on beside the updates that follow: a chat
    /// that Telegram slows down must not hold up the others.
    pub(super) async fn reply<F>(
        self: &Arc<Self>,
        chat_id: i64,
        make: impl FnOnce(Arc<Self>) -> F,
    ) -> bool
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let mut making = self.background.spawn(make(Arc::clone(self)));
        // One that is overdue has held its chat up already; another does not do so again.
        let holds_up = if self.overdue.has(chat_id) { Duration::ZERO } else { REPLY_HOLDS_UP };
        match tokio::time::timeout(holds_up, &mut making).await {
            Ok(joined) => joined.unwrap_or(true),
            Err(_) => {
                let overdue = self.overdue.note(chat_id);
                self.background.spawn(async move {
                    let _ = making.await; // It has said what there was to say.
                    drop(overdue);
                });
                true
            }
        }
    }

    /// Replaces a message, unless it shows what was asked later.
    pub(super) async fn show(
        self: Arc<Self>,
        place: Place,
        message_id: i64,
        screen: Screen,
        turn: u64,
    ) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        let mut page = Page { place, message_id, turn, screen, refused: false, until };
        let mut change = MessageChange::new(message_id, turn);
        let shown = self.show_page(&mut page, &mut change).await;
        if shown == Some(Changed::Again) {
            // Nobody waits for this: the page is there.
            let performer = Arc::clone(&self);
            self.background.spawn(async move {
                while performer.pause(REPEATED_AFTER).await.is_some()
                    && performer.show_page(&mut page, &mut change).await == Some(Changed::Again)
                {
                }
            });
        }
        shown.is_some()
    }

    /// None when the process is shutting down.
    async fn show_page(&self, page: &mut Page, change: &mut MessageChange) -> Option<Changed> {
        loop {
            let (message_id, turn) = (page.message_id, page.turn);
            let may = |session: &mut Session| session.may_show(message_id, turn);
            let changed = match self.sessions.update(page.place.who(), may).await {
                Ok(true) => self.change(&page.place, change, &page.screen, Urgency::Reply).await,
                Ok(false) => Ok(Changed::Done),
                Err(error) => Err(BotError::Transient(error.to_string())),
            };
            let error = match changed {
                Ok(changed) => return Some(changed),
                Err(error) => error,
            };
            match error {
                // The person pressed a button on it a moment ago, so they want to see it.
                BotError::MessageGone if !change.instead => change.instead = true,
                BotError::Refused(reason) if !page.refused => {
                    tracing::error!(reason, "Telegram does not take a page");
                    let session = self.sessions.load(page.place.who()).await;
                    let lang = session.map_or(Lang::En, |session| session.lang());
                    page.screen = Screen::plain(lang.text("cannot-show"));
                    (page.refused, change.instead) = (true, true);
                }
                error => match error.try_again_after(CALL_AGAIN) {
                    Some(wait) if Instant::now() + wait <= page.until => {
                        tracing::debug!(error = %error, "a page is shown again");
                        self.pause(wait).await?;
                    }
                    _ => {
                        tracing::warn!(error = %error, "a page could not be shown");
                        return Some(Changed::Done);
                    }
                },
            }
        }
    }

    pub(super) async fn say(self: Arc<Self>, place: Place, screen: Screen) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        match self.insist(until, || self.sender.send(&place, &screen, Urgency::Reply)).await {
            Some(Err(error)) => {
                tracing::warn!(error = %error, "a reply could not be sent");
                true
            }
            Some(Ok(_)) => true,
            None => false,
        }
    }

    /// Sends pictures and videos; their addresses when Telegram cannot load one of them.
    pub(super) async fn album(
        self: Arc<Self>,
        place: Place,
        lang: Lang,
        media: Vec<Media>,
    ) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        let send = || async {
            match self.sender.album(&place, &media).await {
                // Telegram may be at it still; once more would be once too often.
                Err(BotError::Transient(reason)) => Err(BotError::Refused(reason)),
                sent => sent,
            }
        };
        match self.insist(until, send).await {
            Some(Err(BotError::Refused(reason))) => {
                tracing::info!(reason, "an album could not be sent; its addresses are");
                let lines: Vec<String> =
                    media.iter().map(|media| link(title(media), &media.url, 70)).collect();
                let html = format!("{}\n\n{}", lang.text("album-failed"), lines.join("\n"));
                self.say(place, Screen::plain(html)).await
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Behind the caller's back: the mark on the button ends by itself after some seconds, the note is worth some more.
    pub(crate) fn answer_button(self: &Arc<Self>, query_id: String, note: Option<String>) {
        let performer = Arc::clone(self);
        self.background.spawn(async move {
            let until = Instant::now() + BUTTON_AT_MOST;
            let answer = || performer.sender.answer_button(&query_id, note.as_deref());
            if let Some(Err(error)) = performer.insist(until, answer).await {
                tracing::debug!(error = %error, "a button press was not answered");
            }
        });
    }
}

/// A page that is to be shown.
struct Page {
    place: Place,
    message_id: i64,
    turn: u64,
    screen: Screen,
    /// Telegram did not take it, and what says so is shown.
    refused: bool,
    until: Instant,
}

/// What a picture is called: its title, or else its address.
fn title(media: &Media) -> &str {
    if media.caption.is_empty() { &media.url } else { &media.caption }
}
