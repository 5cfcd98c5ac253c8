//! What the bot remembers about one person in one chat. Stored in Redis, never only in memory.

use queue::TaskId;
use queue::json::{readable, readable_or_default};
use serde::{Deserialize, Serialize};

use super::contents::ContentView;
use super::question::Question;
use super::results::ResultSet;
use super::text::Lang;
use super::view::StoredView;

/// Result sets and views of each kind that are kept. Buttons of older ones get an explanation.
const KEEP_VIEWS: usize = 5;
/// Pending questions that are kept. The queue allows fewer per task type and person.
const KEEP_PENDING: usize = 60;
/// Failed questions that can be asked again.
const KEEP_FAILED: usize = 5;
/// Updates and messages whose turn is kept.
const KEEP_TURNS: usize = 30;
/// Random creators that are not shown again.
const KEEP_SEEN: usize = 20;

/// A session. One of an unknown version is discarded. A view, question or language that this release cannot read is dropped
/// alone, not with the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Version of this JSON.
    pub version: u32,
    /// Raised by each change, so that concurrent writers do not overwrite each other.
    pub rev: u64,
    /// Results that were shown, newest last.
    #[serde(default, deserialize_with = "readable")]
    pub results: Vec<ResultSet>,
    /// Contents that were shown, newest last.
    #[serde(default, deserialize_with = "readable")]
    pub contents: Vec<ContentView>,
    /// Views of plugins that were shown, newest last.
    #[serde(default, deserialize_with = "readable")]
    pub views: Vec<StoredView>,
    /// URLs of random creators that were shown, newest last.
    #[serde(default, deserialize_with = "readable")]
    pub seen: Vec<String>,
    /// The last turn before the person's data was deleted.
    #[serde(default)]
    pub forgotten_at: u64,
    /// The last turn of the conversation. A new session starts at the clock's time in ms, so that turns increase even after a
    /// session was lost: a turn takes more than a ms.
    #[serde(default)]
    pub turns: u64,
    /// The last updates and their turns, so that an update that comes again has the same turn.
    #[serde(default, deserialize_with = "readable")]
    pub updates: Vec<(u32, u64)>,
    /// The last edited messages, and the turns that they show.
    #[serde(default, deserialize_with = "readable")]
    pub shown: Vec<(i64, u64)>,
    /// The language that the person chose.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub chosen: Option<Lang>,
    /// The language of the person's Telegram.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub heard: Lang,
    /// Pending questions, oldest first.
    #[serde(default, deserialize_with = "readable")]
    pub pending: Vec<Pending>,
    /// Tasks that were pending when the person's data was deleted and that may run still. The process that deletes the data
    /// may end before it has stopped them; whoever handles the update again stops them by this list.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "readable")]
    pub stopping: Vec<TaskId>,
    /// Questions that failed and may be asked again, by the view that their answer would have had.
    #[serde(default, deserialize_with = "readable")]
    pub failed: Vec<(String, Question)>,
}

/// A pending question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its task.
    pub id: TaskId,
    /// Its name, as plain text.
    pub called: String,
}

/// The version that this code writes.
pub const VERSION: u32 = 1;

impl Default for Session {
    fn default() -> Self {
        Self {
            version: VERSION,
            rev: 0,
            results: Vec::new(),
            contents: Vec::new(),
            views: Vec::new(),
            seen: Vec::new(),
            forgotten_at: 0,
            turns: 0,
            updates: Vec::new(),
            shown: Vec::new(),
            chosen: None,
            heard: Lang::default(),
            pending: Vec::new(),
            stopping: Vec::new(),
            failed: Vec::new(),
        }
    }
}

impl Session {
    /// The turn of an update: a new one, or the one it had when it came before.
    pub fn turn_of(&mut self, update_id: u32) -> u64 {
        if let Some((_, turn)) = self.updates.iter().find(|(known, _)| *known == update_id) {
            return *turn;
        }
        self.turns = self.turns.saturating_add(1);
        self.updates.push((update_id, self.turns));
        let over = self.updates.len().saturating_sub(KEEP_TURNS);
        self.updates.drain(..over);
        self.turns
    }

