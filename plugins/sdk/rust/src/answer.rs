//! What a task answers.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::view::View;

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    data: Value,
    metadata: Map<String, Value>,
    /// What did not fit into the view, one sentence each.
    cut: Vec<String>,
}

impl Answer {
    /// An answer with this data.
    pub fn new(data: Value) -> Self {
        Self { data, metadata: Map::new(), cut: Vec::new() }
    }

    /// An answer with a type of your own as its data.
    ///
    /// # Errors
    ///
    /// When JSON cannot hold it, for instance a map whose keys are no texts.
    pub fn of(data: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::new(serde_json::to_value(data)?))
    }

    /// How a chat shows it. Data that is no JSON object is then under `value`, because the view is part of the data.
    #[must_use]
    pub fn with_view(mut self, view: View) -> Self {
        let (view, cut) = view.finish();
        self.cut.extend(cut);
        if let Value::Object(members) = &mut self.data {
            members.insert("view".to_owned(), view);
        } else {
            let value = self.data.take();
            self.data = Value::Object(Map::from_iter([
                ("value".to_owned(), value),
                ("view".to_owned(), view),
            ]));
        }
        self
    }

    /// Adds to the result's metadata.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Adds the members of a JSON object to the result's metadata. Anything else adds nothing.
    #[must_use]
    pub fn with_all_metadata(mut self, metadata: Value) -> Self {
        if let Value::Object(members) = metadata {
            self.metadata.extend(members);
        }
        self
    }

    /// The data, with the view in it.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// What the plugin adds to the metadata.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// What did not fit into the view and was cut or left out, one sentence each. The worker's log has them too.
    pub fn cut(&self) -> &[String] {
        &self.cut
    }
}

/// What a task's function may return.
pub trait IntoAnswer {
    /// As an answer.
    fn into_answer(self) -> Answer;
}

impl IntoAnswer for Answer {
    fn into_answer(self) -> Answer {
        self
    }
}

impl IntoAnswer for View {
    fn into_answer(self) -> Answer {
        Answer::new(Value::Object(Map::new())).with_view(self)
    }
}

impl IntoAnswer for Value {
    fn into_answer(self) -> Answer {
        Answer::new(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_and_view_stand_side_by_side() {
        let answer =
            Answer::new(json!({"sum": 7})).with_view(View::text("7")).with_metadata("dice", 2);
        assert_eq!(answer.data()["sum"], 7);
        assert_eq!(answer.data()["view"]["text"], "7");
        assert_eq!(answer.metadata()["dice"], 2);
        let plain = Answer::new(json!([1])).with_view(View::text("1"));
        assert_eq!(plain.data()["value"], json!([1]));
        assert_eq!(plain.data()["view"]["version"], 1);
    }

    #[test]
    fn what_json_cannot_hold_is_no_answer() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(Answer::of(&map), Err(Error::Fatal(_))));
    }
}
