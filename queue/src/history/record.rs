//! One entry of the history, and its form in Redis.
//!
//! An entry is one text with `|` between its fields. A search reads a hundred thousand of them, and splitting one costs much less
//! than parsing JSON.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::task::{TaskId, TaskStatus, TaskType};

/// A task that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinishedTask {
    /// Its id.
    pub task_id: TaskId,
    /// Its type.
    pub task_type: TaskType,
    /// The person who sent it.
    pub user_id: i64,
    /// The chat that its answer goes to, if it goes to one.
    pub chat_id: Option<i64>,
    /// How it ended.
    pub status: TaskStatus,
    /// The failure's code.
    pub code: Option<String>,
    /// The plugin that ran it last.
    pub plugin: Option<String>,
    /// That plugin's version.
    pub version: Option<String>,
    /// The worker that held it last.
    pub worker: Option<String>,
    /// When it was submitted, in ms since 1970. All times of one entry are by the clock of the process that wrote it.
    pub submitted_at: u64,
    /// When its last attempt began; none when it never ran.
    pub claimed_at: Option<u64>,
    /// When it ended.
    pub ended_at: u64,
    /// Attempts that failed before the last one.
    pub failures: u32,
    /// Workers that died while running it.
    pub crashes: u32,
    /// What was asked, as JSON; none unless texts are kept. It may be cut.
    pub params: Option<String>,
    /// The answer, as JSON; as `params`.
    pub result: Option<String>,
    /// The reason of a failure; as `params`.
    pub error: Option<String>,
    /// The last lines that the plugin wrote in the last attempt; none unless texts are kept. The beginning may be cut.
    pub log: Option<String>,
}

/// What happened to a task besides its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The task.
    pub task_id: TaskId,
    /// The person who sent it.
    pub user_id: i64,
    /// When, in ms since 1970 by the clock of the process that wrote it.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: StepKind,
}

/// Kinds of [`Step`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum StepKind {
    /// An attempt failed, and another one follows.
    Retried {
        /// The worker that ran it.
        worker: String,
        /// When the attempt began.
        claimed_at: u64,
        /// The failure's code; none when the plugin asked for another attempt.
        code: Option<String>,
        /// The plugin's version.
        version: Option<String>,
        /// The pause before the next attempt, in ms.
        delay_ms: u64,
        /// The reason; none unless texts are kept.
        reason: Option<String>,
    },
    /// Its worker died, and it runs again.
    WorkerLost {
        /// The worker.
        worker: String,
        /// When the attempt began.
        claimed_at: u64,
    },
    /// The messenger accepted the answer.
    Delivered {
        /// The chat.
        chat_id: Option<i64>,
        /// The message that shows it.
        message_id: Option<i64>,
    },
    /// The answer can never be shown: the chat is gone.
    Undeliverable,
}

/// A field must not contain the separator or a control character.
fn clean(field: &str) -> String {
    let allowed = |c: &char| *c != '|' && !c.is_control();
    field.chars().filter(allowed).take(MAX_FIELD_CHARS).collect()
}

/// Names, versions and codes are shorter; those of others are cut.
const MAX_FIELD_CHARS: usize = 80;

fn optional(field: Option<&str>) -> String {
    field.map(clean).unwrap_or_default()
}

fn number<T: ToString>(number: Option<T>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn some(field: &str) -> Option<String> {
    (!field.is_empty()).then(|| field.to_owned())
}

impl FinishedTask {
    /// The text in Redis. The type is left out when the id begins with it.
    pub(super) fn encode(&self) -> String {
        let tagged = self.task_id.lane().is_some_and(|lane| *lane.task_type() == self.task_type);
        let task_type = if tagged { "" } else { self.task_type.as_str() };
        let mut texts = Map::new();
        for (name, text) in [
            ("params", &self.params),
            ("result", &self.result),
            ("error", &self.error),
            ("log", &self.log),
        ] {
            if let Some(text) = text {
                texts.insert(name.to_owned(), text.as_str().into());
            }
        }
        let texts = if texts.is_empty() { String::new() } else { Value::Object(texts).to_string() };
        let fields = [
            self.task_id.to_string(),
            self.user_id.to_string(),
            number(self.chat_id),
            self.status.to_string(),
            optional(self.code.as_deref()),
            optional(self.version.as_deref()),
            optional(self.worker.as_deref()),
            task_type.to_owned(),
            optional(self.plugin.as_deref()),
            self.submitted_at.to_string(),
            number(self.claimed_at),
            self.ended_at.to_string(),
            self.failures.to_string(),
            self.crashes.to_string(),
            texts,
        ];
        fields.join("|")
    }
}

/// The first fields of an encoded [`FinishedTask`], in their order: id, person, chat, status, code, version, worker.
pub(super) struct Head<'a>(std::str::Split<'a, char>);

