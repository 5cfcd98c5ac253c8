//! Sets Telegram's command menu when it changes, one coordinator at a time.
//!
//! Redis remembers which menu the bot shows, so that several coordinators and restarts make one call. Each coordinator sets
//! the menu only when its own view changes, and checks it now and then: two releases with different views would otherwise
//! overwrite each other for ever.

use std::sync::Arc;
use std::time::Duration;

use queue::TaskQueue;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::offered::offered;
use super::owners::{self, now_seconds};
use crate::chat::command_menu::CommandMenu;
use crate::chat::flow;
use crate::chat::text::Lang;
use crate::keys::CoordinatorKeys;
use crate::redis_lease::RedisLease;
use crate::telegram::bot_api::{BotApi, BotError};

/// Pause between two checks of a menu that was set.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// Pause after trouble, and while another coordinator sets the menu.
const TRY_AGAIN: Duration = Duration::from_secs(3);
/// All calls together: one for each language, each of which may take 20 s.
const SET_AT_MOST: Duration = Duration::from_secs(30);
/// Longer than all calls.
const LEASE: Duration = Duration::from_secs(40);
/// How long the menu of a bot that is no longer run is remembered.
const KEEP_SECONDS: u64 = 7 * 24 * 3600;

/// The menu for one language, or the default for all others.
#[derive(Debug, PartialEq, Eq)]
struct LocalizedMenu {
    lang: Option<Lang>,
    commands: Vec<(String, String)>,
}

impl LocalizedMenu {
    fn of(menu: &CommandMenu, lang: Option<Lang>) -> Self {
        let spoken = lang.unwrap_or_default();
        let offered = menu.iter().map(|command| {
            (command.name.clone(), command.description_in(spoken.code()).to_owned())
        });
        Self { lang, commands: flow::commands(spoken).into_iter().chain(offered).collect() }
    }
}

/// The menu in all languages.
fn all_lists(menu: &CommandMenu) -> Vec<LocalizedMenu> {
    let langs = std::iter::once(None).chain(Lang::ALL.into_iter().map(Some));
    langs.map(|lang| LocalizedMenu::of(menu, lang)).collect()
}

/// Identifies a menu.
fn digest(lists: &[LocalizedMenu]) -> String {
    let text: Vec<_> = lists.iter().map(|list| (list.lang, &list.commands)).collect();
    let json = serde_json::to_vec(&text).unwrap_or_default();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &json).simple().to_string()
}

