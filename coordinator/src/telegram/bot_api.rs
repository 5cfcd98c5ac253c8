//! The Bot API: the calls that the bot makes, with errors that say what to do next and never carry the token.

mod call;
mod client;
mod error;
mod keyboard;
mod media;
mod webhook;

use std::time::{Duration, Instant};

use ops::retry::{self, RetryPolicy};
use ops::secret::Secret;
use ops::shutdown::{Shutdown, ShuttingDown};
use reqwest::Url;
use teloxide::Bot;
use teloxide::payloads::{AnswerCallbackQuerySetters, EditMessageTextSetters, SendMessageSetters};
use teloxide::requests::{HasPayload, Requester};
use teloxide::types::{
    AllowedUpdate, BotCommand, CallbackQueryId, ChatAction, ChatId, LinkPreviewOptions, MessageId,
    ParseMode, ReplyParameters, ThreadId, UserId,
};
use tokio_util::sync::CancellationToken;

use crate::chat::address::ChatAddress;
use crate::chat::render::links;
use crate::chat::screen::Screen;
use crate::chat::text::Lang;
use crate::metrics::GET_UPDATES;
use call::CALL_AT_MOST;
pub use error::BotError;
use keyboard::{keyboard, markup};
use queue::json::Members;

/// Longest wait of one long poll.
const POLL_AT_MOST: Duration = Duration::from_secs(50);
/// Pause between attempts to reach the Bot API at the start.
const START_AGAIN: Duration = Duration::from_secs(1);

/// Updates that the bot asks for: messages, presses, and whether it may write to a chat.
const ALLOWED_UPDATES: [AllowedUpdate; 3] =
    [AllowedUpdate::Message, AllowedUpdate::CallbackQuery, AllowedUpdate::MyChatMember];

/// Bot API, `getUpdates`. teloxide's type cannot hold an offset above the largest update id.
#[derive(serde::Serialize)]
struct GetUpdates {
    offset: u32,
    timeout: u64,
    allowed_updates: [AllowedUpdate; 3],
}

/// The bot.
#[derive(Clone)]
pub struct BotApi {
    bot: Bot,
    id: u64,
    username: String,
}

impl std::fmt::Debug for BotApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BotApi").field("id", &self.id).finish_non_exhaustive()
    }
}

impl BotApi {
    /// Connects and asks who the bot is. Waits while the server does not answer.
    ///
    /// # Errors
    ///
    /// When the token is refused, or `shutdown` comes first.
    pub async fn connect(
        token: &Secret<String>,
        api_url: &Url,
        shutdown: &CancellationToken,
    ) -> Result<Self, BotError> {
        let bot = client::build(token, api_url)?;
        let get_me = || async {
            let me = call::call(&bot, bot.get_me().payload_ref()).await;
            me.and_then(|me| self_of(&me))
        };
        let pause_after = |error: &BotError, pause| {
            let pause = match error {
                BotError::RetryAfter(wait) => *wait,
                BotError::Transient(_) => pause,
                _ => return None,
            };
            tracing::warn!(error = %error, "waiting for the Bot API");
            Some(pause)
        };
        let policy = RetryPolicy::fixed(START_AGAIN);
        let shutdown = Shutdown::new(shutdown.clone());
        let got = retry::until_given_up(policy, &shutdown, get_me, pause_after).await;
        let (id, username) = match got {
            Ok(got) => got?,
            Err(ShuttingDown) => return Err(BotError::Transient(ShuttingDown.to_string())),
        };
        Ok(Self { bot, id, username })
    }