impl<'a> Head<'a> {
    pub(super) fn of(entry: &'a str) -> Self {
        Self(entry.split('|'))
    }

    /// Whether there is another field, and it is as wanted.
    pub(super) fn next_is(&mut self, wanted: impl FnOnce(&str) -> bool) -> bool {
        self.0.next().is_some_and(wanted)
    }
}

/// The fields of an encoded [`FinishedTask`], unchecked. A search compares them before it builds the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    task_id: &'a str,
    user_id: &'a str,
    chat_id: &'a str,
    status: &'a str,
    code: &'a str,
    version: &'a str,
    worker: &'a str,
    task_type: &'a str,
    plugin: &'a str,
    submitted_at: &'a str,
    claimed_at: &'a str,
    pub(super) ended_at: &'a str,
    failures: &'a str,
    crashes: &'a str,
    pub(super) texts: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn split(entry: &'a str) -> Option<Self> {
        let mut fields = entry.splitn(15, '|');
        Some(Self {
            task_id: fields.next()?,
            user_id: fields.next()?,
            chat_id: fields.next()?,
            status: fields.next()?,
            code: fields.next()?,
            version: fields.next()?,
            worker: fields.next()?,
            task_type: fields.next()?,
            plugin: fields.next()?,
            submitted_at: fields.next()?,
            claimed_at: fields.next()?,
            ended_at: fields.next()?,
            failures: fields.next()?,
            crashes: fields.next()?,
            texts: fields.next()?,
        })
    }

    /// The type's name: in its own field, or in the id.
    pub(super) fn task_type(&self) -> &'a str {
        if !self.task_type.is_empty() {
            return self.task_type;
        }
        let tag = self.task_id.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let lane = tag.map_or("", |(tag, _)| tag);
        lane.split_once('.').map_or(lane, |(task_type, _)| task_type)
    }

    pub(super) fn read(&self) -> Option<FinishedTask> {
        let mut texts: Map<String, Value> = serde_json::from_str(self.texts).unwrap_or_default();
        let mut text = |name| match texts.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(FinishedTask {
            task_id: self.task_id.parse().ok()?,
            task_type: self.task_type().parse().ok()?,
            user_id: self.user_id.parse().ok()?,
            chat_id: self.chat_id.parse().ok(),
            status: self.status.parse().ok()?,
            code: some(self.code),
            plugin: some(self.plugin),
            version: some(self.version),
            worker: some(self.worker),
            submitted_at: self.submitted_at.parse().ok()?,
            claimed_at: self.claimed_at.parse().ok(),
            ended_at: self.ended_at.parse().ok()?,
            failures: self.failures.parse().ok()?,
            crashes: self.crashes.parse().ok()?,
            params: text("params"),
            result: text("result"),
            error: text("error"),
            log: text("log"),
        })
    }
}

impl Step {
    /// The text in Redis. It begins with the task and the person, as that of a finished task.
    pub(super) fn encode(&self) -> String {
        let head = format!("{}|{}|{}", self.task_id, self.user_id, self.at);
        match &self.what {
            StepKind::Retried { worker, claimed_at, code, version, delay_ms, reason } => format!(
                "{head}|r|{}|{claimed_at}|{}|{}|{delay_ms}|{}",
                clean(worker),
                optional(code.as_deref()),
                optional(version.as_deref()),
                reason.as_deref().unwrap_or_default(),
            ),
            StepKind::WorkerLost { worker, claimed_at } => {
                format!("{head}|l|{}|{claimed_at}", clean(worker))
            }
            StepKind::Delivered { chat_id, message_id } => {
                format!("{head}|d|{}|{}", number(*chat_id), number(*message_id))
            }
            StepKind::Undeliverable => format!("{head}|u"),
        }
    }