    /// Whether a message may show what was asked at `turn`: false when it shows a later turn. This only saves work; the order of
    /// a message's edits is kept by revisions in Redis.
    pub fn may_show(&mut self, message_id: i64, turn: u64) -> bool {
        // Turns of a producer's own tasks count too.
        self.turns = self.turns.max(turn);
        if self.shown.iter().any(|(known, later)| *known == message_id && turn < *later) {
            return false;
        }
        if self.shown.last() != Some(&(message_id, turn)) {
            self.shown.retain(|(known, _)| *known != message_id);
            self.shown.push((message_id, turn));
            let over = self.shown.len().saturating_sub(KEEP_TURNS);
            self.shown.drain(..over);
        }
        true
    }

    /// Whether this session has reached a turn. If not, the session was set back (by a failover, say), and continues after that
    /// turn.
    pub fn knows_turn(&mut self, turn: u64) -> bool {
        let known = turn <= self.turns;
        if !known {
            self.turns = turn.saturating_add(1);
        }
        known
    }

    /// The language to answer in.
    pub fn lang(&self) -> Lang {
        self.chosen.unwrap_or(self.heard)
    }

    /// Whether the person's data was deleted after `turn`. A producer's own task has turn 0.
    pub fn has_forgotten(&self, turn: u64) -> bool {
        turn > 0 && turn <= self.forgotten_at
    }

    /// Deletes everything but the turn counter, so that earlier questions can be told from later ones, and the ids of
    /// pending tasks, which have to be stopped.
    pub fn forget(&mut self) {
        let rev = self.rev;
        let turns = self.turns;
        let mut stopping = self.to_stop();
        let over = stopping.len().saturating_sub(KEEP_PENDING);
        stopping.drain(..over);
        *self = Self { rev, turns, forgotten_at: turns, stopping, ..Self::default() };
    }

    /// The tasks that deleting the person's data stops: pending ones, and those that an earlier attempt may have left.
    pub fn to_stop(&self) -> Vec<TaskId> {
        let pending = self.pending.iter().map(|pending| &pending.id);
        self.stopping.iter().chain(pending).cloned().collect()
    }

    /// Remembers a pending question.
    pub fn keep_pending(&mut self, pending: Pending) {
        if !self.pending.iter().any(|known| known.id == pending.id) {
            self.pending.push(pending);
            let over = self.pending.len().saturating_sub(KEEP_PENDING);
            self.pending.drain(..over);
        }
    }

    /// Forgets a question that has ended.
    pub fn forget_pending(&mut self, id: &TaskId) {
        self.pending.retain(|known| known.id != *id);
        self.stopping.retain(|known| known != id);
    }

    /// Remembers a question that failed.
    pub fn keep_failed(&mut self, view: String, question: Question) {
        self.failed.retain(|(known, _)| *known != view);
        self.failed.push((view, question));
        let over = self.failed.len().saturating_sub(KEEP_FAILED);
        self.failed.drain(..over);
    }

    /// The result set of that name, to be changed.
    pub fn results_mut(&mut self, view: &str) -> Option<&mut ResultSet> {
        self.results.iter_mut().find(|set| set.view == view)
    }

    /// The result set of that name.
    pub fn results(&self, view: &str) -> Option<&ResultSet> {
        self.results.iter().find(|set| set.view == view)
    }

    /// The content view of that name.
    pub fn content(&self, view: &str) -> Option<&ContentView> {
        self.contents.iter().find(|content| content.view == view)
    }

    /// The content view of that name, to be changed.
    pub fn content_mut(&mut self, view: &str) -> Option<&mut ContentView> {
        self.contents.iter_mut().find(|content| content.view == view)
    }

