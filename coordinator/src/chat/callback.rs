//! Callback data: what a pressed button asks for, within Telegram's limit.

use queue::{TaskId, TaskType};

use super::address::ChatAddress;
use super::filter::Filter;
use super::text::Lang;

/// Bot API: `callback_data` is 1–64 bytes.
pub const MAX_BYTES: usize = 64;

/// What a pressed button asks for. `view` names what the session remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ButtonAction {
    /// Open the creator at this index of a result set.
    OpenCreator {
        /// The result set.
        view: String,
        /// The index, from 0.
        index: usize,
    },
    /// Show a page of a result set.
    ResultsPage {
        /// The result set.
        view: String,
        /// The page, from 0.
        page: usize,
    },
    /// Show a page of a content view that is loaded already.
    ContentPage {
        /// The content view.
        view: String,
        /// The page, from 0.
        page: usize,
    },
    /// Load the pages behind those that are loaded.
    LoadMore {
        /// The content view.
        view: String,
    },
    /// Load a content view's items again, with a filter.
    Filter {
        /// The content view.
        view: String,
        /// Which.
        filter: Filter,
    },
    /// Send the pictures and videos of a content view's page, or of a plugin's view.
    Album {
        /// The view.
        view: String,
        /// The page, from 0; a plugin's view has them on one.
        page: usize,
    },
    /// Show a result set again.
    Results {
        /// The result set.
        view: String,
    },
    /// Search the forum with a result set's query.
    SearchForum {
        /// The result set.
        view: String,
    },
    /// Load another page of the forum's results.
    ForumPage {
        /// The forum's results so far.
        view: String,
        /// The page, from 1.
        page: usize,
    },
    /// Press the button at this index of a plugin's view.
    PressViewButton {
        /// The view.
        view: String,
        /// The index; see [`chat_commands::view::View::task_request`].
        index: usize,
    },
    /// Show a page of a plugin's view.
    ViewPage {
        /// The view.
        view: String,
        /// The page, from 0.
        page: usize,
    },
    /// Load another random creator.
    Random,
    /// Cancel a task.
    Cancel {
        /// The name of its answer's view.
        view: String,
    },
    /// Ask a failed question again.
    Retry {
        /// The name that its answer's view would have had.
        view: String,
    },
    /// Show the settings.
    Settings,
    /// Choose this language, or the one of the person's Telegram.
    Language(Option<Lang>),
    /// Ask whether to delete the person's data.
    Forget,
    /// Delete the person's data.
    ForgetConfirmed,
    /// For administrators: show the queue's figures.
    Stats,
    /// For administrators: show the workers and plugins.
    Plugins,
    /// For administrators: submit the dead letters of a type again.
    ReplayDead {
        /// The type.
        task_type: TaskType,
    },
    /// For administrators: hand out a type's tasks again.
    Resume {
        /// The type.
        task_type: TaskType,
    },
}

impl ButtonAction {
    /// The callback data. In a group it names the button's owner.
    pub fn encode(&self, address: &ChatAddress) -> String {
        let data = match self {
            Self::OpenCreator { view, index } => format!("c:{view}:{index}"),
            Self::ResultsPage { view, page } => format!("l:{view}:{page}"),
            Self::ContentPage { view, page } => format!("p:{view}:{page}"),
            Self::LoadMore { view } => format!("m:{view}"),
            Self::Filter { view, filter } => format!("i:{view}:{}", filter.number()),
            Self::Album { view, page } => format!("a:{view}:{page}"),
            Self::Results { view } => format!("r:{view}"),
            Self::SearchForum { view } => format!("e:{view}"),
            Self::ForumPage { view, page } => format!("f:{view}:{page}"),
            Self::PressViewButton { view, index } => format!("t:{view}:{index}"),
            Self::ViewPage { view, page } => format!("v:{view}:{page}"),
            Self::Random => "x".to_owned(),
            Self::Cancel { view } => format!("k:{view}"),
            Self::Retry { view } => format!("g:{view}"),
            Self::Settings => "s".to_owned(),
            Self::Language(lang) => format!("n:{}", lang.map_or("auto", Lang::code)),
            Self::Forget => "z".to_owned(),
            Self::ForgetConfirmed => "zz".to_owned(),
            Self::Stats => "q".to_owned(),
            Self::Plugins => "w".to_owned(),
            Self::ReplayDead { task_type } => format!("d:{task_type}"),
            Self::Resume { task_type } => format!("u:{task_type}"),
        };
        if address.private() { data } else { format!("{data}@{}", address.owner) }
    }

