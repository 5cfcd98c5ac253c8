//! What is remembered about one person in one chat. Lives in Redis, never only in memory.

pub mod store;

use queue::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::question::Question;
use crate::render::{clean, text_of, web_address};
use crate::text::Lang;
use crate::view::StoredView;

/// Items on one page of a chat message.
pub const PAGE_ITEMS: usize = 10;
/// Result sets and content views kept; older buttons are answered with an explanation.
const KEEP_VIEWS: usize = 5;
/// Creators on one page of a chat message: each has a button.
pub const PAGE_CREATORS: usize = 10;
/// Creators kept of one result set.
const KEEP_CREATORS: usize = 50;
/// Questions under way that are remembered; of each task type the queue takes fewer of one person.
const KEEP_PENDING: usize = 60;
/// Failed questions that can be asked again.
const KEEP_FAILED: usize = 5;
/// Pages of a forum; nobody turns further.
const FORUM_PAGES: u64 = 100;
/// Items kept of one content view.
pub const KEEP_ITEMS: usize = 300;
/// Texts and addresses kept of one result set or content view, in bytes: a session is read with each message.
const KEEP_BYTES: usize = 96 << 10;
/// Updates and messages whose turn is remembered.
const KEEP_TURNS: usize = 30;
/// Creators by chance that are not shown again.
const KEEP_SEEN: usize = 20;

/// A session. The version says how to read it; one that is not known is thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Form of this JSON.
    pub version: u32,
    /// Goes up with each change, so that two writers at once do not lose each other's.
    pub rev: u64,
    /// Results that were shown, newest last.
    #[serde(default)]
    pub results: Vec<ResultSet>,
    /// Contents that were shown, newest last.
    #[serde(default)]
    pub contents: Vec<ContentView>,
    /// What plugins' commands showed, newest last.
    #[serde(default)]
    pub views: Vec<StoredView>,
    /// Addresses of creators that came up by chance, newest last.
    #[serde(default)]
    pub seen: Vec<String>,
    /// The turn at which everything before was forgotten.
    #[serde(default)]
    pub forgotten_at: u64,
    /// Turns of the conversation so far.
    #[serde(default)]
    pub turns: u64,
    /// The last updates and their turns, so that one that comes again has the turn it had.
    #[serde(default)]
    pub updates: Vec<(u32, u64)>,
    /// The last messages that were changed, and the turn that they show.
    #[serde(default)]
    pub shown: Vec<(i64, u64)>,
    /// The language that the person chose.
    #[serde(default)]
    pub chosen: Option<Lang>,
    /// The language that the person's Telegram speaks.
    #[serde(default)]
    pub heard: Lang,
    /// Questions that are not answered yet, oldest first.
    #[serde(default)]
    pub pending: Vec<Pending>,
    /// Questions that failed and may be asked again, by the view that their answer would have been.
    #[serde(default)]
    pub failed: Vec<(String, Question)>,
}

/// A question under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its task.
    pub id: TaskId,
    /// What it is called, plain.
    pub called: String,
}

/// The form that this code writes.
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
            failed: Vec::new(),
        }
    }
}

/// A creator as shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Creator {
    /// The name.
    pub name: String,
    /// The creator's page.
    pub url: String,
    /// Other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How many items there are.
    #[serde(default)]
    pub item_count: Option<u64>,
    /// Answers in the forum.
    #[serde(default)]
    pub replies: Option<u64>,
    /// A piece of text from the forum.
    #[serde(default)]
    pub snippet: Option<String>,
}

impl Creator {
    fn bytes(&self) -> usize {
        let aliases: usize = self.aliases.iter().map(String::len).sum();
        let snippet = self.snippet.as_ref().map_or(0, String::len);
        self.name.len() + self.url.len() + aliases + snippet
    }

    /// Reads one creator of a plugin's answer; none without name or address.
    fn read(value: &Value) -> Option<Self> {
        let url = text_of(value, "url").filter(|url| web_address(url))?.to_owned();
        let aliases = value.get("aliases").and_then(Value::as_array);
        Some(Self {
            name: Some(clean(text_of(value, "name")?, 120)).filter(|name| !name.is_empty())?,
            url,
            aliases: aliases
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(|alias| clean(alias, 60))
                .filter(|alias| !alias.is_empty())
                .take(5)
                .collect(),
            item_count: value.get("item_count").and_then(Value::as_u64),
            replies: value.get("replies").and_then(Value::as_u64),
            snippet: text_of(value, "snippet").map(|text| clean(text, 200)),
        })
    }
}

/// Creators to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResultSet {
    /// Its name in buttons.
    pub view: String,
    /// What was asked.
    pub query: String,
    /// Who was found.
    pub creators: Vec<Creator>,
    /// Whether one of them has exactly this name.
    #[serde(default)]
    pub exact: bool,
    /// For results of the forum: the result set that they were asked from.
    #[serde(default)]
    pub extended_from: Option<String>,
    /// Whether it is a pick by chance.
    #[serde(default)]
    pub random: bool,
    /// The page that is shown, from 0.
    #[serde(default)]
    pub page: usize,
    /// The forum's page, from 1; 0 when it is not the forum's.
    #[serde(default)]
    pub forum_page: u64,
    /// Whether the forum has another page.
    #[serde(default)]
    pub has_more: bool,
}

