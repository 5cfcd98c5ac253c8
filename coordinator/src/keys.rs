//! The names of the coordinator's keys in Redis. No other file of the crate spells one.

use std::fmt;

use queue::{Keys, TaskId};

/// The coordinator's keys, below the namespace of the queue's.
pub trait CoordinatorKeys {
    /// STRING: one chat partner's session as JSON.
    fn session(&self, user: &str) -> String;

    /// STRING: the language that one chat partner chose.
    fn choice(&self, user: &str) -> String;

    /// STRING: a counter of what somebody sent.
    fn gate(&self, counter: &str) -> String;

    /// STRING: the message that a task's answer will replace.
    fn placeholder(&self, id: &TaskId) -> String;

    /// STRING: a coordinator is about to send a task's placeholder.
    fn placing(&self, id: &TaskId) -> String;

    /// STRING: who polls Telegram at the moment.
    fn poller_lease(&self, bot: &str) -> String;

    /// STRING: the URL of this bot's webhook, while a coordinator renews it.
    fn webhook(&self, bot: &str) -> String;

    /// STRING: the last update that was taken over safely, so that a new poller can go on behind it.
    fn poller_offset(&self, bot: &str) -> String;

    /// STRING: the chat commands of plugins that were there lately, as JSON.
    fn known_commands(&self) -> String;

    /// HASH command → `seen|plugin`: which plugin a chat command belongs to.
    fn command_owners(&self) -> String;

    /// STREAM: what operators changed with the dashboard.
    fn audit(&self) -> String;

    /// STRING: which command menu a bot shows, as a digest.
    fn menu(&self, bot: &str) -> String;

    /// STRING: who changes a bot's command menu at the moment.
    fn menu_lease(&self, bot: &str) -> String;

    /// STRING: which coordinator tells a bot's administrators what is wrong.
    fn alerts_lease(&self, bot: &str) -> String;

    /// HASH cause → JSON: what a bot's administrators were told, and is not over.
    fn alerts_told(&self, bot: &str) -> String;

    /// STRING: why no updates arrive at a coordinator of a bot, for a moment.
    fn update_problem(&self, bot: &str) -> String;

    /// STRING: when a bot's last messages were sent, newest first.
    fn sent(&self, bot: &str) -> String;

    /// STRING: until when a bot sends nothing, in ms.
    fn send_pause(&self, bot: &str) -> String;

    /// STRING: the last chat for which Telegram asked the bot to wait, for a moment.
    fn send_flooded(&self, bot: &str) -> String;

    /// STRING: when a bot's last messages to a chat were sent, newest first.
    fn sent_to(&self, bot: &str, chat: i64) -> String;

    /// STRING: until when a bot sends nothing to a chat, in ms.
    fn chat_pause(&self, bot: &str, chat: i64) -> String;

    /// STRING: how new what a message of a bot shows is, and which changes of it are on their way.
    fn shown(&self, bot: &str, chat: i64, message: i64) -> String;

    /// STRING: there while a bot cannot write to a chat.
    fn chat_gone(&self, bot: &str, chat: i64) -> String;

    /// STRING: the id that a group has now.
    fn chat_moved_to(&self, chat: i64) -> String;

    /// STRING: the id that a group had before.
    fn chat_moved_from(&self, chat: i64) -> String;
}

impl CoordinatorKeys for Keys {
    fn session(&self, user: &str) -> String {
        self.scoped(format_args!("session:{user}"))
    }

    fn choice(&self, user: &str) -> String {
        self.scoped(format_args!("choice:{user}"))
    }

    fn gate(&self, counter: &str) -> String {
        self.scoped(format_args!("gate:{counter}"))
    }

    fn placeholder(&self, id: &TaskId) -> String {
        self.scoped(format_args!("tasks:placeholder:{id}"))
    }

    fn placing(&self, id: &TaskId) -> String {
        self.scoped(format_args!("tasks:placing:{id}"))
    }

    fn poller_lease(&self, bot: &str) -> String {
        self.scoped(format_args!("poller:{bot}"))
    }

    fn webhook(&self, bot: &str) -> String {
        self.scoped(format_args!("webhook:{bot}"))
    }

    fn poller_offset(&self, bot: &str) -> String {
        self.scoped(format_args!("offset:{bot}"))
    }