    /// As [`BotApi::connect`], without waiting for a server that does not answer.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub(crate) async fn try_connect(
        token: &Secret<String>,
        api_url: &Url,
    ) -> Result<Self, BotError> {
        let bot = client::build(token, api_url)?;
        let me = call::call(&bot, bot.get_me().payload_ref()).await?;
        let (id, username) = self_of(&me)?;
        Ok(Self { bot, id, username })
    }

    /// Calls a method and returns its result as raw JSON.
    async fn run<C>(&self, call: C) -> Result<Vec<u8>, BotError>
    where
        C: HasPayload,
        C::Payload: serde::Serialize,
    {
        call::call(&self.bot, call.payload_ref()).await
    }

    /// The bot's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The bot's name, without `@`.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Fetches updates from `offset` on as a raw JSON list, waiting up to `wait` for the first. The call confirms all updates
    /// before `offset`.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was fetched and not confirmed is fetched again.
    pub async fn updates(&self, offset: u32, wait: Duration) -> Result<Vec<u8>, BotError> {
        let wait = wait.min(POLL_AT_MOST);
        let fetch =
            GetUpdates { offset, timeout: wait.as_secs(), allowed_updates: ALLOWED_UPDATES };
        let at_most = wait + CALL_AT_MOST;
        let began = Instant::now();
        let posted = call::post(&self.bot, GET_UPDATES, &fetch, at_most).await;
        let list = posted.and_then(|(status, body)| {
            call::result(status, &body).or_else(|error| match call::broken_list(status, &body) {
                Some(list) => Ok(list.to_vec()),
                None => Err(error),
            })
        });
        call::made(GET_UPDATES, began, &list);
        list
    }

    /// Whether a person is an administrator of a chat that the bot is in.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn is_administrator(&self, chat_id: i64, user_id: i64) -> Result<bool, BotError> {
        let Ok(user) = u64::try_from(user_id) else { return Ok(false) };
        let member = self.run(self.bot.get_chat_member(ChatId(chat_id), UserId(user))).await?;
        let unusable = call::unusable("getChatMember");
        let status: String =
            Members::of(&member).and_then(|member| member.need("status")).map_err(unusable)?;
        Ok(matches!(status.as_str(), "creator" | "administrator"))
    }

    /// Sends a new message and returns its id.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn send(&self, address: &ChatAddress, screen: &Screen) -> Result<i64, BotError> {
        let mut call = self
            .bot
            .send_message(ChatId(address.chat_id), links::fitting(&screen.html))
            .parse_mode(ParseMode::Html)
            .link_preview_options(no_preview());
        if let Some(markup) = markup(address, screen) {
            call = call.reply_markup(markup);
        }
        call.message_thread_id = thread(address);
        call.reply_parameters = answered(address);
        let sent = self.run(call).await?;
        Members::of(&sent)
            .and_then(|message| message.need("message_id"))
            .map_err(call::unusable("sendMessage"))
    }

    /// Replaces a message's text and buttons.
    ///
    /// # Errors
    ///
    /// [`BotError`]; [`BotError::NotModified`] means that it has this text already.
    pub async fn edit(
        &self,
        address: &ChatAddress,
        message_id: i64,
        screen: &Screen,
    ) -> Result<(), BotError> {
        let mut call = self
            .bot
            .edit_message_text(
                ChatId(address.chat_id),
                self::message_id(message_id)?,
                links::fitting(&screen.html),
            )
            .parse_mode(ParseMode::Html)
            .link_preview_options(no_preview());
        if let Some(keyboard) = keyboard(address, screen) {
            call = call.reply_markup(keyboard);
        }
        self.run(call).await?;
        Ok(())
    }

    /// Removes a message of ours.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn delete(&self, chat_id: i64, message_id: i64) -> Result<(), BotError> {
        let call = self.bot.delete_message(ChatId(chat_id), self::message_id(message_id)?);
        self.run(call).await?;
        Ok(())
    }

    /// Ends the waiting mark on a pressed button, with a short text or without.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn answer_button(&self, query: &str, text: Option<&str>) -> Result<(), BotError> {
        let mut call = self.bot.answer_callback_query(CallbackQueryId(query.to_owned()));
        if let Some(text) = text {
            call = call.text(text);
        }
        self.run(call).await?;
        Ok(())
    }

    /// Shows "typing…" for a few seconds.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn typing(&self, address: &ChatAddress) -> Result<(), BotError> {
        let mut call = self.bot.send_chat_action(ChatId(address.chat_id), ChatAction::Typing);
        call.message_thread_id = thread(address);
        self.run(call).await?;
        Ok(())
    }

    /// Sets the command menu (name and description) for one language, or the default for all others.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn publish_commands(
        &self,
        lang: Option<Lang>,
        commands: &[(String, String)],
    ) -> Result<(), BotError> {
        let commands =
            commands.iter().map(|(name, description)| BotCommand::new(name, description));
        let mut call = self.bot.set_my_commands(commands);
        call.language_code = lang.map(|lang| lang.code().to_owned());
        self.run(call).await?;
        Ok(())
    }
}

/// The bot's id and username from the result of `getMe`.
fn self_of(me: &[u8]) -> Result<(u64, String), BotError> {
    let read = |me: Members<'_>| Ok((me.need("id")?, me.need("username")?));
    Members::of(me).and_then(read).map_err(call::unusable("getMe"))
}

fn message_id(id: i64) -> Result<MessageId, BotError> {
    i32::try_from(id).map(MessageId).map_err(|_too_large| BotError::MessageGone)
}

fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

fn thread(address: &ChatAddress) -> Option<ThreadId> {
    address.thread.map(|thread| ThreadId(MessageId(thread)))
}

/// In a group, the message replies to the question, even if that was deleted meanwhile.
fn answered(address: &ChatAddress) -> Option<ReplyParameters> {
    let answered = address.reply_to.map(MessageId)?;
    Some(ReplyParameters::new(answered).allow_sending_without_reply())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_who_the_bot_is_the_id_and_the_name_are_enough() {
        let me = br#"{"id":7,"username":"freefans_bot","first_name":"\ud83d","x":{}}"#;
        assert_eq!(self_of(me), Ok((7, "freefans_bot".to_owned())));
        let error = self_of(br#"{"id":7}"#).unwrap_err().to_string();
        assert_eq!(error, "the Bot API's answer to getMe cannot be used: `username` is missing");
    }

    #[tokio::test]
    async fn the_token_is_in_no_error() {
        // Nobody listens on the discard port of this machine.
        let bot = Bot::new("123456:s3cret").set_api_url("http://127.0.0.1:9".parse().unwrap());
        let error = call::call(&bot, bot.get_me().payload_ref()).await.unwrap_err();
        assert!(matches!(error, BotError::Transient(_)), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("s3cret"));
    }

    #[tokio::test]
    async fn a_poll_that_is_never_answered_is_given_up_and_made_on_a_new_connection() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let bot = Bot::new("123456:s3cret").set_api_url(url.parse().unwrap());
        let bot = BotApi { bot, id: 7, username: String::new() };
        let polling = async {
            let started = Instant::now();
            let error = bot.updates(0, Duration::ZERO).await.unwrap_err();
            assert!(matches!(error, BotError::Transient(_)), "{error:?}");
            assert!(started.elapsed() < CALL_AT_MOST * 2, "{:?}", started.elapsed());
            bot.updates(0, Duration::ZERO).await
        };
        // The first connection stays open and silent.
        let (_first, second) = tokio::select! {
            polled = polling => panic!("{polled:?}"),
            both = async { (silent.accept().await, silent.accept().await) } => both,
        };
        second.unwrap();
    }
}
