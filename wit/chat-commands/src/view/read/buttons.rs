//! The buttons of a view, and the tasks that they start.

use serde_json::{Map, Value};

use super::Reader;
use crate::remarks::Place;
use crate::text::text_field;
use crate::view::{TaskRequest, ViewAction, ViewButton};

/// Buttons that fit on a phone. Telegram allows 8 in a row and 100 in all.
const MAX_ROWS: usize = 8;
pub(super) const MAX_IN_ROW: usize = 4;
pub(super) const MAX_BUTTONS: usize = 24;
const MAX_LABEL_CHARS: usize = 48;
/// Size and nesting of one task's params, so that a session stays readable.
const MAX_PARAMS_BYTES: usize = 2 << 10;
const MAX_PARAMS_LEVELS: usize = 32;

impl Reader<'_> {
    pub(super) fn task(&mut self, value: &Value, place: &Place<'_>) -> Option<TaskRequest> {
        let named = text_field(value, "task_type").unwrap_or_default();
        let task_type = match named.parse() {
            Ok(task_type) => task_type,
            Err(error) => {
                self.remarks
                    .add(&place.name("task_type"), || format!("{error}; this part is left out"));
                return None;
            }
        };
        let at = place.name("params");
        let params = match value.get("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params.clone(),
            Some(_) => {
                self.remarks
                    .add(&at, || "it is not an object, so this part is left out".to_owned());
                return None;
            }
        };
        let too_deep = value.get("params").is_some_and(|value| levels(value) > MAX_PARAMS_LEVELS);
        let bytes = serde_json::to_vec(&params).ok()?.len();
        if too_deep || bytes > MAX_PARAMS_BYTES {
            self.remarks.add(&at, || {
                format!(
                    "{bytes} bytes, and this part is left out; at most {MAX_PARAMS_BYTES} bytes in {MAX_PARAMS_LEVELS} \
                     levels are taken"
                )
            });
            return None;
        }
        let task = self.takes(bytes, place).then_some(TaskRequest { task_type, params })?;
        if let Some(problem) = (self.judge)(&task) {
            self.remarks.add(place, || problem);
        }
        Some(task)
    }

    fn button(&mut self, value: &Value, place: &Place<'_>) -> Option<ViewButton> {
        self.unknown(value, &["text", "url", "task_type", "params"], place);
        let text = self.shown(value, "text", MAX_LABEL_CHARS, place);
        let text = self.needed(text, "text", place)?;
        let action = match self.address(value, place) {
            Some(url) => ViewAction::OpenUrl(self.takes(url.len(), place).then_some(url)?),
            None if value.get("task_type").is_none() => {
                self.remarks.add(place, || {
                    "it has neither a `task_type` nor a usable `url` and is left out; name the task that it starts".to_owned()
                });
                return None;
            }
            None => ViewAction::Submit(self.task(value, place)?),
        };
        self.takes(text.len(), place).then_some(ViewButton { text, action })
    }

    pub(super) fn rows(&mut self, view: &Value, place: &Place<'_>) -> Vec<Vec<ViewButton>> {
        let place = place.name("buttons");
        let listed = self.listed(view.get("buttons"), &place);
        for (index, row) in listed.iter().enumerate().filter(|(_, row)| !row.is_array()) {
            self.remarks.add(&place.index(index), || {
                let button = if row.is_object() { ", not a button" } else { "" };
                format!("it must be a list, the buttons of one row{button}, and is left out; write [[ … ], [ … ]]")
            });
        }
        let rows = || listed.iter().enumerate().filter_map(|(at, row)| Some((at, row.as_array()?)));
        let count = rows().count();
        let buttons: usize = rows().map(|(_, row)| row.len()).sum();
        if count > MAX_ROWS || buttons > MAX_BUTTONS {
            self.remarks.add(&place, || {
                format!(
                    "{buttons} buttons in {count} rows; at most {MAX_BUTTONS} in {MAX_ROWS} rows of {MAX_IN_ROW} are shown"
                )
            });
        }
        let mut left = MAX_BUTTONS;
        let mut shown = Vec::new();
        for (index, row) in rows().take(MAX_ROWS) {
            let place = place.index(index);
            if row.len() > MAX_IN_ROW {
                self.remarks.add(&place, || {
                    format!("{} buttons in one row; at most {MAX_IN_ROW} are shown, so begin another row", row.len())
                });
            }
            let buttons = row.iter().enumerate();
            let buttons = buttons.filter_map(|(at, button)| self.button(button, &place.index(at)));
            let row: Vec<ViewButton> = buttons.take(MAX_IN_ROW.min(left)).collect();
            left -= row.len();
            if !row.is_empty() {
                shown.push(row);
            }
        }
        shown
    }
}

/// How deep a value is nested: 1 for a number or a text.
fn levels(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => members.values().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
