//! Allow list, deny list, administrators.

use std::collections::BTreeSet;

use crate::chat::address::ChatAddress;

/// Ids of people and chats, as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLists {
    /// Only these people and chats may use the bot; everybody when it is empty.
    pub allowed: BTreeSet<i64>,
    /// These people and chats are ignored.
    pub denied: BTreeSet<i64>,
    /// Administrators. They are never ignored.
    pub admins: BTreeSet<i64>,
}

/// Whether somebody may use the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They may.
    Allowed,
    /// They are not on the allow list; the bot tells them.
    NotListed,
    /// They are on the deny list, and are ignored silently.
    Denied,
}

impl AccessLists {
    /// Whether this person is an administrator.
    pub fn is_admin(&self, user_id: i64) -> bool {
        self.admins.contains(&user_id)
    }

    /// Whether the person at `address` may use the bot there.
    pub fn verdict(&self, address: &ChatAddress) -> Verdict {
        let on =
            |list: &BTreeSet<i64>| list.contains(&address.owner) || list.contains(&address.chat_id);
        if self.is_admin(address.owner) {
            Verdict::Allowed
        } else if on(&self.denied) {
            Verdict::Denied
        } else if self.allowed.is_empty() || on(&self.allowed) {
            Verdict::Allowed
        } else {
            Verdict::NotListed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(access: &AccessLists, chat_id: i64, owner: i64, expected: Verdict) {
        let address = ChatAddress { chat_id, owner, ..ChatAddress::default() };
        assert_eq!(access.verdict(&address), expected, "{owner} in {chat_id}");
    }

    #[test]
    fn lists_are_kept() {
        check(&AccessLists::default(), 7, 7, Verdict::Allowed);
        let access =
            AccessLists { allowed: [7, 8, -5].into(), denied: [8, -6].into(), admins: [1].into() };
        check(&access, 7, 7, Verdict::Allowed);
        check(&access, 8, 8, Verdict::Denied);
        check(&access, 9, 9, Verdict::NotListed);
        check(&access, -5, 9, Verdict::Allowed);
        check(&access, -5, 8, Verdict::Denied);
        check(&access, -6, 7, Verdict::Denied);
        check(&access, -6, 1, Verdict::Allowed);
    }
}