    /// Remembers a result set; one of the same name is replaced.
    pub fn keep_results(&mut self, set: ResultSet) {
        // The result set that its back button shows is kept as long.
        self.touch_results(set.extended_from.as_deref());
        self.results.retain(|known| known.view != set.view);
        self.results.push(set);
        let over = self.results.len().saturating_sub(KEEP_VIEWS);
        self.results.drain(..over);
    }

    /// Makes a result set the newest.
    fn touch_results(&mut self, view: Option<&str>) {
        let index = self.results.iter().position(|set| Some(set.view.as_str()) == view);
        if let Some(index) = index {
            let set = self.results.remove(index);
            self.touch_results(set.extended_from.as_deref());
            self.results.push(set);
        }
    }

    /// Remembers a content view; one of the same name is replaced.
    pub fn keep_content(&mut self, content: ContentView) {
        self.touch_results(content.results.as_deref());
        self.contents.retain(|known| known.view != content.view);
        self.contents.push(content);
        let over = self.contents.len().saturating_sub(KEEP_VIEWS);
        self.contents.drain(..over);
    }

    /// The plugin's view of that name.
    pub fn view(&self, view: &str) -> Option<&StoredView> {
        self.views.iter().find(|known| known.view == view)
    }

    /// The plugin's view of that name, to be changed.
    pub fn view_mut(&mut self, view: &str) -> Option<&mut StoredView> {
        self.views.iter_mut().find(|known| known.view == view)
    }

    /// Remembers a plugin's view; one of the same name is replaced.
    pub fn keep_view(&mut self, view: StoredView) {
        self.views.retain(|known| known.view != view.view);
        self.views.push(view);
        let over = self.views.len().saturating_sub(KEEP_VIEWS);
        self.views.drain(..over);
    }

    /// Remembers a random creator that was shown.
    pub fn keep_seen(&mut self, url: &str) {
        self.seen.retain(|known| known != url);
        self.seen.push(url.to_owned());
        let over = self.seen.len().saturating_sub(KEEP_SEEN);
        self.seen.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_earlier_does_not_cover_what_was_asked_later() {
        let mut session = Session::default();
        let first = session.turn_of(10);
        let second = session.turn_of(11);
        assert_eq!(session.turn_of(10), first, "the same update again");
        assert!(session.may_show(7, second));
        assert!(session.may_show(7, second), "the same again");
        assert!(!session.may_show(7, first));
        assert!(session.may_show(8, first), "another message");
    }

    #[test]
    fn what_cannot_be_read_of_a_session_costs_itself() {
        let mut session = Session { chosen: Some(Lang::De), turns: 9, ..Session::default() };
        session.keep_results(ResultSet { view: "1".to_owned(), ..ResultSet::default() });
        session.keep_results(ResultSet { view: "2".to_owned(), ..ResultSet::default() });
        let mut json = serde_json::to_value(&session).unwrap();
        json["results"][0]["creators"] = "a later release".into();
        json["chosen"] = "xx".into();
        json["pending"] = serde_json::json!([7, {"id": "{a}1", "called": "x"}]);
        let read: Session = serde_json::from_value(json).unwrap();
        assert_eq!(read.results, session.results[1..]);
        assert_eq!((read.chosen, read.turns, read.pending.len()), (None, 9, 1));
    }

    #[test]
    fn a_session_that_was_set_back_counts_on_from_the_last_turn_that_was_seen() {
        let mut session = Session::default();
        let turn = session.turn_of(10);
        assert!(session.knows_turn(turn));
        assert!(!session.knows_turn(turn + 5));
        assert!(turn + 5 < session.turn_of(11));
    }

    #[test]
    fn only_the_last_views_are_kept() {
        let mut session = Session::default();
        for n in 0..9 {
            session.keep_results(ResultSet { view: n.to_string(), ..ResultSet::default() });
        }
        assert_eq!(session.results.len(), KEEP_VIEWS);
        assert!(session.results("3").is_none());
        assert!(session.results("8").is_some());
    }
}