    /// Reads callback data, with the button's owner if it names one. None when it is not one of ours.
    pub fn decode(data: &str) -> Option<(Self, Option<i64>)> {
        let (data, owner) = match data.split_once('@') {
            Some((data, owner)) => (data, Some(owner.parse().ok()?)),
            None => (data, None),
        };
        let parts: Vec<&str> = data.split(':').collect();
        let action = match *parts.as_slice() {
            ["x"] => Self::Random,
            ["s"] => Self::Settings,
            ["z"] => Self::Forget,
            ["zz"] => Self::ForgetConfirmed,
            ["q"] => Self::Stats,
            ["w"] => Self::Plugins,
            ["d", task_type] => Self::ReplayDead { task_type: task_type.parse().ok()? },
            ["u", task_type] => Self::Resume { task_type: task_type.parse().ok()? },
            ["n", "auto"] => Self::Language(None),
            ["n", code] => {
                let lang = Lang::ALL.into_iter().find(|lang| lang.code() == code)?;
                Self::Language(Some(lang))
            }
            [kind, view] if is_view(view) => {
                let view = view.to_owned();
                match kind {
                    "m" => Self::LoadMore { view },
                    "r" => Self::Results { view },
                    "e" => Self::SearchForum { view },
                    "k" => Self::Cancel { view },
                    "g" => Self::Retry { view },
                    _ => return None,
                }
            }
            [kind, view, number] if is_view(view) => {
                let view = view.to_owned();
                let number: usize = number.parse().ok()?;
                match kind {
                    "c" => Self::OpenCreator { view, index: number },
                    "l" => Self::ResultsPage { view, page: number },
                    "p" => Self::ContentPage { view, page: number },
                    "i" => Self::Filter { view, filter: Filter::of_number(number)? },
                    "a" => Self::Album { view, page: number },
                    "f" => Self::ForumPage { view, page: number },
                    "t" => Self::PressViewButton { view, index: number },
                    "v" => Self::ViewPage { view, page: number },
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some((action, owner))
    }
}

/// The name of an answer's view in buttons: the end of the task's id, so that the same answer always has the same name.
pub fn view_name(id: &TaskId) -> String {
    let digits: Vec<char> = id.as_str().chars().rev().filter(char::is_ascii_hexdigit).collect();
    digits.into_iter().take(12).rev().collect()
}

/// Whether a text can be a view's name: hex digits, as [`view_name`] makes them.
fn is_view(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_reads_back_and_fits() {
        let view = "0123456789abcdef".to_owned();
        let group = ChatAddress { chat_id: i64::MIN, owner: i64::MAX, ..ChatAddress::default() };
        for action in [
            ButtonAction::OpenCreator { view: view.clone(), index: usize::MAX },
            ButtonAction::ResultsPage { view: view.clone(), page: usize::MAX },
            ButtonAction::ContentPage { view: view.clone(), page: usize::MAX },
            ButtonAction::LoadMore { view: view.clone() },
            ButtonAction::Filter { view: view.clone(), filter: Filter::Videos },
            ButtonAction::Album { view: view.clone(), page: usize::MAX },
            ButtonAction::Results { view: view.clone() },
            ButtonAction::SearchForum { view: view.clone() },
            ButtonAction::ForumPage { view: view.clone(), page: usize::MAX },
            ButtonAction::PressViewButton { view: view.clone(), index: usize::MAX },
            ButtonAction::ViewPage { view: view.clone(), page: usize::MAX },
            ButtonAction::Random,
            ButtonAction::Cancel { view: view.clone() },
            ButtonAction::Retry { view },
            ButtonAction::Settings,
            ButtonAction::Language(None),
            ButtonAction::Language(Some(Lang::De)),
            ButtonAction::Forget,
            ButtonAction::ForgetConfirmed,
            ButtonAction::Stats,
            ButtonAction::Plugins,
            ButtonAction::ReplayDead { task_type: "load_more_pages".parse().unwrap() },
            ButtonAction::Resume { task_type: "abc".parse().unwrap() },
        ] {
            let data = action.encode(&group);
            assert!(data.len() <= MAX_BYTES, "{data}");
            assert_eq!(ButtonAction::decode(&data), Some((action.clone(), Some(i64::MAX))));
            let private = ChatAddress { chat_id: 7, owner: 7, ..ChatAddress::default() };
            assert_eq!(ButtonAction::decode(&action.encode(&private)), Some((action, None)));
        }
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        for data in [
            "", "c", "c:", "c:zz:1", "c:ab:x", "c:ab:1:2", "m:ab:1", "y:ab", "x:1", "p:ab:-1",
            "i:ab:3", "n:xx", "d:", "d:A B", "u", "x@", "x@me", "x@1@2",
        ] {
            assert_eq!(ButtonAction::decode(data), None, "{data}");
        }
    }
}
