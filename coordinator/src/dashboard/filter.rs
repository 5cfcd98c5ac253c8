//! What an operator looks for: fields of a form, and of an address.

use std::collections::HashMap;

use queue::history::Filter;
use queue::{LiveTask, TaskType};

use super::layout::encoded;
use super::words::parse_moment;

type Fields = HashMap<String, String>;

/// Fields of the search for finished tasks.
pub(super) const FINISHED: &[&str] =
    &["id", "user", "chat", "type", "status", "code", "version", "worker", "from", "to", "text"];

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// The filter for finished tasks that a form describes.
///
/// # Errors
///
/// What is wrong with a field, for the operator.
pub(super) fn finished(fields: &Fields) -> Result<Filter, &'static str> {
    let text = |name| field(fields, name).map(str::to_owned);
    let number = |name, problem| {
        field(fields, name).map(|text| text.parse::<i64>().map_err(|_invalid| problem)).transpose()
    };
    let moment = |name, problem| {
        field(fields, name).map(|text| parse_moment(text).ok_or(problem)).transpose()
    };
    let task_type = field(fields, "type")
        .map(|text| text.parse().map_err(|_invalid| "This is not a task type."));
    let status = field(fields, "status")
        .map(|text| text.parse().map_err(|_invalid| "This is not a status."));
    Ok(Filter {
        task_id: text("id"),
        user_id: number("user", "A person is a number: their Telegram id.")?,
        chat_id: number("chat", "A chat is a number: its Telegram id.")?,
        task_type: task_type.transpose()?,
        status: status.transpose()?,
        code: text("code"),
        version: text("version"),
        worker: text("worker"),
        from_ms: moment("from", "The first time looks like 2026-11-29T14:02.")?,
        to_ms: moment("to", "The last time looks like 2026-11-29T14:02.")?,
        text: text("text"),
    })
}

/// The fields of a search as a part of an address.
pub(super) fn query(fields: &Fields) -> String {
    let given = FINISHED.iter().filter_map(|name| Some((name, field(fields, name)?)));
    let pairs: Vec<String> =
        given.map(|(name, text)| format!("{name}={}", encoded(text))).collect();
    pairs.join("&")
}

/// Which tasks without an answer are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Live {
    /// None for the type in which most happens.
    pub(super) task_type: Option<TaskType>,
    pub(super) user: Option<i64>,
    pub(super) which: Which,
}

/// Waiting tasks, running ones, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Which {
    #[default]
    All,
    Waiting,
    Running,
}

impl Which {
    pub(super) const ALL: [(&str, Self, &str); 3] = [
        ("all", Self::All, "waiting or running"),
        ("waiting", Self::Waiting, "waiting"),
        ("running", Self::Running, "running"),
    ];

    fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Waiting => "waiting",
            Self::Running => "running",
        }
    }
}

impl Live {
    /// Reads the fields of a form.
    ///
    /// # Errors
    ///
    /// What is wrong with a field, for the operator.
    pub(super) fn parse(fields: &Fields) -> Result<Self, &'static str> {
        let task_type = field(fields, "type").map(str::parse).transpose();
        let user = field(fields, "user").map(str::parse).transpose();
        let which = field(fields, "which").unwrap_or("all");
        let which = Which::ALL.iter().find(|(word, ..)| *word == which).map(|(_, which, _)| *which);
        Ok(Self {
            task_type: task_type.map_err(|_invalid| "This is not a task type.")?,
            user: user.map_err(|_invalid| "A person is a number: their Telegram id.")?,
            which: which.ok_or("Waiting, running or all?")?,
        })
    }

    /// Whether a task of the type is wanted.
    pub(super) fn matches(&self, task: &LiveTask) -> bool {
        let user = task.task.as_ref().map(|task| task.user_id);
        let is_theirs = self.user.is_none_or(|wanted| user == Some(wanted));
        is_theirs
            && match self.which {
                Which::All => true,
                Which::Waiting => task.worker.is_none(),
                Which::Running => task.worker.is_some(),
            }
    }

    /// The fields of its form.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("which", self.which.word().to_owned())];
        fields.extend(self.task_type.as_ref().map(|task_type| ("type", task_type.to_string())));
        fields.extend(self.user.map(|user| ("user", user.to_string())));
        fields
    }

    /// As a part of an address.
    pub(super) fn query(&self) -> String {
        let fields = self.fields();
        let pairs = fields.iter().map(|(name, text)| format!("{name}={}", encoded(text)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// As the beginning of a sentence.
    pub(super) fn words(&self) -> String {
        let mut words = match self.which {
            Which::All => "Tasks".to_owned(),
            Which::Waiting => "Waiting tasks".to_owned(),
            Which::Running => "Running tasks".to_owned(),
        };
        if let Some(task_type) = &self.task_type {
            words.push_str(&format!(" of {task_type}"));
        }
        if let Some(user) = self.user {
            words.push_str(&format!(" from person {user}"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn a_search_is_read_from_a_form_and_written_into_an_address() {
        let form = fields(&[
            ("user", " 7 "),
            ("status", "failed"),
            ("text", "a&b"),
            ("from", "1970-01-01T00:01"),
            ("code", ""),
            ("csrf", "secret"),
        ]);
        let filter = finished(&form).unwrap();
        assert_eq!((filter.user_id, filter.from_ms), (Some(7), Some(60_000)));
        assert_eq!((filter.status.unwrap().as_str(), filter.code), ("failed", None));
        assert_eq!(query(&form), "user=7&status=failed&from=1970-01-01T00%3A01&text=a%26b");
        for wrong in [("user", "x"), ("type", "A B"), ("status", "odd"), ("from", "yesterday")] {
            assert!(finished(&fields(&[wrong])).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn live_tasks_are_chosen_by_type_person_and_state() {
        let form = fields(&[("type", "search"), ("user", "-5"), ("which", "running")]);
        let live = Live::parse(&form).unwrap();
        assert_eq!(live.words(), "Running tasks of search from person -5");
        assert_eq!(live.query(), "which=running&type=search&user=-5");
        assert_eq!(Live::parse(&fields(&[])).unwrap(), Live::default());
        assert!(Live::parse(&fields(&[("which", "some")])).is_err());
    }
}
