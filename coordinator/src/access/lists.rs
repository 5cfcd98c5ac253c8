//! Who may use the bot, and who may ask how it does.

use std::collections::BTreeSet;

use crate::chat::address::Place;

/// Ids of people and chats, as the operator gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Only these people and chats are answered; everybody when it is empty.
    pub allowed: BTreeSet<i64>,
    /// These people and chats are not answered.
    pub denied: BTreeSet<i64>,
    /// These people may ask how the bot does, and are always answered.
    pub admins: BTreeSet<i64>,
}

/// Whether somebody is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are.
    Welcome,
    /// The bot is for others: they are told so.
    NotListed,
    /// They were shut out: they hear nothing.
    ShutOut,
}

impl Access {
    /// Whether this person may ask how the bot does.
    pub fn is_admin(&self, user_id: i64) -> bool {
        self.admins.contains(&user_id)
    }

    /// Whether what is said in `place` is answered.
    pub fn verdict(&self, place: &Place) -> Verdict {
        let on =
            |list: &BTreeSet<i64>| list.contains(&place.owner) || list.contains(&place.chat_id);
        if self.is_admin(place.owner) {
            Verdict::Welcome
        } else if on(&self.denied) {
            Verdict::ShutOut
        } else if self.allowed.is_empty() || on(&self.allowed) {
            Verdict::Welcome
        } else {
            Verdict::NotListed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(access: &Access, chat_id: i64, owner: i64, expected: Verdict) {
        let place = Place { chat_id, owner, ..Place::default() };
        assert_eq!(access.verdict(&place), expected, "{owner} in {chat_id}");
    }

    #[test]
    fn lists_are_kept() {
        check(&Access::default(), 7, 7, Verdict::Welcome);
        let access =
            Access { allowed: [7, 8, -5].into(), denied: [8, -6].into(), admins: [1].into() };
        check(&access, 7, 7, Verdict::Welcome);
        check(&access, 8, 8, Verdict::ShutOut);
        check(&access, 9, 9, Verdict::NotListed);
        check(&access, -5, 9, Verdict::Welcome);
        check(&access, -5, 8, Verdict::ShutOut);
        check(&access, -6, 7, Verdict::ShutOut);
        check(&access, -6, 1, Verdict::Welcome);
    }
}
