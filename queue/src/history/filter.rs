//! Which finished tasks are wanted.

use crate::history::record::{Fields, Head};
use crate::task::{TaskStatus, TaskType};

/// What a finished task must match. A member that is none matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its id, or the end of it.
    pub task_id: Option<String>,
    /// The person who sent it.
    pub user_id: Option<i64>,
    /// The chat that its answer went to.
    pub chat_id: Option<i64>,
    /// Its type.
    pub task_type: Option<TaskType>,
    /// How it ended.
    pub status: Option<TaskStatus>,
    /// The failure's code.
    pub code: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
    /// The worker that held it last.
    pub worker: Option<String>,
    /// It ended at or after this time, in ms since 1970.
    pub from_ms: Option<u64>,
    /// It ended before this time.
    pub to_ms: Option<u64>,
    /// A part of its params, result or reason, where texts are kept. Upper and lower case are the same.
    pub text: Option<String>,
}

/// A filter, prepared for a search through many entries.
#[derive(Debug)]
pub(super) struct Matcher {
    task_id: Option<String>,
    user_id: Option<String>,
    chat_id: Option<String>,
    task_type: Option<TaskType>,
    status: Option<TaskStatus>,
    code: Option<String>,
    version: Option<String>,
    worker: Option<String>,
    from_ms: u64,
    to_ms: u64,
    /// In lower case.
    text: Option<String>,
}

impl Matcher {
    pub(super) fn new(filter: &Filter) -> Self {
        Self {
            task_id: filter.task_id.clone(),
            user_id: filter.user_id.map(|id| id.to_string()),
            chat_id: filter.chat_id.map(|id| id.to_string()),
            task_type: filter.task_type.clone(),
            status: filter.status,
            code: filter.code.clone(),
            version: filter.version.clone(),
            worker: filter.worker.clone(),
            from_ms: filter.from_ms.unwrap_or(0),
            to_ms: filter.to_ms.unwrap_or(u64::MAX),
            text: filter.text.as_ref().map(|text| text.to_lowercase()),
        }
    }

    /// The fields of an entry that matches.
    pub(super) fn matching<'a>(&self, entry: &'a str) -> Option<Fields<'a>> {
        if !self.matches_head(entry) {
            return None;
        }
        let fields = Fields::split(entry)?;
        let matches =
            self.task_type.as_ref().is_none_or(|wanted| wanted.as_str() == fields.task_type())
                && self.in_time(fields.ended_at)
                && self.has_text(&fields);
        matches.then_some(fields)
    }

    /// Compares the first fields one by one, so that most entries are not split further than to the first that differs.
    fn matches_head(&self, entry: &str) -> bool {
        let same = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let mut head = Head::of(entry);
        head.next_is(|task_id| self.task_id.as_deref().is_none_or(|id| task_id.ends_with(id)))
            && head.next_is(|user_id| same(&self.user_id, user_id))
            && head.next_is(|chat_id| same(&self.chat_id, chat_id))
            && head.next_is(|found| self.status.is_none_or(|status| status.as_str() == found))
            && head.next_is(|code| same(&self.code, code))
            && head.next_is(|version| same(&self.version, version))
            && head.next_is(|worker| same(&self.worker, worker))
    }

    fn in_time(&self, ended_at: &str) -> bool {
        if self.from_ms == 0 && self.to_ms == u64::MAX {
            return true;
        }
        let ended_at: Option<u64> = ended_at.parse().ok();
        ended_at.is_some_and(|at| self.from_ms <= at && at < self.to_ms)
    }

    fn has_text(&self, fields: &Fields<'_>) -> bool {
        let Some(wanted) = &self.text else { return true };
        // What JSON writes as it is can only be in the texts if it is in the JSON.
        let as_it_is = !wanted.contains(|c: char| c == '"' || c == '\\' || c.is_control());
        if fields.texts.is_empty() || as_it_is && !fields.texts.to_lowercase().contains(wanted) {
            return false;
        }
        // The JSON also has names, and writes a quote in another way.
        fields.read().is_some_and(|task| {
            [task.params, task.result, task.error]
                .iter()
                .flatten()
                .any(|text| text.to_lowercase().contains(wanted))
        })
    }
}