/// Sets the menu whenever it changes, until `shutdown`. `me` names this coordinator.
pub(super) async fn publish_until(
    queue: TaskQueue,
    bot: BotApi,
    me: String,
    mut menu: watch::Receiver<Arc<CommandMenu>>,
    shutdown: CancellationToken,
) {
    let publisher = Publisher {
        shown: queue.keys().menu(&bot.id().to_string()),
        lease: RedisLease::new(
            queue.clone(),
            queue.keys().menu_lease(&bot.id().to_string()),
            &me,
            LEASE,
        ),
        queue,
        bot,
    };
    let mut published = String::new();
    // When to check again. None until the registry was read: before that there is no menu.
    let mut due = None;
    loop {
        let woken = async {
            match due {
                Some(due) => tokio::time::timeout_at(due, menu.changed()).await.unwrap_or(Ok(())),
                None => menu.changed().await,
            }
        };
        // Nothing is lost when the wait is dropped: the change is still there.
        match shutdown.run_until_cancelled(woken).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
        let wanted = digest(&all_lists(&menu.borrow_and_update().clone()));
        // The registry changes more often than the menu.
        if wanted == published && due.is_some_and(|due| Instant::now() < due) {
            continue;
        }
        let pause = match publisher.publish(&wanted).await {
            Ok(true) => {
                published = wanted;
                due = Some(Instant::now() + LOOK_AGAIN);
                continue;
            }
            Ok(false) => TRY_AGAIN,
            Err(error) => {
                tracing::warn!(error = %error, "command menu not set");
                let Some(pause) = error.try_again_after(TRY_AGAIN) else {
                    // The same menu would be refused again; a changed one is tried at once.
                    published = wanted;
                    due = Some(Instant::now() + LOOK_AGAIN);
                    continue;
                };
                pause
            }
        };
        // Wait even if the menu changes meanwhile: Telegram may have asked to.
        published.clear();
        due = Some(Instant::now());
        if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

struct Publisher {
    queue: TaskQueue,
    bot: BotApi,
    shown: String,
    lease: RedisLease,
}

impl Publisher {
    /// Whether the menu is set; false while another coordinator sets it.
    async fn publish(&self, wanted: &str) -> Result<bool, BotError> {
        if self.shows(wanted).await.map_err(|error| transient(&error))? {
            return Ok(true);
        }
        if !self.lease.hold().await.map_err(|error| transient(&error))? {
            return Ok(false);
        }
        let set = async {
            // Read again: the last read may be older than what another coordinator has just set.
            let workers = self.queue.workers().await.map_err(|error| transient(&error.source))?;
            let owners = owners::of(&self.queue, &workers, now_seconds()).await;
            let owners = owners.map_err(|error| transient(&error))?;
            let lists = all_lists(&offered(&workers, &owners).0);
            let current = digest(&lists);
            if !self.shows(&current).await.map_err(|error| transient(&error))? {
                for list in lists {
                    self.bot.publish_commands(list.lang, &list.commands).await?;
                }
                self.note(&current).await.map_err(|error| transient(&error))?;
                tracing::info!(menu = current, "command menu set");
            }
            Ok(true)
        };
        let set = tokio::time::timeout(SET_AT_MOST, set).await;
        self.lease.release().await;
        set.unwrap_or_else(|_| Err(BotError::Transient("timed out".to_owned())))
    }

    async fn shows(&self, wanted: &str) -> redis::RedisResult<bool> {
        let mut connection = self.queue.connection();
        let shown: Option<String> =
            redis::cmd("GET").arg(&self.shown).query_async(&mut connection).await?;
        Ok(shown.as_deref() == Some(wanted))
    }

    async fn note(&self, wanted: &str) -> redis::RedisResult<()> {
        redis::cmd("SET")
            .arg(&self.shown)
            .arg(wanted)
            .arg("EX")
            .arg(KEEP_SECONDS)
            .query_async(&mut self.queue.connection())
            .await
    }
}

fn transient(error: &redis::RedisError) -> BotError {
    BotError::Transient(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn menu(names: &[&str]) -> CommandMenu {
        let command = |name: &&str| {
            let command = json!({
                "name": name, "description": "Something", "descriptions": {"de": "Etwas"}, "task_type": "t",
            });
            ((*name).to_owned(), serde_json::from_value(command).unwrap())
        };
        CommandMenu { commands: names.iter().map(command).collect(), ..CommandMenu::default() }
    }

    #[test]
    fn the_bots_own_commands_come_first_and_each_language_has_its_words() {
        let lists = all_lists(&menu(&["roll", "coin"]));
        assert_eq!(lists.len(), 1 + Lang::ALL.len());
        for list in &lists {
            let own = flow::commands(list.lang.unwrap_or_default());
            let (first, offered) = list.commands.split_at(own.len());
            assert_eq!(first, own);
            let text = if list.lang == Some(Lang::De) { "Etwas" } else { "Something" };
            let expected = [("coin", text), ("roll", text)];
            assert_eq!(offered, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
            for (name, description) in first {
                assert!((3..=256).contains(&description.chars().count()), "{name}");
                assert!(chat_commands::RESERVED.contains(&name.as_str()), "{name} could be taken");
            }
        }
    }

    #[test]
    fn a_menu_is_told_from_another() {
        let of = |names: &[&str]| digest(&all_lists(&menu(names)));
        assert_eq!(of(&["roll", "coin"]), of(&["coin", "roll"]));
        assert_ne!(of(&["roll"]), of(&["coin"]));
        assert_ne!(of(&["roll"]), of(&[]));
    }
}