    fn known_commands(&self) -> String {
        self.scoped("commands")
    }

    fn command_owners(&self) -> String {
        self.scoped("command-owners")
    }

    fn audit(&self) -> String {
        self.scoped("audit")
    }

    fn menu(&self, bot: &str) -> String {
        self.scoped(format_args!("menu:{bot}"))
    }

    fn menu_lease(&self, bot: &str) -> String {
        self.scoped(format_args!("menu-lease:{bot}"))
    }

    fn alerts_lease(&self, bot: &str) -> String {
        self.scoped(format_args!("alerts-lease:{bot}"))
    }

    fn alerts_told(&self, bot: &str) -> String {
        self.scoped(format_args!("alerts:{bot}"))
    }

    fn update_problem(&self, bot: &str) -> String {
        self.scoped(format_args!("update-problem:{bot}"))
    }

    fn sent(&self, bot: &str) -> String {
        of_sending(self, format_args!("all:{bot}"))
    }

    fn send_pause(&self, bot: &str) -> String {
        of_sending(self, format_args!("pause:{bot}"))
    }

    fn send_flooded(&self, bot: &str) -> String {
        of_sending(self, format_args!("flooded:{bot}"))
    }

    fn sent_to(&self, bot: &str, chat: i64) -> String {
        of_sending(self, format_args!("chat:{bot}:{chat}"))
    }

    fn chat_pause(&self, bot: &str, chat: i64) -> String {
        of_sending(self, format_args!("pause:{bot}:{chat}"))
    }

    fn shown(&self, bot: &str, chat: i64, message: i64) -> String {
        of_sending(self, format_args!("shown:{bot}:{chat}:{message}"))
    }

    fn chat_gone(&self, bot: &str, chat: i64) -> String {
        of_sending(self, format_args!("gone:{bot}:{chat}"))
    }

    fn chat_moved_to(&self, chat: i64) -> String {
        of_sending(self, format_args!("moved:{chat}"))
    }

    fn chat_moved_from(&self, chat: i64) -> String {
        of_sending(self, format_args!("before:{chat}"))
    }
}

/// All keys about sending share one hash tag, so that one script takes room in all chats and in the message's own. Tens of
/// messages a second need no second node.
fn of_sending(keys: &Keys, name: impl fmt::Display) -> String {
    keys.scoped(format_args!("{{send}}:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_other_versions_use() {
        let keys = Keys::default();
        let id: TaskId = "{search}1".parse().unwrap();
        for (key, name) in [
            (keys.session("7"), "freefans:session:7"),
            (keys.choice("7"), "freefans:choice:7"),
            (keys.gate("7:1"), "freefans:gate:7:1"),
            (keys.placeholder(&id), "freefans:tasks:placeholder:{search}1"),
            (keys.placing(&id), "freefans:tasks:placing:{search}1"),
            (keys.poller_lease("1"), "freefans:poller:1"),
            (keys.webhook("1"), "freefans:webhook:1"),
            (keys.poller_offset("1"), "freefans:offset:1"),
            (keys.known_commands(), "freefans:commands"),
            (keys.command_owners(), "freefans:command-owners"),
            (keys.audit(), "freefans:audit"),
            (keys.menu("1"), "freefans:menu:1"),
            (keys.menu_lease("1"), "freefans:menu-lease:1"),
            (keys.alerts_lease("1"), "freefans:alerts-lease:1"),
            (keys.alerts_told("1"), "freefans:alerts:1"),
            (keys.update_problem("1"), "freefans:update-problem:1"),
            (keys.sent("1"), "freefans:{send}:all:1"),
            (keys.send_pause("1"), "freefans:{send}:pause:1"),
            (keys.send_flooded("1"), "freefans:{send}:flooded:1"),
            (keys.sent_to("1", 7), "freefans:{send}:chat:1:7"),
            (keys.chat_pause("1", 7), "freefans:{send}:pause:1:7"),
            (keys.shown("1", 7, 9), "freefans:{send}:shown:1:7:9"),
            (keys.chat_gone("1", 7), "freefans:{send}:gone:1:7"),
            (keys.chat_moved_to(7), "freefans:{send}:moved:7"),
            (keys.chat_moved_from(7), "freefans:{send}:before:7"),
        ] {
            assert_eq!(key, name);
        }
    }
}