impl ResultSet {
    /// Reads a search's data. What does not fit is left out.
    pub fn read(view: String, query: String, data: &Value) -> Self {
        let creators = data.get("creators").and_then(Value::as_array);
        Self {
            view,
            query,
            creators: creators
                .into_iter()
                .flatten()
                .filter_map(Creator::read)
                .take(KEEP_CREATORS)
                .scan(KEEP_BYTES, |room, creator| {
                    *room = room.checked_sub(creator.bytes())?;
                    Some(creator)
                })
                .collect(),
            exact: data.get("exact_match").and_then(Value::as_bool).unwrap_or(false),
            ..Self::default()
        }
    }

    /// Reads the data of one page of the forum's results.
    pub fn read_forum(view: String, query: String, data: &Value, from: String, page: u64) -> Self {
        let more = data.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        Self {
            extended_from: Some(from),
            forum_page: page.max(1),
            has_more: more && page < FORUM_PAGES,
            ..Self::read(view, query, data)
        }
    }

    /// The last page, from 0.
    pub fn last_page(&self) -> usize {
        self.creators.len().div_ceil(PAGE_CREATORS).saturating_sub(1)
    }

    /// Reads a random pick's data; none when it names nobody.
    pub fn read_random(view: String, data: &Value) -> Option<Self> {
        let url = text_of(data, "creator_url").filter(|url| web_address(url))?.to_owned();
        let creator = Creator {
            name: Some(clean(text_of(data, "creator_name")?, 120))
                .filter(|name| !name.is_empty())?,
            url,
            item_count: data.get("item_count").and_then(Value::as_u64),
            ..Creator::default()
        };
        Some(Self { view, creators: vec![creator], random: true, ..Self::default() })
    }
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Item {
    /// Its id, so that it is not listed twice.
    pub id: String,
    /// Its title; may be empty.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// When it was posted.
    pub date: String,
    /// Video or picture.
    pub video: bool,
}

impl Item {
    fn bytes(&self) -> usize {
        self.id.len() + self.title.len() + self.url.len() + self.date.len()
    }

    fn read(value: &Value) -> Option<Self> {
        let url = text_of(value, "url").filter(|url| web_address(url))?.to_owned();
        Some(Self {
            id: clean(text_of(value, "id").unwrap_or(&url), 300),
            title: clean(text_of(value, "title").unwrap_or(""), 120),
            date: clean(text_of(value, "date").unwrap_or(""), 10),
            video: text_of(value, "type") == Some("video"),
            url,
        })
    }
}

/// Which of a creator's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Pictures only.
    Pictures,
    /// Videos only.
    Videos,
}

impl Filter {
    /// All of them, in the order of their buttons.
    pub const ALL: [Self; 3] = [Self::All, Self::Pictures, Self::Videos];

    /// As a button carries it.
    pub fn number(self) -> usize {
        match self {
            Self::All => 0,
            Self::Pictures => 1,
            Self::Videos => 2,
        }
    }

    /// The filter with that number.
    pub fn of_number(number: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.number() == number)
    }

    /// As the content plugin takes it.
    pub fn params(self) -> Map<String, Value> {
        let kind = match self {
            Self::All => None,
            Self::Pictures => Some("picture"),
            Self::Videos => Some("video"),
        };
        kind.into_iter().map(|kind| ("type".to_owned(), kind.into())).collect()
    }
}

/// A creator's items as far as they are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContentView {
    /// Its name in buttons.
    pub view: String,
    /// Whose items.
    pub creator: Creator,
    /// What is loaded.
    pub items: Vec<Item>,
    /// Where to go on; none at the end.
    pub cursor: Option<String>,
    /// How many items there are.
    pub total_items: usize,
    /// The page that is shown, from 0.
    pub page: usize,
    /// The result set to go back to.
    pub results: Option<String>,
    /// Which items.
    #[serde(default)]
    pub filter: Filter,
    /// Whether no more are kept.
    #[serde(default)]
    pub full: bool,
}

impl ContentView {
    /// The last page that is loaded, from 0.
    pub fn last_page(&self) -> usize {
        self.items.len().div_ceil(PAGE_ITEMS).saturating_sub(1)
    }

    /// Appends a plugin's `content_directory` and shows the first page of what is new. Items that are there already
    /// are not added again, so the same answer twice changes nothing.
    pub fn append(&mut self, data: &Value) {
        let Some(directory) = data.get("content_directory") else { return };
        let before = self.items.len();
        let mut room = KEEP_BYTES.saturating_sub(self.items.iter().map(Item::bytes).sum());
        let items = directory.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten().filter_map(Item::read) {
            if self.items.iter().any(|known| known.id == item.id) {
                continue;
            }
            let fits = self.items.len() < KEEP_ITEMS && item.bytes() <= room;
            if !fits {
                self.full = true;
                break;
            }
            room -= item.bytes();
            self.items.push(item);
        }
        self.full |= KEEP_ITEMS <= self.items.len();
        if before < self.items.len() {
            self.page = before / PAGE_ITEMS;
        }
        let more = directory.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        self.cursor = text_of(directory, "cursor")
            .filter(|cursor| more && cursor.len() <= 300 && !self.full)
            .map(str::to_owned);
        let total = directory.get("total_items").and_then(Value::as_u64).unwrap_or(0);
        self.total_items = usize::try_from(total).unwrap_or(usize::MAX).max(self.items.len());
    }
}