    pub(super) fn read(entry: &str) -> Option<Self> {
        let mut fields = entry.splitn(10, '|');
        let task_id = fields.next()?.parse().ok()?;
        let user_id = fields.next()?.parse().ok()?;
        let at = fields.next()?.parse().ok()?;
        let what = match fields.next()? {
            "r" => StepKind::Retried {
                worker: fields.next()?.to_owned(),
                claimed_at: fields.next()?.parse().ok()?,
                code: some(fields.next()?),
                version: some(fields.next()?),
                delay_ms: fields.next()?.parse().ok()?,
                reason: some(fields.next()?),
            },
            "l" => StepKind::WorkerLost {
                worker: fields.next()?.to_owned(),
                claimed_at: fields.next()?.parse().ok()?,
            },
            "d" => StepKind::Delivered {
                chat_id: fields.next()?.parse().ok(),
                message_id: fields.next()?.parse().ok(),
            },
            "u" => StepKind::Undeliverable,
            _ => return None,
        };
        Some(Self { task_id, user_id, at, what })
    }
}

/// The task's id and the person at the beginning of every entry.
pub(super) fn task_and_person(entry: &str) -> Option<(&str, &str)> {
    let (task_id, rest) = entry.split_once('|')?;
    Some((task_id, rest.split_once('|')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished() -> FinishedTask {
        FinishedTask {
            task_id: "{search_creator.3}a-1".parse().unwrap(),
            task_type: "search_creator".parse().unwrap(),
            user_id: -7,
            chat_id: Some(-100),
            status: TaskStatus::Failed,
            code: Some("trap".to_owned()),
            plugin: Some("search".to_owned()),
            version: Some("1.2.3".to_owned()),
            worker: Some("worker-1".to_owned()),
            submitted_at: 1,
            claimed_at: Some(2),
            ended_at: 3,
            failures: 4,
            crashes: 5,
            params: Some(r#"{"query":"a|b"}"#.to_owned()),
            result: None,
            error: Some("it broke | twice".to_owned()),
            log: Some("first\nlast | line".to_owned()),
        }
    }

    #[test]
    fn a_finished_task_reads_back() {
        let task = finished();
        let entry = task.encode();
        let fields = Fields::split(&entry).unwrap();
        assert_eq!(fields.task_type(), "search_creator");
        assert_eq!(fields.read(), Some(task.clone()));
        let foreign = FinishedTask {
            task_id: "my-1".parse().unwrap(),
            chat_id: None,
            code: None,
            claimed_at: None,
            params: None,
            error: None,
            log: None,
            version: Some("1|\n2".to_owned()),
            ..task
        };
        let entry = foreign.encode();
        let read = Fields::split(&entry).and_then(|fields| fields.read());
        assert_eq!(read, Some(FinishedTask { version: Some("12".to_owned()), ..foreign }));
    }

    #[test]
    fn a_step_reads_back() {
        let retried = StepKind::Retried {
            worker: "w".to_owned(),
            claimed_at: 1,
            code: Some("trap".to_owned()),
            version: None,
            delay_ms: 500,
            reason: Some("a|b".to_owned()),
        };
        let lost = StepKind::WorkerLost { worker: "w".to_owned(), claimed_at: 1 };
        let delivered = StepKind::Delivered { chat_id: Some(-5), message_id: None };
        for what in [retried, lost, delivered, StepKind::Undeliverable] {
            let step = Step { task_id: "{a}1".parse().unwrap(), user_id: -7, at: 9, what };
            let entry = step.encode();
            assert_eq!(task_and_person(&entry), Some(("{a}1", "-7")));
            assert_eq!(Step::read(&entry), Some(step));
        }
    }

    #[test]
    fn what_is_not_an_entry_is_none() {
        for junk in ["", "|", "a|b|c", "{a}1|7|x|d||", "{a}1|7|1|z"] {
            assert!(Fields::split(junk).and_then(|fields| fields.read()).is_none(), "{junk}");
            assert_eq!(Step::read(junk), None, "{junk}");
        }
    }
}
