//! Sends pictures and videos, by their addresses.

use chat_commands::media::{Media, MediaKind};
use reqwest::Url;
use teloxide::payloads::{SendPhotoSetters, SendVideoSetters};
use teloxide::requests::Requester;
use teloxide::types::{ChatId, InputFile, InputMedia, InputMediaPhoto, InputMediaVideo};

use super::error::BotError;
use super::{BotApi, thread};
use crate::chat::address::ChatAddress;

impl BotApi {
    /// Sends pictures and videos, at most ten (Bot API: an album has 2 to 10).
    ///
    /// # Errors
    ///
    /// [`BotError`]; [`BotError::Refused`] when Telegram cannot load one of them.
    pub async fn album(&self, address: &ChatAddress, media: &[Media]) -> Result<(), BotError> {
        let chat = ChatId(address.chat_id);
        if let [one] = media {
            let file = file(&one.url)?;
            match one.kind {
                MediaKind::Photo => {
                    let mut call = self.bot.send_photo(chat, file).caption(caption(one));
                    call.message_thread_id = thread(address);
                    self.run(call).await?;
                }
                MediaKind::Video => {
                    let mut call = self.bot.send_video(chat, file).caption(caption(one));
                    call.message_thread_id = thread(address);
                    self.run(call).await?;
                }
            }
            return Ok(());
        }
        let media: Vec<InputMedia> = media.iter().map(input).collect::<Result<_, _>>()?;
        let mut call = self.bot.send_media_group(chat, media);
        call.message_thread_id = thread(address);
        self.run(call).await?;
        Ok(())
    }
}

fn file(url: &str) -> Result<InputFile, BotError> {
    let url = Url::parse(url).map_err(|error| BotError::Refused(error.to_string()))?;
    Ok(InputFile::url(url))
}

fn input(media: &Media) -> Result<InputMedia, BotError> {
    let file = file(&media.url)?;
    Ok(match media.kind {
        MediaKind::Photo => InputMedia::Photo(InputMediaPhoto::new(file).caption(caption(media))),
        MediaKind::Video => InputMedia::Video(InputMediaVideo::new(file).caption(caption(media))),
    })
}

fn caption(media: &Media) -> &str {
    media.caption.as_deref().unwrap_or_default()
}