impl Session {
    /// The turn of an update: the next one, or the one it had when it came before.
    pub fn turn_of(&mut self, update_id: u32) -> u64 {
        if let Some((_, turn)) = self.updates.iter().find(|(known, _)| *known == update_id) {
            return *turn;
        }
        self.turns += 1;
        self.updates.push((update_id, self.turns));
        let over = self.updates.len().saturating_sub(KEEP_TURNS);
        self.updates.drain(..over);
        self.turns
    }

    /// Whether a message may show what was asked at `turn`: false when it shows something that was asked later.
    pub fn may_show(&mut self, message_id: i64, turn: u64) -> bool {
        // A session that was forgotten counts anew, and what was asked before comes yet: later turns come after it.
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

    /// The language to speak.
    pub fn lang(&self) -> Lang {
        self.chosen.unwrap_or(self.heard)
    }

    /// Whether what was asked at `turn` is forgotten. A producer's own task has no turn in the conversation: 0.
    pub fn has_forgotten(&self, turn: u64) -> bool {
        0 < turn && turn <= self.forgotten_at
    }

    /// Forgets everything but how far the conversation has come: what was asked before is told from what is asked later.
    pub fn forget(&mut self) {
        let (rev, turns) = (self.rev, self.turns);
        *self = Self { rev, turns, forgotten_at: turns, ..Self::default() };
    }

    /// Remembers that a question is under way.
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
        // What it leads back to stays for as long as it does itself.
        self.touch_results(set.extended_from.as_deref());
        self.results.retain(|known| known.view != set.view);
        self.results.push(set);
        let over = self.results.len().saturating_sub(KEEP_VIEWS);
        self.results.drain(..over);
    }

    /// Makes a result set the newest.
    fn touch_results(&mut self, view: Option<&str>) {
        let place = self.results.iter().position(|set| Some(set.view.as_str()) == view);
        if let Some(place) = place {
            let set = self.results.remove(place);
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

    /// Remembers that a creator came up by chance.
    pub fn keep_seen(&mut self, url: &str) {
        self.seen.retain(|known| known != url);
        self.seen.push(url.to_owned());
        let over = self.seen.len().saturating_sub(KEEP_SEEN);
        self.seen.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn directory(ids: std::ops::Range<usize>, more: bool) -> Value {
        let items: Vec<Value> = ids
            .map(|n| json!({"id": n.to_string(), "title": "t", "url": format!("https://m.example/{n}")}))
            .collect();
        json!({"content_directory": {
            "items": items, "has_more": more, "cursor": "c", "total_items": 40,
        }})
    }

    #[test]
    fn more_items_are_appended_once_and_their_first_page_is_shown() {
        let mut view = ContentView::default();
        view.append(&directory(0..10, true));
        assert_eq!((view.items.len(), view.page, view.cursor.as_deref()), (10, 0, Some("c")));
        view.append(&directory(10..40, false));
        assert_eq!((view.items.len(), view.page, view.cursor.clone()), (40, 1, None));
        view.append(&directory(10..40, false));
        assert_eq!((view.items.len(), view.page), (40, 1), "the same answer twice changes nothing");
    }

    #[test]
    fn odd_data_from_a_plugin_is_left_out() {
        let data = json!({"creators": [
            {"name": "A", "url": "javascript:x"}, {"name": 7}, null, "x", {"url": "https://c.example"},
            {"name": "\u{200b}", "url": "https://c.example/h"},
            {"name": "Good", "url": "https://c.example/g", "aliases": ["a", 1, "\u{200b}"]},
        ]});
        let set = ResultSet::read("ab".to_owned(), "q".to_owned(), &data);
        assert_eq!(set.creators.len(), 1);
        assert_eq!(set.creators[0].aliases, ["a"]);
        for odd in
            [json!(null), json!([]), json!({"creators": 1}), json!({"content_directory": []})]
        {
            assert!(ResultSet::read(String::new(), String::new(), &odd).creators.is_empty());
            ContentView::default().append(&odd);
        }
    }

    #[test]
    fn what_was_asked_earlier_does_not_cover_what_was_asked_later() {
        let mut session = Session::default();
        let (first, second) = (session.turn_of(10), session.turn_of(11));
        assert_eq!(session.turn_of(10), first, "the same update again");
        assert!(session.may_show(7, second));
        assert!(session.may_show(7, second), "the same again");
        assert!(!session.may_show(7, first));
        assert!(session.may_show(8, first), "another message");
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
