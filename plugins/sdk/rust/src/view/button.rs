//! Buttons, and the tasks that they start.

use serde::Serialize;
use serde_json::{Map, Value};

use super::fit::Fit;
use super::limits::{MAX_BUTTONS, MAX_IN_ROW, MAX_LABEL_CHARS, MAX_ROWS};

/// A button.
#[derive(Debug, Clone, PartialEq)]
pub struct Button {
    label: String,
    action: Action,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Ask(Request),
    Open(String),
}

/// A task that a press starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    task_type: String,
    /// None when JSON cannot hold them.
    params: Option<Value>,
}

impl Request {
    pub(super) fn new(task_type: &str, params: &impl Serialize) -> Self {
        let params = serde_json::to_value(params).ok().filter(Value::is_object);
        Self { task_type: task_type.to_owned(), params }
    }
}

impl Button {
    /// A button that starts a task, whose answer replaces the message. `params` is what the task type's function takes, or any
    /// other type that is a JSON object.
    pub fn ask(label: impl Into<String>, task_type: &str, params: &impl Serialize) -> Self {
        Self { label: label.into(), action: Action::Ask(Request::new(task_type, params)) }
    }

    /// A button that opens an address.
    pub fn open(label: impl Into<String>, url: impl Into<String>) -> Self {
        Self { label: label.into(), action: Action::Open(url.into()) }
    }
}

/// The rows as the contract has them.
pub(super) fn fit_rows(rows: Vec<Vec<Button>>, fit: &mut Fit) -> Vec<Value> {
    fit.only("rows of buttons", rows.len(), MAX_ROWS);
    let mut left = MAX_BUTTONS;
    let mut fitted = Vec::new();
    for row in rows.into_iter().take(MAX_ROWS) {
        let room = MAX_IN_ROW.min(left);
        let buttons: Vec<Value> =
            row.iter().filter_map(|button| button.fit(fit)).take(room).collect();
        fit.only("buttons of a row", row.len(), room);
        left -= buttons.len();
        if !buttons.is_empty() {
            fitted.push(buttons.into());
        }
    }
    fitted
}

impl Request {
    pub(super) fn fit(&self, what: &str, fit: &mut Fit) -> Option<Map<String, Value>> {
        let params = fit.params(what, self.params.as_ref())?;
        let task_type = fit.task_type(what, &self.task_type)?;
        Some(Map::from_iter([
            ("task_type".to_owned(), task_type.into()),
            ("params".to_owned(), params),
        ]))
    }
}

impl Button {
    fn fit(&self, fit: &mut Fit) -> Option<Value> {
        let label = fit.line("a button's text", &self.label, MAX_LABEL_CHARS)?;
        let what = format!("the button `{label}`");
        let mut button = match &self.action {
            Action::Ask(request) => request.fit(&what, fit)?,
            Action::Open(url) => {
                let url = fit.address(&what, url)?;
                fit.takes(&what, url.len())?;
                Map::from_iter([("url".to_owned(), url.into())])
            }
        };
        fit.takes(&what, label.len())?;
        button.insert("text".to_owned(), label.into());
        Some(Value::Object(button))
    }
}
