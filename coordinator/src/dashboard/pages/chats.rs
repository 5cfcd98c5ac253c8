//! Answers on their way to chats, and what keeps them.

use std::collections::BTreeMap;

use maud::{Markup, html};
use queue::{Reply, TaskQueue};
use serde_json::Value;

use super::context::{self, Context};
use crate::dashboard::figures::Snapshot;
use crate::dashboard::layout::{Page, tag, task_link};
use crate::dashboard::words::{count, number, span};
use crate::keys::CoordinatorKeys;

/// Answers that are listed.
const SHOWN: usize = 50;

/// What keeps an answer from a chat.
#[derive(Debug, Clone, Copy, Default)]
struct Chat {
    /// Telegram asked to wait for this long, in ms.
    waits_ms: u64,
    /// The bot cannot write to it.
    is_gone: bool,
}

#[derive(Debug, Default)]
struct Sending {
    /// Telegram asked to wait with all chats, in ms.
    waits_ms: u64,
    chats: BTreeMap<i64, Chat>,
}

pub(super) async fn build(context: &Context) -> Page {
    let state = &context.state;
    let now = context.figures().await;
    let page = Page::new("Chats");
    let (Some(queue), None) = (state.queue(), &now.unread) else {
        return page.with_live("list", context::unread(now.unread.as_deref().unwrap_or_default()));
    };
    let read = async {
        let unsent = queue.unsent(SHOWN).await?;
        let bot = state.sources.bot.get().map(String::as_str);
        let sending = sending(queue, bot, &unsent, now.at).await;
        let sending = sending
            .map_err(|source| queue::RedisError { action: "read what Telegram asked", source })?;
        Ok::<_, queue::RedisError>((unsent, sending))
    };
    match context::shown(read.await) {
        Ok((unsent, sending)) => page
            .with_live(
                "sending",
                summary(&sending, &now, state.sources.problem.borrow().as_deref()),
            )
            .with_live("list", list(&unsent, &sending, now.sum(|of| of.replies))),
        Err(unread) => page.with_live("list", unread),
    }
}

/// The chat that an answer goes to, as the coordinator has written it.
fn chat_of(reply: &Reply) -> Option<i64> {
    let to = reply.task.reply_to.as_ref()?;
    let chat = |value: &Value| value.get("chat_id").and_then(Value::as_i64);
    chat(to).or_else(|| to.get("address").and_then(chat))
}

/// What keeps answers back, of the bot and of the chats that are listed. All keys are in one slot.
async fn sending(
    queue: &TaskQueue,
    bot: Option<&str>,
    unsent: &[Reply],
    now: u64,
) -> redis::RedisResult<Sending> {
    let Some(bot) = bot else { return Ok(Sending::default()) };
    let keys = queue.keys();
    let mut chats: Vec<i64> = unsent.iter().filter_map(chat_of).collect();
    chats.sort_unstable();
    chats.dedup();
    let mut read = redis::cmd("MGET");
    read.arg(keys.send_pause(bot));
    for &chat in &chats {
        read.arg(keys.chat_pause(bot, chat)).arg(keys.chat_gone(bot, chat));
    }
    let values: Vec<Option<Vec<u8>>> = read.query_async(&mut queue.connection()).await?;
    let waits = |value: Option<&Option<Vec<u8>>>| {
        let until = value.and_then(Option::as_deref).map(String::from_utf8_lossy);
        let until = until.and_then(|until| until.parse::<u64>().ok());
        until.unwrap_or_default().saturating_sub(now)
    };
    let mut sending = Sending { waits_ms: waits(values.first()), chats: BTreeMap::new() };
    for (chat, pair) in chats.into_iter().zip(values.get(1..).unwrap_or_default().chunks_exact(2)) {
        let is_gone = pair.get(1).is_some_and(Option::is_some);
        sending.chats.insert(chat, Chat { waits_ms: waits(pair.first()), is_gone });
    }
    Ok(sending)
}

fn summary(sending: &Sending, now: &Snapshot, problem: Option<&str>) -> Markup {
    html! {
        @if let Some(problem) = problem { p .card.health.bad { "No messages arrive from Telegram: " (problem) } }
        @if sending.waits_ms > 0 {
            p .card.health.warn { "Telegram asked the bot to wait with all chats for " (span(sending.waits_ms)) "." }
        }
        dl .figures {
            div { dt { "Answers to send" } dd { (number(now.sum(|of| of.replies))) } }
            div { dt { "Sent" } dd { (number(now.counter("delivered"))) } }
            div { dt { "Could not be sent" } dd { (number(now.counter("undeliverable"))) } }
        }
    }
}

fn list(unsent: &[Reply], sending: &Sending, total: u64) -> Markup {
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label="Answers on their way" {
                table {
                    caption { (count(total, "answer", "answers")) " on their way, the oldest first" }
                    thead { tr {
                        th scope="col" { "Waits for" } th .num scope="col" { "Chat" } th scope="col" { "Task" }
                        th scope="col" { "Ended as" } th scope="col" { "What keeps it" }
                    } }
                    tbody {
                        @for reply in unsent {
                            @let chat = chat_of(reply);
                            tr {
                                td { (span(u64::try_from(reply.age().as_millis()).unwrap_or(u64::MAX))) }
                                td .num { @if let Some(chat) = chat { (chat) } @else { "none" } }
                                td { (task_link(reply.task.task_id.as_str())) }
                                td { (reply.status) }
                                td { (kept_by(chat.and_then(|chat| sending.chats.get(&chat)))) }
                            }
                        }
                        @if unsent.is_empty() { tr { td colspan="5" { "None: each answer was sent." } } }
                    }
                }
            }
            @if (unsent.len() as u64) < total { p .soft { "The oldest " (unsent.len()) " are listed." } }
        }
    }
}

fn kept_by(chat: Option<&Chat>) -> Markup {
    match chat {
        Some(chat) if chat.is_gone => tag("bad", "the chat is gone or blocked the bot"),
        Some(chat) if chat.waits_ms > 0 => {
            tag("warn", &format!("Telegram asked to wait for {}", span(chat.waits_ms)))
        }
        _ => html! { span .soft { "its turn" } },
    }
}
